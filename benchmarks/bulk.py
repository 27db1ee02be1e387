"""`python -m benchmarks.bulk`: bulk writes against a hand-written script of look-up and POST, in turns on one machine.

The script is what one writes today: asyncio, httpx, twenty workers, a GET by e-mail and a POST for each row; it keeps
no journal and makes doubles when an answer is lost. Printed are the seconds of each run, those of its processor, the
ratios of the medians, the requests, the calls of each second where the server limits them, and the peak of the SDK's
memory.
"""

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.peers import peer_class
from benchmarks.records import BASE_PATH, SOURCE, person
from benchmarks.task import Task

WORKERS = 20


@contextmanager
def serving(*, customers: int = 0, rate: float = 0.0, latency: float = 0.0) -> Iterator[str]:
    """Run a server; the value is its URL."""
    options = ["--customers", str(customers), "--rate", str(rate), "--latency", str(latency)]
    command = [sys.executable, "-m", "benchmarks.bulk_server", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.communicate()


def rows(number: int, kind: str) -> Iterator[dict[str, object]]:
    """Yield the rows of a work."""
    for index in range(number):
        if kind == "cards":
            yield {"card_number": f"99{index:010}", "card_type_id": "8ae51e48dfe94b6575f2f7d9df", "state": 1}
        else:
            yield person(index)


async def by_script(url: str, number: int) -> None:
    """Write customers as a hand-written script does."""
    task = Task(peer="httpx_script", kind="imports", done=number, in_flight=WORKERS)
    async with peer_class(task.peer)(url, BASE_PATH) as script:
        await script.imports(task)


async def by_sdk(url: str, number: int, kind: str, *, configured: float = 0.0) -> dict[str, object]:
    """Write rows by `bulk_write`; return its figures."""
    from carecloud_async import CareCloud, EnterpriseCredentials, RateLimit

    auth = EnterpriseCredentials(external_application_id="89d1a6111b3fb6e74665d948", login="u", password="p")
    limit = (
        RateLimit.adaptive() if configured < 0 else RateLimit(requests_per_second=configured) if configured else None
    )
    async with CareCloud(url, auth=auth, rate_limit=limit) as client:
        family, match = (client.cards, "card_number") if kind == "cards" else (client.customers, "email")
        defaults = {} if kind == "cards" else SOURCE
        began = time.monotonic()
        report = await family.bulk_write(rows(number, kind), match=match, defaults=defaults)
        seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    counts = {name: getattr(report, name) for name in ("rows", "created", "unchanged", "requests")}
    return {"seconds": round(seconds, 1), **counts, "mb": round(peak)}


def ask(url: str, what: str) -> Any:
    """Return what a server says of its `requests`, or of those that it `served`."""
    with urllib.request.urlopen(f"{url}{BASE_PATH}/{what}") as answer:
        return json.load(answer)["data"]


def at_a_limit(rows_of_a_limit: int) -> None:
    """Print the calls of each second at a limit of 40: configured, and found by the client."""
    for configured in ("40", "-1"):
        with serving(rate=40) as url:
            figures = child(["sdk", url, str(rows_of_a_limit), "customers", configured])
            served = ask(url, "served")
        whole = served["seconds"][1:-1] or served["seconds"]
        print(
            f"{rows_of_a_limit} customers at 40 a second, {'configured' if configured == '40' else 'found'}: "
            f"{figures['requests'] / figures['seconds']:.1f} calls a second (whole seconds: median "
            f"{statistics.median(whole)}, least {min(whole)}); {served['refused']} refused; {figures}"
        )
        print(f"  {served['seconds']}")


def child(arguments: list[str]) -> dict[str, float]:
    """Run one contestant in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.bulk", "--child", *arguments],
            env={"XDG_STATE_HOME": folder, "PATH": "", "PYTHONPATH": str(Path(__file__).parents[1])},
            stdout=subprocess.PIPE,
            check=True,
        )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def run_child(who: str, url: str, number: int, kind: str, configured: float) -> None:
    """Print the figures of one contestant."""
    began = time.monotonic()
    if who == "script":
        asyncio.run(by_script(url, number))
        figures: dict[str, object] = {"seconds": time.monotonic() - began}
    else:
        figures = asyncio.run(by_sdk(url, number, kind, configured=configured))
    print(json.dumps({**figures, "cpu": round(time.process_time(), 2)}))


def in_memory(number: int) -> None:
    """Print the peak of the memory for `number` new cards, and for as many known customers."""
    with serving() as url:
        print(f"memory, new cards: {child(['sdk', url, str(number), 'cards', '0'])}")
    with serving(customers=number) as url:
        print(f"memory, known customers: {child(['sdk', url, str(number), 'customers', '0'])}")


def main() -> None:
    """Run the works and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--limited", type=int, default=1200, help="rows at a limit of 40 calls a second")
    parser.add_argument("--only", choices=("customers", "limit", "memory"), help="only this part")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds until each answer leaves")
    parser.add_argument("--memory", type=int, default=0, help="rows of a run that shows the memory alone")
    parser.add_argument("--child", nargs=5)
    options = parser.parse_args()
    if options.child:
        who, url, number, kind, configured = options.child
        run_child(who, url, int(number), kind, float(configured))
        return
    if options.only == "limit":
        at_a_limit(options.limited)
        return
    if options.only == "memory":
        in_memory(options.memory)
        return
    number = str(options.rows)
    ours, theirs = [], []
    for _ in range(options.pairs):
        with serving(latency=options.latency) as url:
            theirs.append(child(["script", url, number, "customers", "0"]))
        with serving(latency=options.latency) as url:
            ours.append(child(["sdk", url, number, "customers", "0"]))
    print(f"{number} new customers by e-mail, answers after {options.latency} s; last: {ours[-1]}")
    for what in ("seconds", "cpu"):
        script, sdk = [figures[what] for figures in theirs], [figures[what] for figures in ours]
        ratio = statistics.median(script) / statistics.median(sdk)
        print(f"  {what}: script {script}, SDK {sdk}: {ratio:.2f} times as fast")
    if options.only == "customers":
        return
    with serving() as url:
        print(f"100,000 cards by batch: {child(['sdk', url, '100000', 'cards', '0'])}")
        print(f"  the same rows again: {child(['sdk', url, '100000', 'cards', '0'])}")
    for total in (120_000, 5_000_000):
        with serving(customers=total) as url:
            figures = child(["sdk", url, "100000", "customers", "0"])
            print(f"100,000 known customers, a list of {total:,}: {figures}; {ask(url, 'requests')}")
    at_a_limit(options.limited)
    if options.memory:
        in_memory(options.memory)


if __name__ == "__main__":
    main()

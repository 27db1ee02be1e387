"""`python -m benchmarks.compare`: which rows are right after lists and imports on a server with faults, as a table.

Each contestant reads a list into a file, or imports customers by their e-mails, in a process of its own and from a
sandbox of its own. A row is right if it is there once and as the server has it; wrong are rows that lack, that differ,
and each one too many. What a contestant reports is its own number of rows, or the error that it ends with.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio

from benchmarks.peers import peer_class
from benchmarks.records import BASE_PATH, person
from benchmarks.task import Task
from benchmarks.works import HTTPX, LIMIT, SDK
from carecloud_async.sandbox import Sandbox

PATIENT = f"{HTTPX}, repeating"
DLT = "dlt's REST source"
#: Contestants by what they do, and their modules in `benchmarks.peers`.
READERS = {
    SDK: "carecloud",
    HTTPX: "httpx_script",
    PATIENT: "patient_script",
    LIMIT: "aiohttp_msgspec",
    DLT: "dlt_rest",
}
WRITERS = {SDK: "carecloud", HTTPX: "httpx_script", PATIENT: "patient_script"}

_LATENCY = 0.005
_LONGEST = 600


class World:
    """A sandbox, and what happens to it when requests come.

    Args:
        customers: how many there are at the begin.
    """

    def __init__(self, customers: int) -> None:
        # Each answer sleeps for the latency first: there the server's own loop may change the list.
        self.sandbox = Sandbox(customers, untidy=False, latency=_LATENCY, sleep=self._sleep)
        self.on_request: Callable[[int], None] = lambda _: None
        self._number = 0

    async def _sleep(self, seconds: float) -> None:
        self._number += 1
        self.on_request(self._number)
        await anyio.sleep(seconds)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A list to be read, or rows to be imported.

    Attributes:
        name: what happens.
        kind: the method of the contestants.
        prepare: lets it happen in a world.
        times: how often the same is done.
    """

    name: str
    kind: str
    prepare: Callable[[World], None]
    times: int = 1


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a contestant made of a case; see the module.

    Attributes:
        case, who: the case and the contestant.
        right, wrong: rows.
        reported: its own number of rows, or its error.
        seconds: by the clock, its login included.
        requests: those that the server received.
    """

    case: str
    who: str
    right: int
    wrong: int
    reported: str
    seconds: float
    requests: int


def _calm(world: World) -> None:
    del world


def _failing(pattern: str, **fault: Any) -> Callable[[World], None]:
    """Let every fifth request fail once."""

    def prepare(world: World) -> None:
        for place in range(2, 200, 5):
            world.sandbox.faults.add(pattern, after=place, **fault)

    return prepare


def _throttled(world: World) -> None:
    world.sandbox.faults.add("GET /customers", status=429, retry_after=1, after=4, times=3)


def _revoked(world: World) -> None:
    def on_request(number: int) -> None:
        if number == 8:
            world.sandbox.revoke_all()

    world.on_request = on_request


def _deleted(world: World) -> None:
    customers = world.sandbox.customers
    doomed = [customers.id_at(place * len(customers) // 40) for place in range(20)]  # in the first half

    def on_request(number: int) -> None:
        if number > 4 and doomed:
            customers.delete(doomed.pop())

    world.on_request = on_request


CASES = (
    Case(name="a list at rest", kind="jsonl", prepare=_calm),
    Case(name="every fifth answer is a 503", kind="jsonl", prepare=_failing("GET /customers", status=503)),
    Case(name="every fifth connection is cut", kind="jsonl", prepare=_failing("GET /customers", cut="after")),
    Case(name="three 429s with `Retry-After: 1`", kind="jsonl", prepare=_throttled),
    Case(name="the token is revoked halfway", kind="jsonl", prepare=_revoked),
    Case(name="customers are deleted meanwhile", kind="jsonl", prepare=_deleted),
    Case(name="an import", kind="imports", prepare=_calm),
    Case(name="the same import twice", kind="imports", prepare=_calm, times=2),
    Case(name="every fifth create is a 503", kind="imports", prepare=_failing("POST /customers", status=503)),
    Case(name="every fifth create's answer is lost", kind="imports", prepare=_failing("POST /customers", cut="after")),
)


def play(case: Case, who: str, *, records: int) -> Row:
    """Let a contestant do a case.

    Args:
        records: how many customers the list has, or are imported.
    """
    reads = case.kind == "jsonl"
    world = World(records if reads else 10)
    case.prepare(world)
    with TemporaryDirectory() as folder, world.sandbox.running() as url:
        path = Path(folder, "customers.jsonl")
        peer = (READERS if reads else WRITERS)[who]
        task = Task(peer=peer, kind=case.kind, done=records, count=max(records // 20, 1), file=str(path))
        began = time.perf_counter()
        for _ in range(case.times):
            reported = _run(url, task, folder=folder)
        seconds = time.perf_counter() - began
        requests = len(world.sandbox.requests)
        right, wrong = _judged(world.sandbox, path) if reads else _judged_import(world.sandbox, records)
    return Row(case=case.name, who=who, right=right, wrong=wrong, reported=reported, seconds=seconds, requests=requests)


def _run(url: str, task: Task, *, folder: str) -> str:
    """Run a contestant in a process of its own; return what it reports."""
    environment = os.environ | {"XDG_STATE_HOME": folder, "RUNTIME__DLTHUB_TELEMETRY": "false"}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.compare", "--child", url, task.to_json()],
        env=environment,
        capture_output=True,
        text=True,
        timeout=_LONGEST,
        check=False,
    )
    lines = done.stdout.splitlines() or done.stderr.splitlines() or [f"exit code {done.returncode}"]
    return lines[-1]


async def _do(url: str, task: Task) -> int:
    async with peer_class(task.peer)(url, BASE_PATH) as peer:
        done: int = await getattr(peer, task.kind)(task)
        return done


def _judged(sandbox: Sandbox, path: Path) -> tuple[int, int]:
    """Return the right and the wrong rows of a file. Customers who were deleted meanwhile are neither."""
    customers = sandbox.customers
    there = set(customers.ids())
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    records = [record for line in lines if (record := json.loads(line))["customer_id"] in there]
    same = {record["customer_id"] for record in records if record == customers.get(record["customer_id"])}
    return len(same), len(there) - len(same) + len(records) - len({record["customer_id"] for record in records})


def _judged_import(sandbox: Sandbox, number: int) -> tuple[int, int]:
    made = Counter(len(sandbox.customers.by_email(str(person(index)["email"]))) for index in range(number))
    doubles = sum((times - 1) * count for times, count in made.items() if times > 1)
    return number - made[0] - sum(count for times, count in made.items() if times > 1), made[0] + doubles


def table(rows: Iterator[Row]) -> Iterator[str]:
    """Yield the lines of the table in Markdown."""
    yield "| case | who | right | wrong | reports | seconds | requests |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    last = ""
    for row in rows:
        case, last = "" if row.case == last else row.case, row.case
        shown = f"{row.right:,} | {row.wrong:,} | {row.reported} | {row.seconds:.1f} | {row.requests:,}"
        yield f"| {case} | {row.who} | {shown} |"


def main() -> None:
    """Play all cases and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("--records", type=int, default=4000, help="customers of a list")
    parser.add_argument("--rows", type=int, default=200, help="rows of an import")
    parser.add_argument("--only", default="", help="the cases whose names contain this")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        url, task = options.child
        try:
            print(f"{asyncio.run(_do(url, Task.from_json(task))):,}")
        except Exception as error:  # noqa: BLE001  (what a contestant fails on is a result)
            print(f"`{type(error).__name__}`")
        return
    rows = (
        play(case, who, records=options.records if case.kind == "jsonl" else options.rows)
        for case in CASES
        if options.only in case.name
        for who in (READERS if case.kind == "jsonl" else WRITERS)
    )
    for line in table(rows):
        print(line, flush=True)


if __name__ == "__main__":
    main()

"""Reads the changes of a list and applies them to a mirror, and is killed at a random moment: a process for each night.

The mirror is a log: a line for each change that was taken, after a line for each night that took its own. Each line on
stdin is a night, as JSON; each line on stdout its outcome: `null` if it was killed, or whether it was exact. A night is
forked, since importing takes longer than reading.
"""

import json
import os
import signal
import sys
import threading
from itertools import count
from pathlib import Path

import anyio

from carecloud_async import CareCloud, CareCloudError, RetryPolicy
from carecloud_async.resources import customers  # noqa: F401  (imported once, before nights are forked)
from carecloud_async.sandbox import Sandbox

AUTH = Sandbox(customers=0).credentials()
RETRY = RetryPolicy(attempts=6, base=0.001, max_wait=0.001, budget_reserve=1000)


lines = count()
last_line = None


def log(mirror, kind, record_id, number):
    if next(lines) == last_line:
        os.kill(os.getpid(), signal.SIGKILL)
    with mirror.open("a", encoding="utf-8") as file:
        file.write(f"{kind} {record_id} {number}\n")


def load(path, mirror):
    """Apply a file of changes."""
    for line in path.read_bytes().splitlines() if path.exists() else ():
        change = json.loads(line)
        log(mirror, change["change"], change["id"], change["record"] and change["record"].get("n", 0))


async def read(url, folder, *, as_file, page, concurrency):
    """Read the changes of one night; return whether it was exact."""
    mirror, target, state = folder / "mirror", folder / "changes.jsonl", folder / "state"
    async with CareCloud(url, auth=AUTH, retry=RETRY, rate_limit=None) as client:
        listing = client.customers.list(count=page)
        changes = listing.changes(state=state, allow_shrink=True, concurrency=concurrency)
        if as_file:
            load(target, mirror)  # an earlier night may have been killed before it was loaded
            report = await changes.to_file(target, overwrite=True)
            if not report.finished_before:
                log(mirror, "night", "-", 0)
            load(target, mirror)
            return report.exact and not report.finished_before
        log(mirror, "night", "-", 0)
        async with changes:
            async for change in changes:
                log(mirror, change.kind, change.id, change.raw and json.loads(change.raw).get("n", 0))
        return changes.report.exact


def kill_after(steps):
    """Kill this process, as `kill -9` does, after that many calls and returns in all its threads."""
    counter = count(1)

    def step(*_):
        if next(counter) == steps:
            os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(step)
    sys.setprofile(step)


def night(order, outcome):
    global last_line
    last_line = order["lines"]
    if order["steps"]:
        kill_after(order["steps"])
    # The kernel ends a process that does not handle the signal, wherever it is, as with `kill -9`. So no night hangs.
    signal.setitimer(signal.ITIMER_REAL, order["milliseconds"] / 1000 or 300)
    try:
        exact = anyio.run(lambda: read(order["url"], Path(order["folder"]), **order["options"]))
    except CareCloudError:
        exact = False
    os.write(outcome, json.dumps(exact).encode())
    os._exit(0)


def main():
    for line in sys.stdin:
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            night(json.loads(line), writing)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            answer = pipe.read()
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) in {signal.SIGKILL, signal.SIGALRM}
        if not killed and not answer:
            sys.exit(f"a night failed: {status}")
        sys.stdout.write((answer.decode() if answer else "null") + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

"""`python -m benchmarks.held`: a server that holds all writes while it answers reads, and what programs say of it.

For each time that writes are held, an outbox and bulk writes of five kinds (customers by e-mail, points, credits,
purchases, events) run in processes of their own, with a read timeout of a second. Then it is told what the server has
more than once, what the programs reported, and how long after the lock they were done. The exit code is 1 if something
is missing, or is there more than once and was reported as made.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from typing import Any

#: A list of the server → the field that names a record, and what reports call its writes.
KINDS = {
    "customers": ("email", "customers.create"),
    "point_history": ("point_operation_note", "points.assign_points"),
    "credit_history": ("credit_operation_note", "credits.deposit_credits"),
    "purchases": ("external_purchase_id", "purchases.send_purchase"),
    "events": ("external_id", "events.create"),
}
_BULK = {"point_history": "points", "credit_history": "credits"}


async def play(seconds: float, number: int, settle: float) -> bool:
    """Hold writes for a time, and print what became of them; return whether everything is there, or was told."""
    pipe = asyncio.subprocess.PIPE
    with tempfile.TemporaryDirectory(prefix="held-") as folder:
        environment = {**os.environ, "XDG_STATE_HOME": folder}
        command = (sys.executable, "-m", "benchmarks.held_server", str(seconds))
        server = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        assert server.stdin is not None
        assert server.stdout is not None
        port = int(await server.stdout.readline())

        async def run(what: str) -> dict[str, Any]:
            given = (str(port), what, str(number), folder, str(settle))
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "benchmarks.held_child", *given, stdout=pipe, env=environment
            )
            said, _ = await child.communicate()
            told: dict[str, Any] = json.loads(said)
            return told

        outbox, bulk = await asyncio.gather(run("outbox"), run("bulk"))
        made = await asyncio.to_thread(_made, port)
        server.stdin.close()
        await server.wait()
    print(f"writes held for {seconds:g} s, {number} of each kind, settle={settle:g}")
    for name, program in (("outbox", outbox), ("bulk", bulk)):
        after = program["ended"] - made["until"]
        print(f"  {name}: done {after:.0f} s after the lock; it says {json.dumps(program['told'])}")
    holds = True
    for kind, (field, call) in KINDS.items():
        counts = Counter(_key_of(record, field) for record in made["records"].get(kind, []))
        for letter in "or":
            twice = [key for key, times in counts.items() if times > 1 and letter in key[:6]]
            missing = number - sum(letter in key[:6] for key in counts)
            told = (
                outbox["told"]["failed"].get(f"{call} unknown", 0)
                if letter == "o"
                else bulk["told"][_BULK.get(kind, kind)].get("unknown", 0)
            )
            if twice or missing or told:
                print(f"  {kind}: {missing} missing, {len(twice)} more than once, of which {told} are told")
            holds = holds and not missing and told == len(twice)
    return holds


def _made(port: int) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/made") as answer:
        told: dict[str, Any] = json.load(answer)
    return told


def _key_of(record: dict[str, Any], field: str) -> str:
    """Return the key of a record, which begins with the letter of its program."""
    value = str(record.get(field) or record.get("personal_information", {}).get(field))
    return value.removeprefix("[ref: ")


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.held", description=__doc__)
    parser.add_argument("--holds", default="0.5,2,10", help="for how many seconds writes are held, one after another")
    parser.add_argument("--numbers", default="1,10", help="how many of each kind")
    parser.add_argument("--settle", type=float, default=6.0, help="the settle time of the programs (seconds)")
    given = parser.parse_args()
    began, holds = time.monotonic(), True
    for seconds in map(float, given.holds.split(",")):
        for number in map(int, given.numbers.split(",")):
            holds = asyncio.run(play(seconds, number, given.settle)) and holds
    print(f"{time.monotonic() - began:.0f} s")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())

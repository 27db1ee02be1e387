"""A till of `benchmarks.till`, in a process that may be killed at any moment.

It says on its standard output what `put` has stored, in lines of JSON: what stands there must be at the server once.
"""

import asyncio
import json
import os
import sys
import time
from random import Random
from typing import Any

from benchmarks.sale import bill
from carecloud_async import CareCloud, EnterpriseCredentials, Timeout
from carecloud_async.outbox import Outbox

__all__ = ["client_of", "put_one"]

STORE = "8bc1ea2ea78f1ee0f5a8ff4f70"


def say(**what: Any) -> None:
    """Print a line, which the parent reads even if this process is killed now."""
    os.write(1, json.dumps(what).encode() + b"\n")


def client_of(port: int) -> CareCloud:
    """A client of the server, whose requests settle within eight seconds."""
    auth = EnterpriseCredentials(external_application_id="89d1a6111b3fb6e74665d948", login="till", password="p")
    return CareCloud(
        f"http://127.0.0.1:{port}", auth=auth, rate_limit=None, timeout=Timeout(connect=1, read=3, total=10)
    )


async def put_one(client: CareCloud, outbox: Outbox, till: str, dice: Random, *, customers: int = 20) -> float:
    """Put a bill or points, say so, and return the seconds that `put` took."""
    customer, number = f"c{dice.randrange(customers)}", f"{till}-{time.time_ns()}"
    began = time.perf_counter()
    if dice.random() < 0.5:
        await outbox.put(
            client.purchases.send_purchase, bill(number), store_id=STORE, cashdesk_number=1, customer_id=customer
        )
    else:
        await outbox.put(client.points.assign_points, amount=5.0, customer_id=customer, reference=number)
    seconds = time.perf_counter() - began
    say(put=number, customer=customer, ms=round(seconds * 1000, 3))
    return seconds


def rss() -> float:
    """The memory of this process, in MB."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20


async def sell(port: int, path: str, till: str, rate: float) -> None:
    """Put until a line comes on the standard input; then wait until everything went out."""
    dice, said = Random(time.time_ns()), asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    reported = 0.0
    async with client_of(port) as client, client.outbox(path, settle=8) as outbox:
        say(begins=outbox.waiting)
        while not said.done():
            await put_one(client, outbox, till, dice)
            if time.monotonic() - reported > 5:
                reported = time.monotonic()
                say(rss=rss(), waiting=outbox.waiting, failed=outbox.failed)
            await asyncio.sleep(dice.uniform(0, 2 / rate))
        is_sent = await outbox.flush(timeout=900)
        say(ends=is_sent, waiting=outbox.waiting, failed=outbox.failed, rss=rss())
        say(failures=[entry.reasons for entry in await outbox.failures()])


async def measure_backlog(port: int, path: str, backlog: int, puts: int) -> None:
    """Fill the outbox, and measure `put` while the server is away, while it hangs, and while entries are sent."""
    dice = Random(1)
    async with client_of(port) as client, client.outbox(path, settle=8) as outbox:

        async def fill() -> None:
            while outbox.waiting < backlog:
                await outbox.put(
                    client.points.assign_points, amount=1.0, customer_id=f"b{dice.randrange(10**6)}",
                    reference=f"fill-{next(numbers)}",
                )  # fmt: skip

        numbers = iter(range(10**9))
        began = time.perf_counter()
        await asyncio.gather(*(fill() for _ in range(30)))
        say(filled=outbox.waiting, seconds=round(time.perf_counter() - began, 1), rss=rss())
        for stage, order in {"away": "away", "hanging": "hang", "sending": "back"}.items():
            say(wants=order)
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
            await outbox.flush(timeout=0.1)
            before = outbox.waiting
            times = []
            for _ in range(puts):
                times.append(await put_one(client, outbox, "till", dice))
                await asyncio.sleep(0.005)
            times.sort()
            say(
                stage=stage, median=round(times[len(times) // 2] * 1000, 2), worst=round(times[-1] * 1000, 2),
                p99=round(times[len(times) * 99 // 100] * 1000, 2), rss=rss(), sent=before + puts - outbox.waiting,
            )  # fmt: skip


if __name__ == "__main__":
    port, path, what = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    if what == "backlog":
        asyncio.run(measure_backlog(port, path, int(sys.argv[4]), int(sys.argv[5])))
    else:
        asyncio.run(sell(port, path, what, float(sys.argv[4])))

"""Busy lists, in virtual time: how often an export of one is exact, and what it costs.

python -m benchmarks.busy_lists             # a table of cases
python -m benchmarks.busy_lists --seeds 20

Records are created and deleted anywhere in the list while it is read. Each answer is a slice of the list as it is at
that moment, or as a replica has it that lags behind: the server never lies, so that each exact report must be right.
"""

from __future__ import annotations

import argparse
import bisect
import math
from collections.abc import Mapping
from random import Random
from typing import Final

import anyio
from attrs import frozen

from benchmarks.simulated import LoopClock
from benchmarks.simulated_reading import SimulatedCaller, source_of
from benchmarks.virtual_time import run_virtually
from carecloud_async._calls.rate_limits.rate_limit import RateLimiter
from carecloud_async._lists.export.reading.pages import RawPage
from carecloud_async._lists.export.reading.scan import Scan
from carecloud_async._lists.export.reading.seen import TemporarySeen
from carecloud_async._lists.export.report import ExportReport
from carecloud_async._lists.export.storage.checkpoint import Checkpoint
from carecloud_async._lists.paging.auto import AUTO, Auto

__all__ = ["CASES", "BusyList", "Result", "read_busy"]


@frozen(kw_only=True)
class BusyList:
    """A list that changes while it is read.

    Attributes:
        records: how many it has at first.
        creates, deletes: how many records a second are created and deleted.
        cap: the most records of a page.
        count, width: what is asked for: records of a page, and pages at once.
        lag: how far a replica is behind, which gives half of the answers (seconds).
        latency: the time of an answer without its records (seconds).
        is_sorted: whether the server sorts by id; otherwise records come in an order of its own.
    """

    records: int = 20_000
    creates: float = 0.0
    deletes: float = 0.0
    cap: int = 1000
    count: int | Auto = AUTO
    width: int | Auto = AUTO
    lag: float = 0.0
    latency: float = 0.05
    is_sorted: bool = True


@frozen(kw_only=True)
class Result:
    """What became of a reading.

    Attributes:
        report: its report.
        lost: how many records it lacks that were there all the time.
        twice: how many it has twice.
        seconds: how long it took.
    """

    report: ExportReport
    lost: int
    twice: int
    seconds: float


CASES: Final[Mapping[str, BusyList]] = {
    "calm": BusyList(),
    "deletions, pages of 100": BusyList(deletes=50, count=100),
    "a night's deletion of 30 %": BusyList(deletes=1500),
    "creations, pages of 200": BusyList(records=40_000, creates=20, deletes=5, count=200),
    "a large list": BusyList(records=150_000, creates=3, deletes=1),
    "as many created as deleted": BusyList(creates=5, deletes=5),
    "a sale": BusyList(records=40_000, creates=100, deletes=100),
    "pages capped at 50": BusyList(creates=5, deletes=5, cap=50),
    "one request at once": BusyList(creates=5, deletes=5, width=1),
    "quick answers": BusyList(creates=50, deletes=50, latency=0.005),
    "slow answers": BusyList(creates=5, deletes=5, latency=0.3),
    "a replica 20 s behind": BusyList(creates=2, deletes=1, lag=20),
    "no sort": BusyList(creates=2, deletes=2, is_sorted=False),
}


class _Server:
    def __init__(self, busy: BusyList, dice: Random) -> None:
        self._list, self._dice = busy, dice
        ids = sorted(f"{dice.getrandbits(104):026x}" for _ in range(busy.records))
        self.began, self.gone = frozenset(ids), set[str]()
        self._listed = ids if busy.is_sorted else dice.sample(ids, len(ids))
        self._replica = [*self._listed]
        self._late: list[tuple[float, str, bool]] = []

    async def live(self) -> None:
        """Change the list."""
        busy, dice = self._list, self._dice
        changes = busy.creates + busy.deletes
        while changes:
            await anyio.sleep(dice.expovariate(changes))
            is_new = dice.random() * changes < busy.creates
            if not is_new and not self._listed:
                continue
            key = f"{dice.getrandbits(104):026x}" if is_new else dice.choice(self._listed)
            self._change(self._listed, key, is_new=is_new)
            self._late.append((anyio.current_time() + busy.lag, key, is_new))
            if not is_new:
                self.gone.add(key)

    def _change(self, listed: list[str], key: str, *, is_new: bool) -> None:
        if not self._list.is_sorted:
            listed.append(key) if is_new else listed.remove(key)
        elif is_new:
            bisect.insort(listed, key)
        else:
            del listed[bisect.bisect_left(listed, key)]

    async def answer(self, offset: int, count: int) -> tuple[list[bytes], int, float]:
        """Answer a request."""
        dice, sent = self._dice, anyio.current_time()
        count = min(count, self._list.cap)
        await anyio.sleep((self._list.latency + count * 2e-4) * dice.uniform(0.5, 1.5))
        while self._late and self._late[0][0] <= anyio.current_time():
            _, key, is_new = self._late.pop(0)
            self._change(self._replica, key, is_new=is_new)
        rows = self._replica if self._list.lag and dice.random() < 0.5 else self._listed
        items = [b'{"customer_id":"%s"}' % key.encode() for key in rows[offset : offset + count]]
        total = len(rows)
        await anyio.sleep(dice.uniform(0.005, 0.05))
        return items, total, sent


class _Writer:
    def __init__(self, seen: TemporarySeen) -> None:
        self.seen = seen
        self.ids: list[str] = []

    async def put(self, rows: RawPage, state: Checkpoint) -> None:
        for new in self.seen.select([rows], sweep=state.sweep):
            self.ids += map(str, new.ids)

    async def drain(self) -> None:
        pass

    async def restart(self) -> None:
        raise ValueError("the scan began again")


async def _read(busy: BusyList, seed: int) -> tuple[ExportReport, int, int]:
    server, seen = _Server(busy, Random(seed)), TemporarySeen()
    writer = _Writer(seen)
    caller = SimulatedCaller(server.answer, LoopClock(), RateLimiter(None, clock=LoopClock()))
    # A dict has no time of change, which would be read in another thread.
    source = source_of(caller, count=busy.count, into=dict)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.live)
        start = Checkpoint(report=ExportReport(target=""))
        report = await Scan(source, writer, start, concurrency=busy.width).run()
        tasks.cancel_scope.cancel()
    seen.close()
    return report, len(server.began - server.gone - {*writer.ids}), len(writer.ids) - len({*writer.ids})


def read_busy(busy: BusyList, seed: int) -> Result:
    """Read a busy list as an export does."""
    (report, lost, twice), seconds = run_virtually(_read(busy, seed))
    return Result(report=report, lost=lost, twice=twice, seconds=seconds)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.busy_lists", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", default="", help="the cases whose names contain this")
    options = parser.parse_args()
    print("| case | exact | wrong | requests | sweeps | seconds |\n| --- | --- | --- | --- | --- | --- |")
    for name, busy in CASES.items():
        if options.only not in name:
            continue
        results = [read_busy(busy, seed) for seed in range(options.seeds)]
        exact = [result for result in results if not result.report.reasons]
        wrong = sum(result.lost > 0 or result.twice > 0 for result in exact)
        mean = [math.fsum(column) / len(results) for column in zip(*map(_figures, results), strict=True)]
        shown = " | ".join(f"{number:.1f}" for number in mean)
        print(f"| {name} | {len(exact)}/{len(results)} | {wrong} | {shown} |", flush=True)


def _figures(result: Result) -> tuple[float, float, float]:
    return result.report.requests, result.report.passes, result.seconds


if __name__ == "__main__":
    main()

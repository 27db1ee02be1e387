"""Write the rows of a journal: chunk by chunk, find, decide, intend, send, note."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio
import anyio.lowlevel

from carecloud_async.bulk.decide import Plan
from carecloud_async.bulk.deciding import ChunkDecider
from carecloud_async.bulk.family import MAX_BATCH, BulkTarget, Key
from carecloud_async.bulk.figures import RunFigures
from carecloud_async.bulk.journal import Journal
from carecloud_async.bulk.options import BulkWriteOptions
from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.bulk.parts import parts_left, with_parts
from carecloud_async.bulk.registry import WriteRegistry
from carecloud_async.bulk.rows import StoredRow
from carecloud_async.bulk.sending import RowSender
from carecloud_async.errors import CareCloudError
from carecloud_async.runtime.parallel import run_all
from carecloud_async.runtime.threads import run_in_thread

__all__ = ["RunWriter"]

T = TypeVar("T")


#: Rows of a chunk. The look-ups of some 150 e-mail addresses fit in a URL.
CHUNK: Final = 450
#: Chunks under way at once: while one is noted the next ones are sent.
CHUNKS: Final = 3
#: Seconds between two looks at rows that another run is writing, or whose answer was lost: from, to.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0


class RunWriter:
    """Writes the rows of one run.

    Args:
        target: the family.
        journal: the rows.
        registry: the keys that runs on this machine are writing; `None` in a dry run.
        key: the key that names a record; `None` if every row is created.
        options: the options.
        figures: the figures of the run.
        slots: requests under way at once, where several writers share them.
    """

    def __init__(
        self,
        target: BulkTarget,
        journal: Journal,
        registry: WriteRegistry | None,
        *,
        key: Key | None,
        options: BulkWriteOptions,
        figures: RunFigures,
        slots: anyio.Semaphore | None = None,
    ) -> None:
        self._target = target
        self._journal = journal
        self._registry = registry
        self._key = key
        self._options = options
        self._figures = figures
        self._width = options.concurrency or target.width
        self._slots = slots or anyio.Semaphore(self._width)
        self._database = anyio.Lock()
        self._began = target.clock.monotonic()
        self._stops = False
        self._decider = ChunkDecider(target, key=key, options=options, width=self._width, mark=self._mark)
        self._sender = RowSender(target, on_retry=figures.count_retry)

    async def read_list_if_cheaper(self, folder: Path) -> None:
        """Read the whole list where that costs fewer requests than look-ups.

        Args:
            folder: where it is kept meanwhile.
        """
        await self._decider.read_list_if_cheaper(self._journal, folder)

    async def write_all(self) -> None:
        """Write all rows that wait, and settle those in doubt, until none is left.

        Raises:
            BulkWriteError: more rows were refused than `max_refused` allows.
            CareCloudError: the server is away or refuses the client.
        """
        await self._give_up_keyless()
        pause = FIRST_PAUSE
        while True:
            before = self._figures.done
            await self._write_pending()
            left = await self._settle_doubts()
            left += len(await self._db(partial(self._journal.pending, 1)))
            if not left:
                return
            pause = FIRST_PAUSE if self._figures.done > before else min(pause * 2, LONGEST_PAUSE)
            await self._target.clock.sleep(pause)

    async def _write_pending(self) -> None:
        turn, last, size, figures = anyio.Lock(), 0, self._chunk_size, self._figures

        async def work() -> None:
            nonlocal last
            while not self._stops:
                async with turn:
                    rows = await self._db(partial(self._journal.pending, size, after=last))
                    if not rows or self._stops:
                        return
                    last = rows[-1].number
                try:
                    await self._write_chunk(rows)
                    figures.check_refused(self._options, rows=max(figures.done, 1), sent="no more were sent")
                    await figures.tell()
                except BaseException:
                    self._stops = True
                    raise

        # A kill leaves every intended row without a key unknown: as few as can be are intended at a time.
        chunks = 1 if self._key is None else CHUNKS
        await run_all([work] * chunks, width=chunks)

    @property
    def _chunk_size(self) -> int:
        if self._target.batch is not None:
            return MAX_BATCH
        return self._width if self._key is None else CHUNK

    async def _write_chunk(self, rows: Sequence[StoredRow]) -> None:
        decided = await self._decider.decide_chunk(rows)
        results, plans = decided.results, decided.plans
        if self._options.dry_run:
            await self._finish([*results, *((row.number, _would_be(plan)) for row, plan in plans)], ())
            return
        plans = await self._claim(plans, results, looked_at=decided.looked_at)
        if results:
            await self._finish(results, [*rows, *decided.rows])
        if plans:
            await self._send(plans)

    async def _claim(
        self, plans: list[tuple[StoredRow, Plan]], results: list[tuple[int, RowResult]], *, looked_at: int
    ) -> list[tuple[StoredRow, Plan]]:
        """Claim the keys that are about to be created; drop those that another run has, look others up again."""
        registry = self._registry
        new = {row.key: row for row, plan in plans if plan.base is None and row.key is not None}
        if registry is None or not new:
            return plans
        claims = await run_in_thread(partial(registry.claim, list(new), looked_at=looked_at))
        ready = [(row, plan) for row, plan in plans if row.key not in claims.busy and row.key not in claims.look_again]
        again = [row for row, _ in plans if row.key in claims.look_again]
        if again:
            decided = await self._decider.look_up(again)
            results += decided.results
            ready += decided.plans
            creating = {row.key for row, plan in decided.plans if plan.base is None}
            await self._release({row.key for row in again if row.key is not None} - creating, written=False)
        return ready

    async def _send(self, plans: Sequence[tuple[StoredRow, Plan]]) -> None:
        intents = [(row.number, plan) for row, plan in plans]
        await self._db(partial(self._journal.intend, intents, now=self._target.clock.monotonic()))
        outcomes: dict[int, RowResult | None] = {}
        under_way: set[int] = set()

        async def send(row: StoredRow, plan: Plan) -> None:
            async with self._slots:
                under_way.add(row.number)
                try:
                    outcomes[row.number] = await self._sender.send(plan)
                except CareCloudError:
                    under_way.discard(row.number)  # what the sender raises has certainly done nothing
                    raise

        async def send_batch(part: Sequence[tuple[StoredRow, Plan]]) -> None:
            numbers = {row.number for row, _ in part}
            async with self._slots:
                under_way.update(numbers)
                try:
                    await self._sender.send_batch({row.number: plan for row, plan in part}, outcomes.__setitem__)
                except CareCloudError:
                    under_way.difference_update(numbers)
                    raise

        batch = [(row, plan) for row, plan in plans if plan.kind == "batch"]
        jobs: list[Callable[[], Any]] = [
            partial(send_batch, batch[begin : begin + MAX_BATCH]) for begin in range(0, len(batch), MAX_BATCH)
        ]
        jobs += [partial(send, row, plan) for row, plan in plans if plan.kind != "batch"]
        rest: dict[int, RowResult] = {}
        try:
            await run_all(jobs, width=self._width)
        except Exception:
            self._stops = True  # at once: no chunk may begin while this one is noted
            raise
        finally:
            with anyio.CancelScope(shield=True):
                rest = await self._note(plans, outcomes)
                touched = outcomes.keys() | under_way
                unsent = [(row.number, row.key) for row, _ in plans if row.number not in touched]
                if unsent:
                    await self._db(partial(self._journal.take_back, [number for number, _ in unsent]))
                    await self._release({key for _, key in unsent if key is not None}, written=False)
        # Not where the run ends: those rows stay intended, and the next run finds their records.
        await self._write_parts(rest, [row for row, _ in plans])

    async def _note(
        self, plans: Sequence[tuple[StoredRow, Plan]], outcomes: Mapping[int, RowResult | None]
    ) -> dict[int, RowResult]:
        """Note what became of rows; return those whose parts are still to be written."""
        results = [(number, one) for number, one in outcomes.items() if one is not None]
        if self._key is None:
            lost = RowResult(outcome=Outcome.UNKNOWN, reasons=("the answer was lost, and the row has no key",))
            results += [(number, lost) for number, one in outcomes.items() if one is None]
        else:
            in_doubt = [number for number, one in outcomes.items() if one is None]
            if in_doubt:
                await self._db(partial(self._journal.lose, in_doubt, now=self._target.clock.monotonic()))
        done = dict(results)
        waiting = await self._keep_without_parts(results, [row for row, _ in plans])
        if self._key is None and waiting:
            await self._db(partial(self._journal.made, [(number, one.record_id) for number, one in waiting.items()]))
        new = {row.key: done.get(row.number) for row, plan in plans if plan.base is None and row.key is not None}
        await self._release(
            {key for key, one in new.items() if one is not None and one.outcome is Outcome.CREATED}, written=True
        )
        await self._release(
            {key for key, one in new.items() if one is not None and one.outcome is not Outcome.CREATED}, written=False
        )
        return waiting

    async def _settle_doubts(self) -> int:
        """Look up the rows whose answer was lost; return how many stay in doubt."""
        if self._key is None:
            return 0
        left = 0
        last = 0
        while chunk := await self._db(partial(self._journal.doubtful, CHUNK, after=last)):
            last = chunk[-1].number
            # A killed run may have sent a row long after it was intended, but not after this run began.
            verdicts = await self._decider.look_again(chunk, not_before=self._began)
            judged = list(zip(chunk, verdicts, strict=True))
            results = [(row.number, one.result) for row, one in judged if one.result is not None]
            again = [row.number for row, one in judged if one.send_again]
            left += len(chunk) - len(results) - len(again)
            await self._finish(results, chunk)
            if again:
                await self._db(partial(self._journal.withdraw, again))
            done = {number for number, _ in results}
            await self._release({row.key for row in chunk if row.key and row.number in done}, written=True)
        return left

    async def _give_up_keyless(self) -> None:
        """End the rows without a key that an earlier run sent: they are never sent again, but their parts may be."""
        reason = "the run was stopped while it was being sent, and the row has no key"
        lost = RowResult(outcome=Outcome.UNKNOWN, reasons=(reason,))
        rows = await self._db(self._journal.keyless_doubts)
        results = [
            (row.number, lost if row.made is None else RowResult(outcome=Outcome.CREATED, record_id=row.made))
            for row in rows
        ]
        await self._finish(results, rows)

    async def _finish(self, results: list[tuple[int, RowResult]], rows: Sequence[StoredRow]) -> None:
        """Note outcomes; those of rows with parts when their parts are written."""
        await self._write_parts(await self._keep_without_parts(results, rows), rows)

    async def _keep_without_parts(
        self, results: list[tuple[int, RowResult]], rows: Sequence[StoredRow]
    ) -> dict[int, RowResult]:
        checked = {row.number: row.checked for row in rows}
        waiting = {n: one for n, one in results if n in checked and parts_left(checked[n], one)}
        await self._keep([(number, one) for number, one in results if number not in waiting])
        return waiting

    async def _write_parts(self, waiting: Mapping[int, RowResult], rows: Sequence[StoredRow]) -> None:
        if not waiting:
            return
        checked = {row.number: row.checked for row in rows if row.number in waiting}
        if any(row.intent is not None and not row.lost_at for row in rows if row.number in waiting):
            # A run that was killed may have sent a part at its end, which shows itself by then.
            settled_at = self._began + self._target.settle_seconds
            await self._target.clock.sleep(max(0.0, settled_at - self._target.clock.monotonic()))
        parts = [parts_left(checked[number], one) for number, one in waiting.items()]
        found = dict(zip(waiting, await self._decider.find_parts(parts), strict=True))
        done: list[tuple[int, RowResult]] = []

        async def write(number: int, result: RowResult) -> None:
            async with self._slots:
                done.append((number, await with_parts(checked[number], result, found[number], target=self._target)))

        try:
            await run_all([partial(write, number, one) for number, one in waiting.items()], width=self._width)
        finally:
            with anyio.CancelScope(shield=True):
                await self._keep(done)

    async def _keep(self, results: list[tuple[int, RowResult]]) -> None:
        if results:
            await self._db(partial(self._journal.finish, results))
            self._figures.note(results)

    async def _mark(self) -> int:
        return 0 if self._registry is None else await run_in_thread(self._registry.mark)

    async def _release(self, keys: set[str], *, written: bool) -> None:
        if self._registry is not None and keys:
            await run_in_thread(partial(self._registry.release, keys, written=written))

    async def _db(self, work: Callable[[], T]) -> T:
        async with self._database:
            return work() if self._journal.is_in_memory else await run_in_thread(work)


def _would_be(plan: Plan) -> RowResult:
    outcome = Outcome.CREATED if plan.base is None else Outcome.UPDATED
    return RowResult(outcome=outcome, record_id=plan.record_id, changed_fields=plan.changed)

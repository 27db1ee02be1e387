"""Write the rows of a journal chunk by chunk: find their records, decide, note intents, send, note outcomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

import anyio
import anyio.lowlevel

from carecloud_async.bulk.chunk_decider import ChunkDecider, Decided
from carecloud_async.bulk.decide import Plan
from carecloud_async.bulk.family import MAX_BATCH, BulkTarget, Key
from carecloud_async.bulk.figures import RunFigures
from carecloud_async.bulk.journal import Journal
from carecloud_async.bulk.options import BulkWriteOptions
from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.bulk.parts import FoundForRow, parts_left, write_parts
from carecloud_async.bulk.registry import WriteRegistry
from carecloud_async.bulk.rows import RowResults, StoredRow
from carecloud_async.bulk.sending import RowSender
from carecloud_async.errors import CareCloudError
from carecloud_async.runtime.parallel import run_all
from carecloud_async.runtime.threads import run_in_thread

__all__ = ["RunWriter"]

T = TypeVar("T")
Plans: TypeAlias = Sequence[tuple[StoredRow, Plan]]

#: Rows of a chunk. The look-ups of some 150 e-mail addresses fit in a URL.
CHUNK: Final = 450
#: Chunks under way at once: while one is noted the next ones are sent.
CHUNKS: Final = 3
#: Seconds between two looks at rows that another run is writing, or whose answer was lost: from, to.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0

_LOST: Final = RowResult(outcome=Outcome.UNKNOWN, reasons=("the answer was lost, and the row has no key",))
_STOPPED: Final = RowResult(
    outcome=Outcome.UNKNOWN, reasons=("the run was stopped while it was being sent, and the row has no key",)
)


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
        self._concurrency = options.concurrency or target.concurrency
        self._slots = slots or anyio.Semaphore(self._concurrency)
        self._database = anyio.Lock()
        self._began = target.clock.monotonic()
        self._stops = False
        self._decider = ChunkDecider(
            target, key=key, options=options, concurrency=self._concurrency, count_writes=self._count_writes
        )
        self._sender = RowSender(target, on_retry=figures.count_retry)

    async def read_list_if_cheaper(self, folder: Path) -> None:
        """Read the whole list where that costs fewer requests than look-ups.

        Args:
            folder: where it is kept meanwhile.
        """
        await self._decider.read_list_if_cheaper(self._journal, folder)

    async def write_all(self) -> None:
        """Write the rows that wait, and look up those in doubt, until every row has its outcome.

        Raises:
            BulkWriteError: more rows were refused than `max_refused` allows.
            CareCloudError: the server is away or refuses the client.
        """
        await self._end_rows_without_key()
        pause = FIRST_PAUSE
        while True:
            before = self._figures.done
            await self._write_pending()
            left = await self._judge_doubts()
            left += len(await self._db(partial(self._journal.pending, 1)))
            if not left:
                return
            pause = FIRST_PAUSE if self._figures.done > before else min(pause * 2, LONGEST_PAUSE)
            await self._target.clock.sleep(pause)

    async def _end_rows_without_key(self) -> None:
        """End the rows without a key that an earlier run sent: they are never sent again, but their parts may be."""
        results: RowResults = []
        for row in await self._db(self._journal.in_doubt_without_key):
            created = RowResult(outcome=Outcome.CREATED, record_id=row.created_id)
            results.append((row, _STOPPED if row.created_id is None else created))
        await self._finish(results)

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
                    await figures.report_progress()
                except BaseException:
                    self._stops = True
                    raise

        # A kill makes every intended row without a key unknown, so as few as possible are intended at a time.
        chunks = 1 if self._key is None else CHUNKS
        await run_all([work] * chunks, width=chunks)

    @property
    def _chunk_size(self) -> int:
        if self._target.batch is not None:
            return MAX_BATCH
        return self._concurrency if self._key is None else CHUNK

    async def _write_chunk(self, rows: Sequence[StoredRow]) -> None:
        decided = await self._decider.decide_chunk(rows)
        if self._options.dry_run:
            await self._store([*decided.results, *((row, plan.result) for row, plan in decided.plans)])
            return
        decided = await self._claim(decided)
        await self._finish(decided.results)
        if decided.plans:
            await self._send(decided.plans)

    async def _claim(self, decided: Decided) -> Decided:
        """Claim the keys that are about to be created.

        Rows whose keys another run has are left out: they wait. Rows whose keys another run wrote are decided again.
        """
        registry = self._registry
        new = [row.key for row, plan in decided.plans if plan.base is None and row.key is not None]
        if registry is None or not new:
            return decided
        claims = await run_in_thread(partial(registry.claim, new, writes_before=decided.writes_before))
        not_ready = claims.busy | claims.outdated
        ready = [(row, plan) for row, plan in decided.plans if row.key not in not_ready]
        outdated = [row for row, _ in decided.plans if row.key in claims.outdated]
        if not outdated:
            return Decided(results=decided.results, plans=ready)
        again = await self._decider.look_up(outdated)
        creating = {row.key for row, plan in again.plans if plan.base is None}
        await self._release({row.key for row in outdated if row.key is not None} - creating, written=False)
        return Decided(results=decided.results + again.results, plans=ready + again.plans)

    async def _send(self, plans: Plans) -> None:
        """Note intents, send them and note the outcomes; then write the parts of the rows."""
        intents = [(row.number, plan) for row, plan in plans]
        await self._db(partial(self._journal.intend, intents, now=self._target.clock.monotonic()))
        outcomes: dict[int, RowResult | None] = {}
        unsent = {row.number for row, _ in plans}
        waiting: RowResults = []

        async def send(part: dict[int, Plan]) -> None:
            async with self._slots:
                unsent.difference_update(part)
                try:
                    await self._sender.send(part, outcomes.__setitem__)
                except CareCloudError:
                    unsent.update(part.keys() - outcomes.keys())
                    raise

        try:
            await run_all([partial(send, part) for part in _requests(plans)], width=self._concurrency)
        except Exception:
            self._stops = True  # at once: no chunk may begin while this one is noted
            raise
        finally:
            with anyio.CancelScope(shield=True):
                waiting = await self._note(plans, outcomes)
                await self._take_back([row for row, _ in plans if row.number in unsent])
        # Not where the run ends: those rows stay intended, and the next run finds their records.
        await self._write_parts(waiting)

    async def _note(self, plans: Plans, outcomes: Mapping[int, RowResult | None]) -> RowResults:
        """Note the outcomes of rows that were sent; return the rows whose parts must still be written."""
        sent = [(row, outcomes[row.number]) for row, _ in plans if row.number in outcomes]
        results = [(row, one) for row, one in sent if one is not None]
        lost = [row for row, one in sent if one is None]
        if self._key is None:
            results += [(row, _LOST) for row in lost]
        elif lost:
            numbers = [row.number for row in lost]
            await self._db(partial(self._journal.set_lost, numbers, now=self._target.clock.monotonic()))
        waiting = await self._store_without_parts(results)
        if self._key is None and waiting:
            ids = [(row.number, one.record_id) for row, one in waiting]
            await self._db(partial(self._journal.set_created_ids, ids))
        new = {row.key for row, plan in plans if plan.base is None and row.key is not None}
        done = {row.key: one.outcome is Outcome.CREATED for row, one in results}
        await self._release({key for key in new if done.get(key) is True}, written=True)
        await self._release({key for key in new if done.get(key) is False}, written=False)
        return waiting

    async def _take_back(self, rows: Sequence[StoredRow]) -> None:
        if rows:
            await self._db(partial(self._journal.take_back, [row.number for row in rows]))
            await self._release({row.key for row in rows if row.key is not None}, written=False)

    async def _judge_doubts(self) -> int:
        """Look up the rows whose answer was lost; return how many stay in doubt."""
        if self._key is None:
            return 0
        left = last = 0
        while chunk := await self._db(partial(self._journal.in_doubt, CHUNK, after=last)):
            last = chunk[-1].number
            # A killed run may have sent a row long after it was intended, but not after this run began.
            verdicts = await self._decider.judge_lost(chunk, not_before=self._began)
            judged = list(zip(chunk, verdicts, strict=True))
            results = [(row, one.result) for row, one in judged if one.result is not None]
            again = [row.number for row, one in judged if one.send_again]
            left += len(chunk) - len(results) - len(again)
            await self._finish(results)
            if again:
                await self._db(partial(self._journal.send_again, again))
            await self._release({row.key for row, _ in results if row.key}, written=True)
        return left

    async def _finish(self, results: RowResults) -> None:
        """Note outcomes, those of rows with parts after the parts are written."""
        await self._write_parts(await self._store_without_parts(results))

    async def _store_without_parts(self, results: RowResults) -> RowResults:
        """Note the outcomes of rows that have no parts left; return the other rows."""
        waiting = [(row, one) for row, one in results if parts_left(row.checked, one)]
        numbers = {row.number for row, _ in waiting}
        await self._store([(row, one) for row, one in results if row.number not in numbers])
        return waiting

    async def _write_parts(self, waiting: RowResults) -> None:
        if not waiting:
            return
        if any(row.intent is not None and not row.lost_at for row, _ in waiting):
            # A run that was killed may have sent a part at its end, which takes effect by then if at all.
            settled_at = self._began + self._target.settle_seconds
            await self._target.clock.sleep(max(0.0, settled_at - self._target.clock.monotonic()))
        found = await self._decider.parts.find([parts_left(row.checked, one) for row, one in waiting])
        done: RowResults = []

        async def write(row: StoredRow, result: RowResult, records: FoundForRow) -> None:
            async with self._slots:
                done.append((row, await write_parts(row.checked, result, records, target=self._target)))

        jobs = [partial(write, row, one, records) for (row, one), records in zip(waiting, found, strict=True)]
        try:
            await run_all(jobs, width=self._concurrency)
        finally:
            with anyio.CancelScope(shield=True):
                await self._store(done)

    async def _store(self, results: RowResults) -> None:
        if results:
            numbered = [(row.number, one) for row, one in results]
            await self._db(partial(self._journal.finish, numbered))
            self._figures.add_results(numbered)

    async def _count_writes(self) -> int:
        return 0 if self._registry is None else await run_in_thread(self._registry.count_writes)

    async def _release(self, keys: set[str], *, written: bool) -> None:
        if self._registry is not None and keys:
            await run_in_thread(partial(self._registry.release, keys, written=written))

    async def _db(self, work: Callable[[], T]) -> T:
        async with self._database:
            return work() if self._journal.is_in_memory else await run_in_thread(work)


def _requests(plans: Plans) -> list[dict[int, Plan]]:
    """Divide writes into requests: batches of a thousand, and the others one by one."""
    batch = [(row.number, plan) for row, plan in plans if plan.kind == "batch"]
    batches = [dict(batch[begin : begin + MAX_BATCH]) for begin in range(0, len(batch), MAX_BATCH)]
    return batches + [{row.number: plan} for row, plan in plans if plan.kind != "batch"]

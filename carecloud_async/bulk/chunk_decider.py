"""Find the records of a chunk of rows, and decide what each row does to its record."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import anyio.lowlevel
from attrs import field, frozen

from carecloud_async.bulk.decide import Plan, decide
from carecloud_async.bulk.family import BulkTarget, Key
from carecloud_async.bulk.finding import Finder, FoundByKey
from carecloud_async.bulk.journal import Journal
from carecloud_async.bulk.lost_answers import Verdict, judge
from carecloud_async.bulk.options import BulkWriteOptions
from carecloud_async.bulk.outcome import Outcome, RowResult, refused
from carecloud_async.bulk.parts import PartLookups
from carecloud_async.bulk.rows import RowResults, StoredRow
from carecloud_async.bulk.sources.source import BATCH

__all__ = ["ChunkDecider", "Decided"]

#: A reading of the whole list that is older than this (seconds) no longer proves that a row is new: as long as
#: rows of a chunk may wait between look-up and write if a server allows some ten writes a second.
LIST_SECONDS: Final = 30.0


@frozen(kw_only=True)
class Decided:
    """What the rows of a chunk do.

    Attributes:
        results: the rows that need no write, with their outcomes.
        plans: the other rows, with the writes that they ask for.
        writes_before: how many writes the registry had counted before the records were looked up.
    """

    results: RowResults = field(factory=list)
    plans: list[tuple[StoredRow, Plan]] = field(factory=list)
    writes_before: int = 0


class ChunkDecider:
    """Decides for the rows of one run.

    Args:
        target: the family.
        key: the key that names a record; `None` if every row is created.
        options: the options.
        concurrency: look-ups under way at once.
        count_writes: returns how many writes the registry has counted.

    Attributes:
        parts: the look-ups of the rows' parts.
    """

    def __init__(
        self,
        target: BulkTarget,
        *,
        key: Key | None,
        options: BulkWriteOptions,
        concurrency: int,
        count_writes: Callable[[], Awaitable[int]],
    ) -> None:
        self.parts: PartLookups = PartLookups(target, concurrency=concurrency)
        self._target = target
        self._key = key
        self._options = options
        self._finder = None if key is None else Finder(target, key, concurrency=concurrency)
        self._count_writes = count_writes
        self._has_list = False
        self._writes_before_list, self._list_expires_at = 0, 0.0

    async def read_list_if_cheaper(self, journal: Journal, folder: Path) -> None:
        """Read the whole list into the journal where that costs fewer requests than look-ups."""
        self._writes_before_list = await self._count_writes()
        self._list_expires_at = self._target.clock.monotonic() + LIST_SECONDS
        if self._finder is not None:
            self._has_list = await self._finder.read_list_if_cheaper(journal, folder)

    async def judge_lost(self, rows: Sequence[StoredRow], *, not_before: float) -> list[Verdict]:
        """Look up rows whose answer was lost, once, and return a verdict on each.

        Args:
            rows: the rows.
            not_before: the earliest time at which an answer can have been lost, on the monotonic clock.

        Raises:
            CareCloudError: the server is away or refuses the client.
        """
        now = self._target.clock.monotonic()  # taken before the look-up, so that is_settled is never true too early
        found = await self._find(rows)
        verdicts = []
        for row in rows:
            if reasons := found.refusal(row.key):
                verdicts.append(Verdict(result=_without_look_up(row, reasons)))
            else:
                is_settled = now >= max(row.lost_at, not_before) + self._target.settle_seconds
                verdicts.append(judge(row, found.of(row.key), self._target, is_settled=is_settled))
        return verdicts

    async def decide_chunk(self, rows: Sequence[StoredRow]) -> Decided:
        """Find the records of rows, in the list if that was read, and decide."""
        if not self._has_list:
            return await self.look_up(rows)
        new = [row for row in rows if row.intent is None]
        decided = await self._decide(new, _from_list(new), writes_before=self._writes_before_list)
        if self._options.dry_run:
            return decided
        sent_before = [row for row in rows if row.intent is not None]
        if self._target.clock.monotonic() < self._list_expires_at:
            # The record that a PUT replaces is read again right before. A create can at worst make a duplicate.
            again = [row for row, plan in decided.plans if plan.base is not None]
            plans = [(row, plan) for row, plan in decided.plans if plan.base is None]
        else:
            # Other programs may have written since: the list shows only which rows need no write.
            again, plans = [row for row, _ in decided.plans], []
        looked_up = await self.look_up([*again, *sent_before])
        return Decided(
            results=decided.results + looked_up.results,
            plans=plans + looked_up.plans,
            writes_before=decided.writes_before if plans else looked_up.writes_before,
        )

    async def look_up(self, rows: Sequence[StoredRow]) -> Decided:
        """Look the records of rows up, and decide."""
        writes_before = await self._count_writes()
        return await self._decide(rows, await self._find(rows), writes_before=writes_before)

    async def _find(self, rows: Sequence[StoredRow]) -> FoundByKey:
        keys = [row.checked.key for row in rows if row.checked.key is not None]
        return FoundByKey() if self._finder is None or not keys else await self._finder.find(keys)

    async def _decide(self, rows: Sequence[StoredRow], found: FoundByKey, *, writes_before: int) -> Decided:
        pairs: list[tuple[StoredRow, RowResult | Plan]] = []
        for number, row in enumerate(rows):
            if number % BATCH == BATCH - 1:
                await anyio.lowlevel.checkpoint()
            pairs.append((row, self._decide_row(row, found)))
        decided = Decided(writes_before=writes_before)
        for row, one in await self.parts.check(pairs, dry_run=self._options.dry_run):
            if isinstance(one, Plan):
                decided.plans.append((row, one))
            else:
                decided.results.append((row, one))
        return decided

    def _decide_row(self, row: StoredRow, found: FoundByKey) -> RowResult | Plan:
        if reasons := found.refusal(row.key):
            return _without_look_up(row, reasons)
        records = found.of(row.key)
        if row.intent is not None and records:
            # The row was sent before, and its record may show by now that it was done.
            verdict = judge(row, records, self._target, is_settled=True)
            if verdict.result is not None:
                return verdict.result
        return decide(row.checked, records, target=self._target, key=self._key, options=self._options)


def _without_look_up(row: StoredRow, reasons: tuple[str, ...]) -> RowResult:
    """Return the outcome of a row whose key the server refuses to look up."""
    return refused(*reasons) if row.intent is None else RowResult(outcome=Outcome.UNKNOWN, reasons=reasons)


def _from_list(rows: Sequence[StoredRow]) -> FoundByKey:
    """Return the records that the whole list has; the journal keeps one record of a key, and their number."""
    return FoundByKey(
        records={
            row.key: (row.listed,) * max(row.listed_count, 1)
            for row in rows
            if row.key is not None and row.listed is not None
        }
    )

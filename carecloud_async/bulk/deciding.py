"""Find the records of a chunk of rows, and decide what each row does to its record."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import anyio.lowlevel
import attrs
from attrs import field, frozen

from carecloud_async.bulk.check import CheckedRow
from carecloud_async.bulk.decide import Plan, decide
from carecloud_async.bulk.doubt import outcome_shown, sent_row
from carecloud_async.bulk.family import BulkTarget, Key
from carecloud_async.bulk.finding import Finder, FoundByKey
from carecloud_async.bulk.journal import Journal
from carecloud_async.bulk.options import BulkWriteOptions
from carecloud_async.bulk.outcome import Outcome, RowResult, refused
from carecloud_async.bulk.parts import PartLook
from carecloud_async.bulk.sources.source import BATCH
from carecloud_async.bulk.stored_row import StoredRow

__all__ = ["ChunkDecider", "Decided"]

#: For how long the whole list stands for the look-ups of new rows (seconds): as long as rows of a chunk may wait
#: between their look-up and their write where a server allows some ten writes a second.
LIST_SECONDS: Final = 30.0


@frozen(kw_only=True)
class Decided:
    """What the rows of a chunk do.

    Attributes:
        results: the outcomes of rows that need no write.
        plans: the writes that the others ask for.
        rows: rows of which a part is written already, without that part.
        looked_at: since when records may have changed unseen, in seconds since the epoch.
    """

    results: list[tuple[int, RowResult]] = field(factory=list)
    plans: list[tuple[StoredRow, Plan]] = field(factory=list)
    rows: list[StoredRow] = field(factory=list)
    looked_at: float = 0.0


class ChunkDecider:
    """Decides for the rows of one run.

    Args:
        target: the family.
        key: the key that names a record; `None` if every row is created.
        options: the options.
        finder: finds records; `None` without a key.
        parts: looks up the parts that only one record can have.
    """

    def __init__(
        self,
        target: BulkTarget,
        *,
        key: Key | None,
        options: BulkWriteOptions,
        finder: Finder | None,
        parts: PartLook,
    ) -> None:
        self._target = target
        self._key = key
        self._options = options
        self._finder = finder
        self._parts = parts
        self._has_list = False
        self._list_began = self._list_ends = 0.0

    async def read_list_if_cheaper(self, journal: Journal, folder: Path) -> None:
        """Read the whole list into the journal where that costs fewer requests than look-ups."""
        clock = self._target.clock
        self._list_began, self._list_ends = clock.time(), clock.monotonic() + LIST_SECONDS
        if self._finder is not None:
            self._has_list = await self._finder.read_list_if_cheaper(journal, folder)

    async def _find(self, rows: Sequence[StoredRow]) -> FoundByKey:
        keys = [row.checked.key for row in rows if row.checked.key is not None]
        return FoundByKey() if self._finder is None or not keys else await self._finder.find(keys)

    async def decide_chunk(self, rows: Sequence[StoredRow]) -> Decided:
        """Find the records of rows, in the list if that was read, and decide."""
        if not self._has_list:
            return await self.look_up(rows)
        listed = [row for row in rows if row.intent is None]
        decided = await self._decide(listed, _from_list(listed), looked_at=self._list_began)
        sent_before = [row for row in rows if row.intent is not None]
        if self._options.dry_run:
            return decided
        if self._target.clock.monotonic() < self._list_ends:
            # What a PUT replaces is read right before; a create has nothing to lose but a double.
            unsure = [row for row, plan in decided.plans if plan.base is not None]
            plans = [(row, plan) for row, plan in decided.plans if plan.base is None]
        else:
            # By now tills and other programs may have written: the list tells only what needs no write.
            unsure, plans = [row for row, _ in decided.plans], []
        more = await self.look_up([*unsure, *sent_before])
        looked_at = decided.looked_at if plans else more.looked_at
        return Decided(
            results=decided.results + more.results,
            plans=plans + more.plans,
            rows=decided.rows + more.rows,
            looked_at=looked_at,
        )

    async def look_up(self, rows: Sequence[StoredRow]) -> Decided:
        """Look the records of rows up, and decide."""
        looked_at = self._target.clock.time()
        return await self._decide(rows, await self._find(rows), looked_at=looked_at)

    async def _decide(self, rows: Sequence[StoredRow], found: FoundByKey, *, looked_at: float) -> Decided:
        decided = Decided(looked_at=looked_at)
        ones: list[tuple[CheckedRow, RowResult | Plan]] = []
        for number, row in enumerate(rows):
            if number % BATCH == BATCH - 1:
                await anyio.lowlevel.checkpoint()
            ones.append((row.checked, self._decide_row(row, found)))
        judged = await self._parts.judge(ones, dry_run=self._options.dry_run)
        for row, (checked, one) in zip(rows, judged, strict=True):
            if checked is not row.checked:
                row = attrs.evolve(row, checked=checked)
                decided.rows.append(row)
            if isinstance(one, Plan):
                decided.plans.append((row, one))
            else:
                decided.results.append((row.number, one))
        return decided

    def _decide_row(self, row: StoredRow, found: FoundByKey) -> RowResult | Plan:
        if reasons := found.refusal(row.key):
            return _without_look_up(row, reasons)
        records = found.of(row.key)
        sent = None if row.intent is None else sent_row(row)
        shown = outcome_shown(sent, records, target=self._target)
        return shown or decide(row.checked, records, target=self._target, key=self._key, options=self._options)


def _without_look_up(row: StoredRow, reasons: tuple[str, ...]) -> RowResult:
    """Return the outcome of a row whose key the server refuses to look up."""
    return refused(*reasons) if row.intent is None else RowResult(outcome=Outcome.UNKNOWN, reasons=reasons)


def _from_list(rows: Sequence[StoredRow]) -> FoundByKey:
    found = {row.key: (row.base,) * max(row.found, 1) for row in rows if row.key is not None and row.base is not None}
    return FoundByKey(records=found)

"""Find the records of a chunk of rows, and decide what each row does to its record.

A row whose answer was lost is looked up again, and is sent again only if it certainly did not happen. To decide is to
say what a row does; to judge is to say what became of a row that was sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import anyio.lowlevel
import attrs
import msgspec
from attrs import field, frozen

from carecloud_async.bulk.decide import Plan, decide
from carecloud_async.bulk.family import BulkTarget, Key
from carecloud_async.bulk.finding import Finder, FoundByKey
from carecloud_async.bulk.journal import Journal
from carecloud_async.bulk.options import BulkWriteOptions
from carecloud_async.bulk.outcome import Outcome, RowResult, refused
from carecloud_async.bulk.parts import FoundForRow, PartLook
from carecloud_async.bulk.rows import CheckedRow, Intent, StoredRow
from carecloud_async.bulk.sources.source import BATCH

__all__ = ["ChunkDecider", "Decided", "Verdict"]

#: A reading of the whole list that is older than this (seconds) no longer proves that a row is new: as long as rows of
#: a chunk may wait between their look-up and their write where a server allows some ten writes a second.
LIST_SECONDS: Final = 30.0
#: A row is given up after it was sent so often without an answer. A kill counts too, so one run tries less.
MOST_TRIES: Final = 20


@frozen(kw_only=True)
class Decided:
    """What the rows of a chunk do.

    Attributes:
        results: the outcomes of rows that need no write.
        plans: the writes that the others ask for.
        rows: rows again, less the part that is already written.
        looked_at: the mark of the registry before records were looked up.
    """

    results: list[tuple[int, RowResult]] = field(factory=list)
    plans: list[tuple[StoredRow, Plan]] = field(factory=list)
    rows: list[StoredRow] = field(factory=list)
    looked_at: int = 0


@frozen(kw_only=True)
class Verdict:
    """What the look-up of a doubtful row showed.

    Attributes:
        result: its outcome, if that is certain now.
        send_again: whether it certainly did not happen, so that it can be sent again. If both are unset, look
            again later.
    """

    result: RowResult | None = None
    send_again: bool = False


class ChunkDecider:
    """Decides for the rows of one run.

    Args:
        target: the family.
        key: the key that names a record; `None` if every row is created.
        options: the options.
        width: look-ups under way at once.
        mark: returns the mark of the registry of writes.
    """

    def __init__(
        self,
        target: BulkTarget,
        *,
        key: Key | None,
        options: BulkWriteOptions,
        width: int,
        mark: Callable[[], Awaitable[int]],
    ) -> None:
        self._target = target
        self._key = key
        self._options = options
        self._finder = None if key is None else Finder(target, key, width=width)
        self._parts = PartLook(target, width=width)
        self._mark = mark
        self._has_list = False
        self._list_mark, self._list_ends = 0, 0.0

    async def read_list_if_cheaper(self, journal: Journal, folder: Path) -> None:
        """Read the whole list into the journal where that costs fewer requests than look-ups."""
        self._list_mark, self._list_ends = await self._mark(), self._target.clock.monotonic() + LIST_SECONDS
        if self._finder is not None:
            self._has_list = await self._finder.read_list_if_cheaper(journal, folder)

    async def look_again(self, rows: Sequence[StoredRow], *, not_before: float) -> list[Verdict]:
        """Look up rows whose answer was lost, once, and return a verdict on each.

        Args:
            rows: the rows.
            not_before: the earliest time at which an answer can have been lost, on the monotonic clock.

        Raises:
            CareCloudError: the server is away or refuses the client.
        """
        target = self._target
        now = target.clock.monotonic()  # taken before the look-up, so that is_settled is never true too early
        found = await self._find(rows)
        verdicts = []
        for row in rows:
            if reasons := found.refusal(row.key):
                verdicts.append(Verdict(result=RowResult(outcome=Outcome.UNKNOWN, reasons=reasons)))
            else:
                is_settled = now >= max(row.lost_at, not_before) + target.settle_seconds
                verdicts.append(_judge(row, found.of(row.key), target, is_settled=is_settled))
        return verdicts

    async def find_parts(self, rows: Sequence[Mapping[str, Any]]) -> list[FoundForRow]:
        """Find the records that have the parts of rows; see `PartLook.find`."""
        return await self._parts.find(rows)

    async def _find(self, rows: Sequence[StoredRow]) -> FoundByKey:
        keys = [row.checked.key for row in rows if row.checked.key is not None]
        return FoundByKey() if self._finder is None or not keys else await self._finder.find(keys)

    async def decide_chunk(self, rows: Sequence[StoredRow]) -> Decided:
        """Find the records of rows, in the list if that was read, and decide."""
        if not self._has_list:
            return await self.look_up(rows)
        listed = [row for row in rows if row.intent is None]
        decided = await self._decide(listed, _from_list(listed), looked_at=self._list_mark)
        if self._options.dry_run:
            return decided
        sent_before = [row for row in rows if row.intent is not None]
        if self._target.clock.monotonic() < self._list_ends:
            # What a PUT replaces is read right before; a create can at worst make a duplicate.
            unsure = [row for row, plan in decided.plans if plan.base is not None]
            plans = [(row, plan) for row, plan in decided.plans if plan.base is None]
        else:
            # By now tills and other programs may have written: the list shows only what needs no write.
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
        looked_at = await self._mark()
        return await self._decide(rows, await self._find(rows), looked_at=looked_at)

    async def _decide(self, rows: Sequence[StoredRow], found: FoundByKey, *, looked_at: int) -> Decided:
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
        shown = _outcome_shown(row, records, target=self._target)
        return shown or decide(row.checked, records, target=self._target, key=self._key, options=self._options)


def _without_look_up(row: StoredRow, reasons: tuple[str, ...]) -> RowResult:
    """Return the outcome of a row whose key the server refuses to look up."""
    return refused(*reasons) if row.intent is None else RowResult(outcome=Outcome.UNKNOWN, reasons=reasons)


def _from_list(rows: Sequence[StoredRow]) -> FoundByKey:
    """Return what the reading of the whole list found; the journal keeps one record of a key, and their number."""
    found = {row.key: (row.base,) * max(row.found, 1) for row in rows if row.key is not None and row.base is not None}
    return FoundByKey(records=found)


def _outcome_shown(row: StoredRow, found: Sequence[bytes], *, target: BulkTarget) -> RowResult | None:
    """Return the outcome of a row that was sent before, if its record shows by now that it was done.

    Args:
        row: the row.
        found: the records that its key finds now.
        target: the family.
    """
    return None if row.intent is None or not found else _judge(row, found, target, is_settled=True).result


def _judge(row: StoredRow, found: Sequence[bytes], target: BulkTarget, *, is_settled: bool) -> Verdict:
    intent = row.intent
    assert intent is not None  # noqa: S101  (it was sent)
    if intent.base is None:
        verdict = _judge_create(found, target, is_settled=is_settled)
    else:
        verdict = _judge_update(row.checked, intent, intent.base, found, target, is_settled=is_settled)
    if verdict.send_again and row.tries >= MOST_TRIES:
        reason = f"sent {row.tries} times, and each time the answer was lost"
        return Verdict(result=RowResult(outcome=Outcome.UNKNOWN, record_id=intent.record_id, reasons=(reason,)))
    return verdict


def _judge_create(found: Sequence[bytes], target: BulkTarget, *, is_settled: bool) -> Verdict:
    if len(found) > 1:
        reason = f"the answer was lost, and {len(found)} records have this key now"
        return Verdict(result=RowResult(outcome=Outcome.UNKNOWN, reasons=(reason,)))
    if found:
        return Verdict(result=RowResult(outcome=Outcome.CREATED, record_id=_id_of(found[0], target)))
    return Verdict(send_again=is_settled)


def _judge_update(
    row: CheckedRow, intent: Intent, base: bytes, found: Sequence[bytes], target: BulkTarget, *, is_settled: bool
) -> Verdict:
    gone = "the record is gone or its key is another one now"
    if len(found) != 1:
        if not is_settled:
            return Verdict()
        return Verdict(result=RowResult(outcome=Outcome.CONFLICT, record_id=intent.record_id, reasons=(gone,)))
    if not {*target.merge(found[0], row.changes).changed} & {*intent.changed}:
        result = RowResult(outcome=Outcome.UPDATED, record_id=intent.record_id, changed_fields=intent.changed)
        return Verdict(result=result)
    if msgspec.json.decode(found[0]) == msgspec.json.decode(base):
        return Verdict(send_again=True)
    if not is_settled:
        return Verdict()
    reason = "the answer was lost, and the record is now neither what it was nor what the row says"
    return Verdict(result=RowResult(outcome=Outcome.CONFLICT, record_id=intent.record_id, reasons=(reason,)))


def _id_of(record: bytes, target: BulkTarget) -> str | None:
    found = msgspec.json.decode(record).get(target.id_field) if target.id_field else None
    return None if found is None else str(found)

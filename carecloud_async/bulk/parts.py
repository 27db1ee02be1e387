"""The parts of rows that are written after their records: cards, property records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from carecloud_async.bulk.decide import Plan
from carecloud_async.bulk.family import BulkTarget, PartResult
from carecloud_async.bulk.finding import Finder, FoundByKey, key_text
from carecloud_async.bulk.outcome import Outcome, RowResult, refused
from carecloud_async.bulk.rows import CheckedRow

__all__ = ["PartLook", "has_parts", "part_column", "part_key", "with_parts"]

#: Outcomes after which the record is there.
_THERE: Final = frozenset({Outcome.CREATED, Outcome.UPDATED, Outcome.UNCHANGED})


def has_parts(row: CheckedRow, result: RowResult) -> bool:
    """Return whether parts are to be written before a row has its outcome."""
    return bool(row.parts) and result.outcome in _THERE and result.record_id is not None


def part_column(target: BulkTarget) -> str:
    """Return the column of the part that only one record can have; empty without one."""
    parts = target.writes.parts
    return "" if parts is None or parts.once is None else parts.once.name


def part_key(target: BulkTarget, row: CheckedRow) -> str | None:
    """Return the key of a row's part that only one record can have; `None` if the row has none."""
    parts = target.writes.parts
    if parts is None or parts.once is None:
        return None
    return key_text(parts.once, [str(row.parts.get(parts.once.name) or "")]) or None


class PartLook:
    """Looks the parts up that only one record can have, before anything is written.

    Args:
        target: the family.
        width: look-ups under way at once.
    """

    def __init__(self, target: BulkTarget, *, width: int) -> None:
        self._target = target
        parts = target.writes.parts
        once = None if parts is None else parts.once
        self._finder = None if once is None else Finder(target, once, width=width)

    async def judge(
        self, rows: Sequence[tuple[CheckedRow, RowResult | Plan]], *, dry_run: bool
    ) -> list[tuple[CheckedRow, RowResult | Plan]]:
        """Return rows with their outcomes and plans, as their parts leave them possible.

        Rows whose part is written already come back without it.

        Args:
            rows: rows, with what was decided for their records.
            dry_run: whether the outcome names the part that would be written.

        Raises:
            CareCloudError: the server is away or refuses the client.
        """
        keys = [self._key(row, decided) for row, decided in rows]
        if self._target.check_part is None or not any(keys):
            return [*rows]
        found = await self._find(keys)
        judged: list[tuple[CheckedRow, RowResult | Plan]] = []
        for (row, decided), key in zip(rows, keys, strict=True):
            if key is None:
                judged.append((row, decided))
            elif reasons := found.refusal(key):
                judged.append((row, attrs.evolve(refused(*reasons), record_id=decided.record_id)))
            else:
                part = self._target.check_part(decided.record_id, row.parts, found.of(key))
                row = row if part.changed else self._without_part(row)
                judged.append((row, _judged(decided, part, dry_run=dry_run)))
        return judged

    async def find(self, rows: Sequence[CheckedRow]) -> FoundByKey:
        """Find the records that have the parts of rows.

        Raises:
            CareCloudError: the server is away or refuses the client.
        """
        return await self._find([part_key(self._target, row) for row in rows])

    async def _find(self, keys: Sequence[str | None]) -> FoundByKey:
        wanted = [(key,) for key in dict.fromkeys(keys) if key is not None]
        return FoundByKey() if self._finder is None or not wanted else await self._finder.find(wanted)

    def _without_part(self, row: CheckedRow) -> CheckedRow:
        parts = self._target.writes.parts
        names = frozenset[str]() if parts is None else parts.names
        return attrs.evolve(row, parts={name: value for name, value in row.parts.items() if name not in names})

    def _key(self, row: CheckedRow, decided: RowResult | Plan) -> str | None:
        is_open = isinstance(decided, Plan) or decided.outcome is Outcome.UNCHANGED
        return part_key(self._target, row) if is_open else None


def _judged(decided: RowResult | Plan, part: PartResult, *, dry_run: bool) -> RowResult | Plan:
    if part.conflicts or part.refusals:
        outcome = Outcome.CONFLICT if part.conflicts else Outcome.REFUSED
        reasons = (*part.conflicts, *part.refusals)
        return RowResult(outcome=outcome, record_id=decided.record_id, reasons=reasons)
    if not dry_run or not part.changed:
        return decided
    if isinstance(decided, Plan):
        return attrs.evolve(decided, changed=(*decided.changed, *part.changed))
    return attrs.evolve(decided, outcome=Outcome.UPDATED, changed_fields=part.changed)


async def with_parts(row: CheckedRow, result: RowResult, found: FoundByKey, *, target: BulkTarget) -> RowResult:
    """Write the parts of a row and return its outcome.

    Args:
        row: the row.
        result: what became of its record.
        found: what `PartLook.find` brought just before.
        target: the family.

    Raises:
        CareCloudError: the server is away or refuses the client; the next run goes on with the parts.
    """
    if not has_parts(row, result) or target.write_parts is None or result.record_id is None:
        return result
    key = part_key(target, row)
    reasons = found.refusal(key)
    parts = (
        PartResult(refusals=reasons)
        if reasons
        else await target.write_parts(result.record_id, row.parts, found.of(key))
    )
    changed = (*result.changed_fields, *parts.changed)
    if parts.conflicts or parts.refusals:
        outcome = Outcome.CONFLICT if parts.conflicts else Outcome.REFUSED
        reasons = (*parts.conflicts, *parts.refusals)
        if result.outcome is Outcome.CREATED:
            reasons = (*reasons, "the record was created; this part of the row was not written")
        return attrs.evolve(result, outcome=outcome, changed_fields=changed, reasons=reasons)
    if parts.changed and result.outcome is Outcome.UNCHANGED:
        return attrs.evolve(result, outcome=Outcome.UPDATED, changed_fields=changed)
    return attrs.evolve(result, changed_fields=changed)

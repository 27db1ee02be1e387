"""The parts of rows that are written after their records: cards, external ids, property records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs
from attrs import field, frozen

from carecloud_async.bulk.decide import Plan
from carecloud_async.bulk.family import BulkTarget, FoundParts, Key, PartResult
from carecloud_async.bulk.finding import Finder, key_text
from carecloud_async.bulk.outcome import Outcome, RowResult, refused
from carecloud_async.bulk.rows import CheckedRow

__all__ = ["FoundForRow", "PartLook", "once_column", "once_key", "parts_left", "with_parts"]

#: Outcomes after which the record is there.
_THERE: Final = frozenset({Outcome.CREATED, Outcome.UPDATED, Outcome.UNCHANGED})


@frozen(kw_only=True)
class FoundForRow:
    """What was found for the parts of a row.

    Attributes:
        keys: the keys that the row has.
        records: the records of each, by the key's name.
        refusals: why the server refuses to look a key up.
    """

    keys: tuple[Key, ...] = ()
    records: FoundParts = field(factory=dict, repr=False)
    refusals: tuple[str, ...] = ()


def parts_left(row: CheckedRow, result: RowResult) -> Mapping[str, Any]:
    """Return the parts that are to be written before a row has its outcome."""
    if result.outcome not in _THERE or result.record_id is None:
        return {}
    return _parts_of(row, is_new=result.outcome is Outcome.CREATED)


def once_column(target: BulkTarget) -> str:
    """Return the column of the part that only one row can have; empty without one."""
    parts = target.writes.parts
    return "" if parts is None else parts.keys[0].name


def once_key(target: BulkTarget, row: CheckedRow) -> str | None:
    """Return the key of a row's part that only one row can have; `None` if the row has none."""
    parts = target.writes.parts
    values = None if parts is None else _values(parts.keys[0], row.parts)
    return None if parts is None or values is None else key_text(parts.keys[0], values)


class PartLook:
    """Looks up the parts that have keys, many at a time.

    Args:
        target: the family.
        width: look-ups under way at once.
    """

    def __init__(self, target: BulkTarget, *, width: int) -> None:
        self._target = target
        parts = target.writes.parts
        self._finders = [] if parts is None else [(key, Finder(target, key, width=width)) for key in parts.keys]

    async def judge(
        self, rows: Sequence[tuple[CheckedRow, RowResult | Plan]], *, dry_run: bool
    ) -> list[tuple[CheckedRow, RowResult | Plan]]:
        """Return rows with their outcomes and plans, as their parts leave them possible.

        Parts that are written already are left out of the rows that come back.

        Args:
            rows: rows, with what was decided for their records.
            dry_run: whether the outcome names the parts that would be written.

        Raises:
            CareCloudError: the server is away or refuses the client.
        """
        found = await self.find([_open_parts(row, decided) for row, decided in rows])
        return [
            self._judge(row, decided, one, dry_run=dry_run) for (row, decided), one in zip(rows, found, strict=True)
        ]

    async def find(self, rows: Sequence[Mapping[str, Any]]) -> list[FoundForRow]:
        """Find the records that have the parts of rows.

        Raises:
            CareCloudError: the server is away or refuses the client.
        """
        found = [FoundForRow() for _ in rows]
        for key, finder in self._finders:
            texts: dict[int, str] = {}
            wanted: dict[str, Sequence[str]] = {}
            for number, parts in enumerate(rows):
                values = _values(key, parts)
                if values is not None:
                    texts[number] = key_text(key, values)
                    wanted[texts[number]] = values
            if not wanted:
                continue
            records = await finder.find([tuple(one) for one in wanted.values()])
            for number, text in texts.items():
                found[number] = FoundForRow(
                    keys=(*found[number].keys, key),
                    records={**found[number].records, key.name: records.of(text)},
                    refusals=(*found[number].refusals, *records.refusal(text)),
                )
        return found

    def _judge(
        self, row: CheckedRow, decided: RowResult | Plan, found: FoundForRow, *, dry_run: bool
    ) -> tuple[CheckedRow, RowResult | Plan]:
        parts = self._target.writes.parts
        if parts is None or self._target.check_parts is None or not found.keys:
            return row, decided
        if found.refusals:
            return row, attrs.evolve(refused(*found.refusals), record_id=decided.record_id)
        result = self._target.check_parts(decided.record_id, row.parts, found.records)
        done = {name for key in found.keys if key.name not in result.changed for name in key.paths}
        if parts.keys[0].name in done:
            done |= parts.names
        if done:
            row = attrs.evolve(row, parts={name: value for name, value in row.parts.items() if name not in done})
        return row, _judged(decided, result, dry_run=dry_run)


def _open_parts(row: CheckedRow, decided: RowResult | Plan) -> Mapping[str, Any]:
    """Return the parts that would be written, as far as the record's outcome does not forbid it."""
    is_open = isinstance(decided, Plan) or decided.outcome is Outcome.UNCHANGED
    return _parts_of(row, is_new=decided.record_id is None) if is_open else {}


def _parts_of(row: CheckedRow, *, is_new: bool) -> Mapping[str, Any]:
    """Return the parts of a row that its record's write leaves: a create writes what stands beside the record."""
    return {name: value for name, value in row.parts.items() if not (is_new and name in row.beside)}


def _values(key: Key, parts: Mapping[str, Any]) -> list[str] | None:
    """Return the values of a part's key; `None` if one is missing."""
    values = [str(parts.get(path) or "") for path in key.paths]
    return values if all(map(key.normal, values)) else None


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


async def with_parts(row: CheckedRow, result: RowResult, found: FoundForRow, *, target: BulkTarget) -> RowResult:
    """Write the parts of a row and return its outcome.

    Args:
        row: the row.
        result: what became of its record.
        found: what `PartLook.find` brought just before.
        target: the family.

    Raises:
        CareCloudError: the server is away or refuses the client; the next run goes on with the parts.
    """
    left = parts_left(row, result)
    if not left or target.write_parts is None or result.record_id is None:
        return result
    parts = PartResult(refusals=found.refusals)
    if not found.refusals:
        parts = await target.write_parts(result.record_id, left, found.records)
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

"""The parts of rows that are written after their records: cards, external ids, property records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs
from attrs import field, frozen

from carecloud_async.bulk.decide import Plan
from carecloud_async.bulk.family import BulkTarget, FoundParts, PartResult
from carecloud_async.bulk.finding import Finder
from carecloud_async.bulk.outcome import Outcome, RowResult, refused
from carecloud_async.bulk.rows import CheckedRow, StoredRow

__all__ = ["FoundForRow", "PartLookups", "parts_left", "write_parts"]

#: Outcomes after which the record exists.
_EXISTS: Final = frozenset({Outcome.CREATED, Outcome.UPDATED, Outcome.UNCHANGED})


@frozen(kw_only=True)
class FoundForRow:
    """What was found for the parts of a row.

    Attributes:
        records: the records that have the row's parts, by the name of the part's key, for each key that the row has.
        refusals: why the server refuses to look a key up.
    """

    records: FoundParts = field(factory=dict, repr=False)
    refusals: tuple[str, ...] = ()


def parts_left(row: CheckedRow, result: RowResult) -> Mapping[str, Any]:
    """Return the parts that must be written before a row has its outcome."""
    if result.outcome not in _EXISTS or result.record_id is None:
        return {}
    return _parts_of(row, is_new=result.outcome is Outcome.CREATED)


def _parts_of(row: CheckedRow, *, is_new: bool) -> Mapping[str, Any]:
    """Return the parts of a row that the write of its record leaves; a create writes the fields next to the record."""
    return {name: value for name, value in row.parts.items() if not (is_new and name in row.create_fields)}


class PartLookups:
    """Looks up the parts that have keys, many at a time.

    Args:
        target: the family.
        concurrency: look-ups under way at once.
    """

    def __init__(self, target: BulkTarget, *, concurrency: int) -> None:
        self._target = target
        parts = target.writes.parts
        self._finders = [Finder(target, key, concurrency=concurrency) for key in (parts.keys if parts else ())]

    async def find(self, rows: Sequence[Mapping[str, Any]]) -> list[FoundForRow]:
        """Find the records that have the parts of rows.

        Raises:
            CareCloudError: the server is away or refuses the client.
        """
        found = [FoundForRow() for _ in rows]
        for finder in self._finders:
            key = finder.key
            wanted = {index: values for index, parts in enumerate(rows) if (values := key.values_in(parts)) is not None}
            if not wanted:
                continue
            # One value of each key: two rows may have the same, spelled differently.
            by_key = await finder.find(list({key.text(values): values for values in wanted.values()}.values()))
            for index, values in wanted.items():
                text = key.text(values)
                found[index] = FoundForRow(
                    records={**found[index].records, key.name: by_key.of(text)},
                    refusals=(*found[index].refusals, *by_key.refusal(text)),
                )
        return found

    async def check(
        self, rows: Sequence[tuple[StoredRow, RowResult | Plan]], *, dry_run: bool
    ) -> list[tuple[StoredRow, RowResult | Plan]]:
        """Look up the parts of rows before anything is written: a part that is impossible decides the row's outcome.

        Args:
            rows: the rows, with what was decided for their records.
            dry_run: whether the outcome names the parts that would be written.

        Returns:
            the rows without the parts that are written already, and with their outcomes or plans.

        Raises:
            CareCloudError: the server is away or refuses the client.
        """
        found = await self.find([_open_parts(row.checked, decided) for row, decided in rows])
        return [
            self._check(row, decided, one, dry_run=dry_run) for (row, decided), one in zip(rows, found, strict=True)
        ]

    def _check(
        self, row: StoredRow, decided: RowResult | Plan, found: FoundForRow, *, dry_run: bool
    ) -> tuple[StoredRow, RowResult | Plan]:
        parts, check_parts = self._target.writes.parts, self._target.check_parts
        if parts is None or check_parts is None or not found.records:
            return row, decided
        if found.refusals:
            return row, attrs.evolve(refused(*found.refusals), record_id=decided.record_id)
        result = check_parts(decided.record_id, row.checked.parts, found.records)
        keys = [key for key in parts.keys if key.name in found.records and key.name not in result.changed]
        written = {name for key in keys for name in key.paths}
        if parts.keys[0].name in written:
            written |= parts.names
        left = {name: value for name, value in row.checked.parts.items() if name not in written}
        row = attrs.evolve(row, checked=attrs.evolve(row.checked, parts=left))
        return row, _with_checked_parts(decided, result, dry_run=dry_run)


def _open_parts(row: CheckedRow, decided: RowResult | Plan) -> Mapping[str, Any]:
    """Return the parts that would be written, unless the record's outcome forbids it."""
    is_open = isinstance(decided, Plan) or decided.outcome is Outcome.UNCHANGED
    return _parts_of(row, is_new=decided.record_id is None) if is_open else {}


def _with_checked_parts(decided: RowResult | Plan, parts: PartResult, *, dry_run: bool) -> RowResult | Plan:
    if parts.failure is not None:
        return RowResult(outcome=parts.failure, record_id=decided.record_id, reasons=parts.reasons)
    if not dry_run or not parts.changed:
        return decided
    if isinstance(decided, Plan):
        return attrs.evolve(decided, changed=(*decided.changed, *parts.changed))
    return attrs.evolve(decided, outcome=Outcome.UPDATED, changed_fields=parts.changed)


async def write_parts(row: CheckedRow, result: RowResult, found: FoundForRow, *, target: BulkTarget) -> RowResult:
    """Write the parts of a row and return its outcome.

    Args:
        row: the row.
        result: the outcome of its record.
        found: what `PartLookups.find` returned just before.
        target: the family.

    Raises:
        CareCloudError: the server is away or refuses the client; the next run continues with the parts.
    """
    left = parts_left(row, result)
    if not left or target.write_parts is None or result.record_id is None:
        return result
    parts = PartResult(refusals=found.refusals)
    if not found.refusals:
        parts = await target.write_parts(result.record_id, left, found.records)
    outcome, reasons = result.outcome, parts.reasons
    if parts.failure is not None:
        outcome = parts.failure
        if result.outcome is Outcome.CREATED:
            reasons = (*reasons, "the record was created; this part of the row was not written")
    elif parts.changed and outcome is Outcome.UNCHANGED:
        outcome = Outcome.UPDATED
    changed = (*result.changed_fields, *parts.changed)
    return attrs.evolve(result, outcome=outcome, changed_fields=changed, reasons=reasons)

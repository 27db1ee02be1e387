"""The parts of rows that are written after their records: cards, property records."""

from __future__ import annotations

from typing import Final

import attrs

from carecloud_async.bulk.check import CheckedRow
from carecloud_async.bulk.family import BulkTarget
from carecloud_async.bulk.outcome import Outcome, RowResult

__all__ = ["has_parts", "with_parts"]

#: Outcomes after which the record is there.
_THERE: Final = frozenset({Outcome.CREATED, Outcome.UPDATED, Outcome.UNCHANGED})


def has_parts(row: CheckedRow, result: RowResult) -> bool:
    """Return whether parts are to be written before a row has its outcome."""
    return bool(row.parts) and result.outcome in _THERE and result.record_id is not None


async def with_parts(row: CheckedRow, result: RowResult, *, target: BulkTarget) -> RowResult:
    """Write the parts of a row and return its outcome.

    Raises:
        CareCloudError: the server is away or refuses the client; the next run goes on with the parts.
    """
    if not has_parts(row, result) or target.write_parts is None or result.record_id is None:
        return result
    parts = await target.write_parts(result.record_id, row.parts)
    changed = (*result.changed_fields, *parts.changed)
    if parts.conflicts or parts.refusals:
        outcome = Outcome.CONFLICT if parts.conflicts else Outcome.REFUSED
        reasons = (*parts.conflicts, *parts.refusals)
        return attrs.evolve(result, outcome=outcome, changed_fields=changed, reasons=reasons)
    if parts.changed and result.outcome is Outcome.UNCHANGED:
        return attrs.evolve(result, outcome=Outcome.UPDATED, changed_fields=changed)
    return attrs.evolve(result, changed_fields=changed)

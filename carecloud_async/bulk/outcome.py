"""`Outcome` and `RowResult`: what became of one row."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from attrs import frozen

__all__ = ["LINE", "OUTCOME_COLUMNS", "UNREADABLE", "WRITTEN", "Outcome", "RowResult"]

#: The column of results and rejects with the line in which a row begins.
LINE: Final = "line"
#: The columns of results that follow those of the source; in a source they are ignored.
OUTCOME_COLUMNS: Final = (LINE, "outcome", "record_id", "changed_fields", "reasons")
#: The column of results and rejects with the text of rows that cannot be read; in a source it is ignored.
UNREADABLE: Final = "unreadable"


class Outcome(StrEnum):
    """The outcome of a row. Each row has exactly one."""

    CREATED = "created"
    """The row made a new record."""
    UPDATED = "updated"
    """The row changed its record."""
    UNCHANGED = "unchanged"
    """The record already had the values of the row; nothing was sent."""
    REFUSED = "refused"
    """The row cannot be read, has no key, repeats one, or the server refused it; the reasons say which."""
    CONFLICT = "conflict"
    """The record is not in the state that the row expects, and was not changed; or a part of the row (a card, say)
    could not be written, and the reasons say whether the record was."""
    UNKNOWN = "unknown"
    """The answer was lost, and no record shows what became of the row: it has no key, several records have it, it is
    written after the record, or a second create was refused. The row is never sent again by itself."""


#: Outcomes after which a record has what its row says.
WRITTEN: Final = frozenset({Outcome.CREATED, Outcome.UPDATED, Outcome.UNCHANGED})


@frozen(kw_only=True)
class RowResult:
    """The outcome of one row.

    Attributes:
        outcome: what became of it.
        record_id: the id of its record, where known. Batch endpoints do not tell the ids of what they create.
        changed_fields: the dotted fields that the row changed, or would change in a dry run.
        reasons: why it was refused or is in conflict, as `field: reason`; never a value.
    """

    outcome: Outcome
    record_id: str | None = None
    changed_fields: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


def refused(*reasons: str) -> RowResult:
    """Return the result of a refused row."""
    return RowResult(outcome=Outcome.REFUSED, reasons=reasons)

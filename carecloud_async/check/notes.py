"""Findings about histories of points and credits: whether they are searched by a part of the note.

Bulk writes and outboxes find an operation again by the reference in its note.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from carecloud_async.check.families import FamilyList
from carecloud_async.check.replies import Record
from carecloud_async.check.report import CheckFinding, good, not_known, problem, warning
from carecloud_async.resources.lookup.lists import listable

__all__ = ["note_findings"]

#: Family → its history, and the field of a record that is its note.
_HISTORIES: Final = {
    "points": ("point_history", "point_operation_note"),
    "credits": ("credit_history", "credit_operation_note"),
}
#: Customers whose histories are read in search of a note: an empty one may cost a repeat.
_CUSTOMERS: Final = 1
_MEANS: Final = "bulk writes and outboxes find an operation whose answer was lost by the reference in its note"
_FIX: Final = "write points and credits one by one, and tell the project's administrator"


async def note_findings(families: Sequence[FamilyList]) -> list[CheckFinding]:
    """Return whether the history of a customer can be searched by note.

    Args:
        families: the families and their first pages.
    """
    readable = [one for one in families if one.name in _HISTORIES and one.reply.records]
    return [await _finding(one) for one in readable]


async def _finding(family: FamilyList) -> CheckFinding:
    name, note_field = _HISTORIES[family.name]
    history = listable()[name]
    customers = dict.fromkeys(str(one["customer_id"]) for one in family.reply.records if one.get("customer_id"))
    customer_id, note = "", None
    for customer_id in [*customers][:_CUSTOMERS]:
        reply = await family.probe.ask(history, customer_id=customer_id, count=20)
        note = next((text for one in reply.records if (text := _text(one, note_field))), None)
        if note is not None:
            break
    if note is None:
        seen = f"no note was seen in the {name} of {len(customers)} customers"
        return not_known(
            "notes", seen, f"{_MEANS}: whether these are searched is not known", "run it again when there are some"
        )
    part = note[len(note) // 4 : len(note) // 4 + max(4, len(note) // 2)]
    by_part = await family.probe.ask(history, customer_id=customer_id, count=20, **{note_field: part})
    if not by_part.is_evidence:
        seen = f"the {name} of a customer could not be searched by note: {by_part}"
        return not_known("notes", seen, f"{_MEANS}: whether these are searched is not known", "run it again")
    if note not in {_text(one, note_field) for one in by_part.records}:
        seen = f"the {name} of a customer, searched by a part of a note, does not find that note"
        return problem("notes", seen, f"{_MEANS}: here it is not found, and could be made twice", _FIX)
    if any(part not in str(one.get(note_field) or "") for one in by_part.records):
        seen = f"the {name} of a customer is not searched by note: a part of a note finds other records too"
        return warning(
            "notes",
            seen,
            f"{_MEANS}: the SDK compares what came, and refuses a customer with a history of more than a page",
            "tell the project's administrator",
        )
    return good("notes", f"the {name} of a customer is searched by a part of the note", _MEANS)


def _text(record: Record, note_field: str) -> str | None:
    """Return the note of a record that is long enough to be searched for."""
    note = record.get(note_field)
    return note if isinstance(note, str) and len(note.strip()) >= 8 else None

"""Findings about filters: one that must find nothing, in which form that nothing comes, by ids, and by a note.

Bulk writes and outboxes find an operation on points or credits again by the reference in the note of its history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Final

from attrs import field, frozen

from carecloud_async._base.project import Interface
from carecloud_async.check.families import FamilyList
from carecloud_async.check.probe import Param
from carecloud_async.check.replies import Record, Reply
from carecloud_async.check.report import CheckFinding, CheckStatus, good, not_known, problem, warning
from carecloud_async.resources.lookup.by_name import listable

__all__ = ["filter_findings", "note_findings"]

_MOST_FAMILIES: Final = 3
_FILTERED_WRONGLY: Final = (
    "filtered lists and exports hold records that they should not; a bulk write that looks rows up by this filter "
    "could change the wrong record (the SDK compares what came back and stops)"
)
_COMPARE: Final = "compare the records yourself after filtering, and tell the project's administrator"
_EMPTY_MEANS: Final = (
    "a filtered list or export that finds nothing, and a bulk write's look-up of a row that is new, get such an answer"
)
#: Family → its history, and the field of a record that is its note.
_HISTORIES: Final = {
    "points": ("point_history", "point_operation_note"),
    "credits": ("credit_history", "credit_operation_note"),
}
#: Customers whose histories are read in search of a note: an empty one may cost a repeat.
_NOTE_CUSTOMERS: Final = 1
_NOTE_MEANS: Final = "bulk writes and outboxes find an operation whose answer was lost by the reference in its note"
_NOTE_FIX: Final = "write points and credits one by one, and tell the project's administrator"


@frozen
class _Asked:
    """A filter that must find nothing, and what came.

    Attributes:
        family: the list.
        params: the filter.
        reply: the answer.
    """

    family: FamilyList
    params: Mapping[str, Param] = field(repr=False)
    reply: Reply

    @property
    def label(self) -> str:
        return f"{self.family.name} by {', '.join(self.params)}"


async def filter_findings(
    families: Sequence[FamilyList], target: FamilyList | None, random: Random
) -> list[CheckFinding]:
    """Return which filters are applied, and in which form an empty list comes.

    Args:
        families: the families and their first pages.
        target: the list that is looked at closely.
        random: where values come from that no record has.
    """
    asked = [
        _Asked(family, params, await family.ask(count=5, **params))
        for family, params in _empty_filters(families, random)
    ]
    by_ids = None if target is None or target.name != "customers" else await _ByIds.ask(target)
    found = [*_applied(asked), *_totals(asked)]
    if by_ids is not None:
        found.append(by_ids.finding())
    empty = _empty_form(asked, families, ids_work=by_ids is not None and by_ids.works)
    return [*found, empty, *([] if empty.status is CheckStatus.PROBLEM else _refused(asked))]


def _empty_filters(families: Sequence[FamilyList], random: Random) -> list[tuple[FamilyList, Mapping[str, Param]]]:
    """Return filters with values that no record has."""
    nowhere = f"{random.getrandbits(104):026x}"
    readable = [one for one in families if one.reply.records]
    wanted: list[tuple[FamilyList, Mapping[str, Param]]] = []
    for one in readable:
        if one.name == "customers":
            wanted += [
                (one, {"email": f"{nowhere}@nowhere.invalid"}),
                (one, {"last_name": f"Nobody{nowhere}"}),
                (one, {"customer_ids": [nowhere, nowhere[::-1]]}),
            ]
    # A customer may not ask for the records of another one, even if there is none.
    may_ask = [one for one in readable if one.probe.caller.interface == Interface.ENTERPRISE]
    with_owner = [one for one in may_ask if "customer_id" in one.operation.parameters]
    return wanted + [(one, {"customer_id": nowhere}) for one in with_owner[:_MOST_FAMILIES]]


def _applied(asked: Sequence[_Asked]) -> list[CheckFinding]:
    """Return which filters find nothing, as they must; one finding for each kind of answer."""
    ignored = [one.label for one in asked if one.reply.length]
    applied = [one.label for one in asked if one.reply.is_page and not one.reply.length]
    unread = [f"{one.label}: {one.reply}" for one in asked if not one.reply.is_evidence]
    found = []
    if ignored:
        seen = f"filters that must find nothing found records: {'; '.join(ignored)}"
        found.append(problem("filters", seen, _FILTERED_WRONGLY, _COMPARE))
    if applied:
        found.append(good("filters", f"filters that must find nothing found nothing: {'; '.join(applied)}", "as asked"))
    if unread:
        found.append(
            not_known(
                "filters",
                f"some filters could not be tried: {'; '.join(unread)}",
                "whether these are applied is not known",
                "run it again",
            )
        )
    return found


def _totals(asked: Sequence[_Asked]) -> list[CheckFinding]:
    wrong = [one.label for one in asked if one.reply.is_page and not one.reply.length and one.reply.total]
    if not wrong:
        return []
    return [
        warning(
            "totals",
            f"total_items is not 0 where a filter found nothing: {'; '.join(wrong)}",
            "total() of a filtered list is wrong",
            "count filtered lists by iterating",
        )
    ]


def _refused(asked: Sequence[_Asked]) -> list[CheckFinding]:
    """Return which filters are refused: of the customers themselves, and by a customer that does not exist."""
    refused = [one for one in asked if not one.reply.is_page and one.reply.is_evidence]
    own = [f"{one.label}: {one.reply}" for one in refused if one.family.name == "customers"]
    by_owner = [f"{one.label}: {one.reply}" for one in refused if one.family.name != "customers"]
    found = []
    if own:
        found.append(
            warning(
                "filters",
                f"filters are refused: {'; '.join(own)}",
                "lists and bulk writes that look customers up by these end with an error",
                "look them up by another field, and tell the project's administrator",
            )
        )
    if by_owner:
        found.append(
            not_known(
                "filters",
                f"filters by a customer that does not exist are refused: {'; '.join(by_owner)}",
                "whether these are applied is not known: a refusal of such a customer is no fault",
                "compare the records yourself after filtering",
            )
        )
    return found


def _empty_form(asked: Sequence[_Asked], families: Sequence[FamilyList], *, ids_work: bool) -> CheckFinding:
    """Return in which form an empty list comes.

    A refusal shows it only for the filter by ids, and where that filter finds ids that exist: another refusal can be
    about the filter itself, or about a customer that does not exist.
    """
    by_ids = [one.reply for one in asked if "customer_ids" in one.params and not one.reply.is_page]
    if ids_work and by_ids and by_ids[0].is_evidence:
        return problem(
            "empty_list",
            f"a list of customers that finds nothing is not an empty list: {by_ids[0]}",
            f"{_EMPTY_MEANS}: the SDK raises an error for it, and rows of customers that are new are not created",
            "tell the project's administrator: an empty list is a list without records; create new records one by one",
        )
    if any(one.reply.is_page and not one.reply.length for one in asked):
        return good("empty_list", "a filter that finds nothing gives an empty list", _EMPTY_MEANS)
    if any(one.reply.is_page and not one.reply.length for one in families):
        return good("empty_list", "a list without records comes as an empty list", _EMPTY_MEANS)
    return not_known(
        "empty_list",
        "no list that is empty was seen",
        f"{_EMPTY_MEANS}: in which form is not known",
        "run it again with a user who may read customers, and may filter them",
    )


@frozen
class _ByIds:
    """Customers asked for by their ids.

    Attributes:
        wanted: the ids.
        reply: the answer; `None` if there were no ids to ask with.
        id_field: the field of the id.
    """

    wanted: frozenset[str] = field(repr=False)
    reply: Reply
    id_field: str

    @classmethod
    async def ask(cls, target: FamilyList) -> _ByIds:
        """Ask for the first customers by their ids."""
        ids = [str(one) for one in target.reply.ids(target.id_field)[:2]]
        reply = await target.ask(count=10, customer_ids=ids) if ids else Reply.unsent()
        return cls(frozenset(ids), reply, target.id_field)

    @property
    def works(self) -> bool:
        """Whether exactly these customers came."""
        found = {str(one) for one in self.reply.ids(self.id_field)}
        return bool(self.wanted) and found == self.wanted

    def finding(self) -> CheckFinding:
        """Return whether lists of ids can be looked up."""
        if self.works:
            seen = "customers by customer_ids gives these customers"
            return good("filters", seen, "lists of ids can be looked up")
        if not self.wanted or not self.reply.is_evidence:
            return not_known(
                "filters",
                f"customers by customer_ids could not be read: {self.reply}",
                "whether lists of ids can be looked up is not known",
                "run it again",
            )
        fix = "look customers up one by one, and tell the project's administrator"
        if self.reply.is_page:
            seen = "customers by customer_ids does not give the customers that were asked for"
            return problem("filters", seen, _FILTERED_WRONGLY, fix)
        return problem(
            "filters",
            f"customers by customer_ids does not come as a list: {self.reply}",
            "lists of ids cannot be looked up: bulk writes by customer_id stop",
            fix,
        )


async def note_findings(families: Sequence[FamilyList]) -> list[CheckFinding]:
    """Return whether the history of a customer can be searched by note.

    Args:
        families: the families and their first pages.
    """
    readable = [one for one in families if one.name in _HISTORIES and one.reply.records]
    return [await _note_finding(one) for one in readable]


async def _note_finding(family: FamilyList) -> CheckFinding:
    name, note_field = _HISTORIES[family.name]
    history = listable()[name]
    customers = dict.fromkeys(str(one["customer_id"]) for one in family.reply.records if one.get("customer_id"))
    customer_id, note = "", None
    for customer_id in [*customers][:_NOTE_CUSTOMERS]:
        reply = await family.probe.ask(history, customer_id=customer_id, count=20)
        note = next((text for one in reply.records if (text := _note_of(one, note_field))), None)
        if note is not None:
            break
    if note is None:
        seen = f"no note was seen in the {name} of {len(customers)} customers"
        return not_known(
            "notes", seen, f"{_NOTE_MEANS}: whether these are searched is not known", "run it again when there are some"
        )
    part = note[len(note) // 4 : len(note) // 4 + max(4, len(note) // 2)]
    by_part = await family.probe.ask(history, customer_id=customer_id, count=20, **{note_field: part})
    if not by_part.is_evidence:
        seen = f"the {name} of a customer could not be searched by note: {by_part}"
        return not_known("notes", seen, f"{_NOTE_MEANS}: whether these are searched is not known", "run it again")
    if note not in {_note_of(one, note_field) for one in by_part.records}:
        seen = f"the {name} of a customer, searched by a part of a note, does not find that note"
        return problem("notes", seen, f"{_NOTE_MEANS}: here it is not found, and could be made twice", _NOTE_FIX)
    if any(part not in str(one.get(note_field) or "") for one in by_part.records):
        seen = f"the {name} of a customer is not searched by note: a part of a note finds other records too"
        return warning(
            "notes",
            seen,
            f"{_NOTE_MEANS}: the SDK compares what came, and refuses a customer with a history of more than a page",
            "tell the project's administrator",
        )
    return good("notes", f"the {name} of a customer is searched by a part of the note", _NOTE_MEANS)


def _note_of(record: Record, note_field: str) -> str | None:
    """Return the note of a record that is long enough to be searched for."""
    note = record.get(note_field)
    return note if isinstance(note, str) and len(note.strip()) >= 8 else None

"""Probes of filters: some that must find nothing, in which form that nothing comes, some ids, and a part of a note."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from carecloud_async._base.project import Interface
from carecloud_async.check.look import Look, NotSeen, Param, Reply
from carecloud_async.check.probe import Verdict, bad, probe, warn

__all__ = ["empty_list", "filters", "notes"]

#: The most lists that are filtered by a customer who does not exist.
_MOST_FAMILIES: Final = 2
#: Family → its history, and the field of a record that is its note.
_HISTORIES: Final = {
    "points": ("point_history", "point_operation_note"),
    "credits": ("credit_history", "credit_operation_note"),
}


async def _nothing(look: Look) -> Sequence[Reply]:
    """Return the answers to filters that must find nothing, that by customer_ids first."""
    with_records = [one for one in look.families if one.items]
    owned = [one.name for one in with_records if "customer_id" in one.operation.parameters]
    asked: list[tuple[str, dict[str, Param]]] = []
    if any(one.name == "customers" for one in with_records):
        asked.append(("customers", {"customer_ids": [look.nowhere, look.nowhere[::-1]]}))
        asked.append(("customers", {"email": f"{look.nowhere}@nowhere.invalid"}))
    if look.interface == Interface.ENTERPRISE:  # a customer may not ask for the records of another
        asked.extend((name, {"customer_id": look.nowhere}) for name in owned[:_MOST_FAMILIES])
    return [await look.page(name, count=5, **params) for name, params in asked]


async def _by_ids(look: Look) -> tuple[Reply | None, bool]:
    """Return the first customers asked for by their ids, and whether exactly these came."""
    ids = next((one.ids[:2] for one in look.families if one.name == "customers"), ())
    reply = await look.page("customers", count=10, customer_ids=list(ids)) if ids else None
    return reply, reply is not None and {*reply.ids} == {*ids}


def _labels(replies: Sequence[Reply]) -> str:
    return "; ".join(f"{one.name} by {', '.join(one.params.keys() - {'count'})}" for one in replies)


@probe(
    "filters",
    means="where a filter is not applied, lists and exports hold other records; a bulk write sees that, and stops",
    fix="compare the records yourself after filtering, look customers up one by one, and tell the administrator",
    twice=True,
)
async def filters(look: Look) -> Verdict:
    """Filters are applied."""
    (by_ids, ids_work), nothing = await _by_ids(look), await _nothing(look)
    found = [one for one in nothing if one.length]
    refused = [one for one in nothing if one.is_refused]
    if found:
        return bad(f"filters that must find nothing found records: {_labels(found)}")
    if by_ids is not None and by_ids.is_refused:
        return bad(f"customers by customer_ids is refused: {by_ids}")
    if by_ids is not None and by_ids.is_page and not ids_work:
        return bad("customers by customer_ids does not give the customers that were asked for")
    # Where ids that no customer has are refused too, it is the empty list that does not come; see `empty_list`.
    by_email = [one for one in refused if "email" in one.params]
    if by_email and nothing[0].is_page:
        return warn(f"a filter is refused: {_labels(by_email)}, {by_email[0]}")
    replies = [*nothing, *([by_ids] if by_ids else [])]
    is_known = bool(replies) and all(one.is_page for one in replies)
    return f"filters find what they must, and nothing else: {_labels(replies)}" if is_known else None


@probe(
    "empty_list",
    means="a filter that finds nothing, and a look-up of a new row, get an empty list; else the SDK raises an error",
    fix="tell the project's administrator: an empty list is a list without records; create new records one by one",
    twice=True,
)
async def empty_list(look: Look) -> Verdict:
    """A list that finds nothing is an empty list."""
    (_, ids_work), nothing = await _by_ids(look), await _nothing(look)
    if ids_work and nothing and nothing[0].is_refused:
        return bad(f"a list of customers that finds nothing is not an empty list: {nothing[0]}")
    if any(one.total for one in nothing if not one.length):
        return warn("total_items is not 0 where a filter found nothing", "count filtered lists by iterating")
    if any(one.is_page and not one.length for one in [*nothing, *look.families]):
        return "a list that finds nothing is an empty list"
    raise NotSeen("no list that is empty was seen")


@probe(
    "notes",
    means="bulk writes and outboxes find an operation whose answer was lost by its note, and else could make it twice",
    fix="write points and credits one by one, and tell the project's administrator",
    twice=True,
)
async def notes(look: Look) -> Verdict:
    """Histories of points and credits are searched by a part of the note."""
    for name, (history, field) in _HISTORIES.items():
        records = next((one.items for one in look.families if one.name == name), ())
        customer_id = next((str(one["customer_id"]) for one in records if one.get("customer_id")), None)
        if customer_id is None:
            continue
        whole = await look.page(history, customer_id=customer_id, count=20)
        note = next((text for one in whole.items if len(text := str(one.get(field) or "")) >= 8), None)
        if note is None:
            continue
        part = note[len(note) // 4 : len(note) // 4 + max(4, len(note) // 2)]
        by_part = await look.page(history, customer_id=customer_id, count=20, **{field: part})
        found = [str(one.get(field) or "") for one in by_part.items]
        if note not in found:
            seen = f"the {history} of a customer, searched by a part of a note, does not find that note"
            return bad(seen) if by_part.is_page or by_part.is_refused else None
        if any(part not in one for one in found):
            return warn(
                f"the {history} of a customer is not searched by note: a part of a note finds other records too"
            )
        return f"the {history} of a customer is searched by a part of the note"
    raise NotSeen("no note of points or credits was seen")

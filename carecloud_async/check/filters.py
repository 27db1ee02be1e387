"""Probes of filters, and of fields and values that the models do not know; no record is stored."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from functools import cache
from typing import Any, Final

from carecloud_async import models
from carecloud_async._base.codec.fields import api_names, core_type, core_types, element_type, is_model
from carecloud_async._base.project import Interface
from carecloud_async.check.look import Look, NotSeen, Param, Record, Reply
from carecloud_async.check.probe import Verdict, bad, probe, warn
from carecloud_async.models.field_docs import documented_fields
from carecloud_async.resources.lookup.by_name import list_model

#: The most lists that are filtered by a customer who does not exist.
_MOST_FAMILIES: Final = 2
#: Family → its history, and the field of a record that is its note.
_HISTORIES: Final = {
    "points": ("point_history", "point_operation_note"),
    "credits": ("credit_history", "credit_operation_note"),
}


async def nothing_found(look: Look) -> Sequence[Reply]:
    """Return the answers to filters that must find nothing, that by customer_ids first."""
    with_records = [reply for reply in look.families if reply.items]
    owned = [reply.name for reply in with_records if "customer_id" in reply.operation.parameters]
    asked: list[tuple[str, dict[str, Param]]] = []
    if any(reply.name == "customers" for reply in with_records):
        asked.append(("customers", {"customer_ids": [look.nowhere, look.nowhere[::-1]]}))
        asked.append(("customers", {"email": f"{look.nowhere}@nowhere.invalid"}))
    if look.interface == Interface.ENTERPRISE:  # a customer may not ask for the records of another
        asked.extend((name, {"customer_id": look.nowhere}) for name in owned[:_MOST_FAMILIES])
    return [await look.page(name, count=5, **params) for name, params in asked]


async def _by_ids(look: Look) -> tuple[Reply | None, bool]:
    """Return the first customers asked for by their ids, and whether exactly these came."""
    ids = next((reply.ids[:2] for reply in look.families if reply.name == "customers"), ())
    reply = await look.page("customers", count=10, customer_ids=list(ids)) if ids else None
    return reply, reply is not None and {*reply.ids} == {*ids}


def _labels(replies: Sequence[Reply]) -> str:
    return "; ".join(f"{reply.name} by {', '.join(reply.params.keys() - {'count'})}" for reply in replies)


@probe(
    "filters",
    means="lists and exports hold other records too, and bulk writes stop",
    fix="compare the records yourself after filtering, and tell the administrator",
)
async def filters(look: Look) -> Verdict:
    """Filters are applied."""
    (by_ids, ids_work), nothing = await _by_ids(look), await nothing_found(look)
    with_records = [reply for reply in nothing if reply.length]
    refused = [reply for reply in nothing if reply.is_refused]
    if with_records:
        return bad(f"filters that must find nothing found records: {_labels(with_records)}")
    if by_ids is not None and by_ids.is_refused:
        return bad(f"customers by customer_ids is refused: {by_ids}")
    if by_ids is not None and by_ids.is_page and not ids_work:
        return bad("customers by customer_ids does not give the customers that were asked for")
    # Where ids that no customer has are refused too, it is the empty list that does not come; see `empty_list`.
    by_email = [reply for reply in refused if "email" in reply.params]
    if by_email and nothing[0].is_page:
        return warn(f"a filter is refused: {_labels(by_email)}, {by_email[0]}")
    replies = [*nothing, *([by_ids] if by_ids else [])]
    is_known = bool(replies) and all(reply.is_page for reply in replies)
    return f"filters find what they must, and nothing else: {_labels(replies)}" if is_known else None


@probe(
    "empty_list",
    means="a filter that finds nothing, and a look-up of a new row, raise an error",
    fix="create new records one by one, and tell the administrator",
)
async def empty_list(look: Look) -> Verdict:
    """A list that finds nothing is an empty list."""
    (_, ids_work), nothing = await _by_ids(look), await nothing_found(look)
    if ids_work and nothing and nothing[0].is_refused:
        return bad(f"a list of customers that finds nothing is not an empty list: {nothing[0]}")
    if any(reply.is_page and not reply.length for reply in [*nothing, *look.families]):
        return "a list that finds nothing is an empty list"
    raise NotSeen("no list that is empty was seen")


@probe(
    "notes",
    means="bulk writes and outboxes look for the note of an operation whose answer was lost, or it may happen twice",
    fix="write points and credits one by one, and tell the administrator",
)
async def notes(look: Look) -> Verdict:
    """Histories of points and credits are searched by a part of the note."""
    for name, (history, field) in _HISTORIES.items():
        records = next((reply.items for reply in look.families if reply.name == name), ())
        customer_id = next((str(record["customer_id"]) for record in records if record.get("customer_id")), None)
        if customer_id is None:
            continue
        whole = await look.page(history, customer_id=customer_id, count=20)
        note = next((text for record in whole.items if len(text := str(record.get(field) or "")) >= 8), None)
        if note is None:
            continue
        part = note[len(note) // 4 : len(note) // 4 + max(4, len(note) // 2)]
        by_part = await look.page(history, customer_id=customer_id, count=20, **{field: part})
        notes_found = [str(record.get(field) or "") for record in by_part.items]
        if note not in notes_found:
            seen = f"the {history} of a customer, searched by a part of a note, does not find that note"
            return bad(seen) if by_part.is_page or by_part.is_refused else None
        if any(part not in text for text in notes_found):
            return warn(
                f"the {history} of a customer is not searched by note: a part of a note finds other records too"
            )
        return f"the {history} of a customer is searched by a part of the note"
    raise NotSeen("no note of points or credits was seen")


#: Keys that are shown: words, like the API's field names. An id or a person's name as a key is hidden.
_WORDS: Final = re.compile(r"(?!.*[0-9]{3})[a-z]{1,20}(_[a-z0-9]{1,20}){0,7}")
_NAMES: Final = re.compile(r"`(\w+)`")
#: Fields whose descriptions and examples disagree about the values.
_DISPUTED: Final = {"Status.qualification_type", "Voucher.reward_group"}
_MOST_SHOWN: Final = 20
#: The records of a page that are looked at.
_MOST_RECORDS: Final = 200


@cache
def _fields_of(into: type) -> Mapping[str, tuple[frozenset[str] | None, Any]]:
    """Return the known values of each field of a model, and the model of the objects within, by its name in the API."""
    docs, types = documented_fields(into), core_types(into)
    return {
        api: (None if f"{into.__name__}.{name}" in _DISPUTED else _values(docs.get(name, "")), _inner(types[api]))
        for name, api in api_names(into).items()
    }


def _values(doc: str) -> frozenset[str] | None:
    """Return the known values of a field as text, by the enum that its description names."""
    named = (getattr(models, name, None) for name in _NAMES.findall(doc))
    enum = next((cls for cls in named if isinstance(cls, type) and issubclass(cls, Enum)), None)
    return None if enum is None else frozenset(str(member.value) for member in enum)


def _inner(core: Any) -> Any:
    return core if core is None or is_model(core) else _inner(core_type(element_type(core)))


def _unknown(record: Record, into: type, path: str) -> Iterator[tuple[str, str]]:
    """Yield the places of what a model does not know, each with its kind."""
    fields = _fields_of(into)
    for key, value in record.items():
        values = value if isinstance(value, list) else [value]
        if key not in fields:
            yield "field", f"{path}.{key if _WORDS.fullmatch(key) else '(a name that is not shown)'}"
            continue
        allowed, inner = fields[key]
        scalars = (item for item in values if item not in (None, "") and not isinstance(item, bool | dict | list))
        if allowed is not None and any(str(item) not in allowed for item in scalars):
            yield "value", f"{path}.{key}"
        for item in values:
            if inner is not None and isinstance(item, dict):
                yield from _unknown(item, inner, f"{path}.{key}")


def _places(look: Look, kind: str) -> tuple[int, str]:
    """Return the number of lists, and the places of unknown fields or of unknown values.

    Raises:
        NotSeen: there is no record.
    """
    names = {family.name for family in look.families}
    pages = [reply for reply in look.replies if reply.items and reply.name in names]
    if not pages:
        raise NotSeen("no record was seen")
    if not look.places:
        for page in pages:
            for record in page.items[:_MOST_RECORDS]:
                for unknown, place in _unknown(record, list_model(page.operation), page.name):
                    look.places.setdefault(unknown, set()).add(place)
    return len({reply.name for reply in pages}), _listed(look.places.get(kind, set()))


def _listed(names: set[str]) -> str:
    more = len(names) - _MOST_SHOWN
    return ", ".join(sorted(names)[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")


@probe(
    "unknown_fields",
    means="reads leave unknown fields out, exports and update() keep them, and a plain replace would delete them",
    fix="update carecloud-async, report the fields' names, and read them with .raw()",
)
async def unknown_fields(look: Look) -> Verdict:
    """The models know all fields."""
    lists, unknown = _places(look, "field")
    return warn(f"the models do not know {unknown}") if unknown else f"the models know every field of {lists} lists"


@probe(
    "unknown_values",
    means="reads and exports give an unknown value as it is",
    fix="let your code expect other values, update carecloud-async, and report the fields' names",
)
async def unknown_values(look: Look) -> Verdict:
    """The enums know all values."""
    lists, unknown = _places(look, "value")
    seen = f"some values of {unknown}" if unknown else f"every value of {lists} lists"
    return warn(f"the enums do not know {seen}") if unknown else f"the enums know {seen}"

"""The list in an answer: found, and split into its records without parsing them. Every reader of lists begins here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum, auto
from typing import Any

import msgspec
from attrs import frozen

from carecloud_async._base.codec.answers import REFUSED, data, data_of
from carecloud_async._base.codec.fields import typed_cache
from carecloud_async._base.codec.json_text import Malformed, json_kind, load_spelled, sound_text

__all__ = [
    "ListForm",
    "SplitPage",
    "body_then_sound",
    "key_decoder",
    "list_name",
    "list_of",
    "only_list",
    "parse_total",
    "split_page",
]


class ListForm(Enum):
    """How a server wrote the list of a page."""

    LIST = auto()  #: as a list
    OBJECT = auto()  #: as an object whose values are the entries: PHP writes a list with gaps so
    NULL = auto()  #: null or an empty text
    MISSING = auto()  #: not at all: `"data": []`, or only a total that agrees with an empty page


@frozen(kw_only=True, repr=False)
class SplitPage:
    """One page of a list operation, whose records are not parsed.

    Attributes:
        records: the JSON of each entry, unchanged if the body is valid.
        total: `total_items` as the server sent it; `None` if it is missing.
        form: how the server wrote the list.
    """

    records: Sequence[bytes | msgspec.Raw]
    total: Any
    form: ListForm = ListForm.LIST


@typed_cache
def _page_decoder(key: str) -> msgspec.json.Decoder[Any]:
    """Return the decoder of a page that returns each record as unparsed JSON."""
    fields: list[Any] = [("items", list[msgspec.Raw]), ("total_items", Any, None)]
    listing = msgspec.defstruct("PageData", fields, rename={"items": key}, gc=False)
    return msgspec.json.Decoder(msgspec.defstruct("PageEnvelope", [("data", listing)], gc=False))


@typed_cache
def key_decoder(name: str) -> msgspec.json.Decoder[Any]:
    """Return the decoder of an object's text or number of that name, as `key`; `None` if it is missing."""
    fields: list[Any] = [("key", str | int | None, None)]
    return msgspec.json.Decoder(msgspec.defstruct("Keyed", fields, rename={"key": name}, gc=False))


def split_page(body: bytes, key: str, *, offset: int = 0) -> SplitPage:
    """Split a page into its records without parsing them.

    Args:
        body: the whole body of an answer.
        key: the name of the list under `data`.
        offset: where the page begins; see `list_of`.

    Raises:
        Malformed: the body is no JSON object, has no `data`, or the list is missing.
    """
    for sound in body_then_sound(body):
        try:
            found = _page_decoder(key).decode(sound).data
        except REFUSED:
            continue
        return SplitPage(records=found.items, total=found.total_items)
    value = data_of(load_spelled(body))
    entries, form = list_of(value, key, offset=offset)
    total = value.get("total_items") if isinstance(value, dict) else None
    return SplitPage(records=[msgspec.json.encode(item) for item in entries], total=total, form=form)


def list_of(value: Any, key: str, *, offset: int = 0) -> tuple[list[Any], ListForm]:
    """Return the entries of the list in `data`, and how the server wrote it.

    A page may leave its list out if it is empty. `"data": []` says so itself: it is how PHP writes an empty object.
    Elsewhere `total_items` must say that no record comes at this offset; without a readable total nothing distinguishes
    an empty list from an answer to another question.

    Args:
        value: the value of `data`.
        key: the name of the list; empty for the one list of an answer that has none.
        offset: where the page begins.

    Raises:
        Malformed: there is no list, or it is of another kind.
    """
    if value == [] and isinstance(value, list):
        return [], ListForm.MISSING
    if not isinstance(value, dict):
        raise Malformed(f"`data` is {json_kind(value)}, not an object")
    if key in value:
        return _entries(value[key], key)
    total = parse_total(value.get("total_items"))
    holds_more = any(isinstance(member, dict | list) and member for member in value.values())
    if holds_more or total is None or total > offset:
        missing = f"no `{key}`" if key else "no list"
        raise Malformed(f"`data` has {missing}" + ("" if total is None else f", though total_items is {total}"))
    return [], ListForm.MISSING


def list_name(body: bytes) -> str:
    """Return the name of the one list under `data`, as `only_list` does."""
    for sound in body_then_sound(body):
        try:
            name = _only_list_name(sound)
        except REFUSED:
            continue
        return only_list(data(body)) if name is None else name
    return only_list(data(body))


def only_list(value: Any) -> str:
    """Return the name of the one list under `data`; empty if there is none, which `list_of` judges.

    Raises:
        Malformed: there are several, which the message names, or `data` can hold none.
    """
    if value == [] and isinstance(value, list):
        return ""
    if not isinstance(value, dict):
        raise Malformed(f"`data` is {json_kind(value)}, not an object")
    names: list[str] = [name for name, member in value.items() if isinstance(member, list)]
    if len(names) == 1:
        return names[0]
    if names:
        raise Malformed(
            f"`data` has several lists ({', '.join(sorted(names)[:10])}): name one with client.listing(…, list_key=…)"
        )
    return ""


def body_then_sound(body: bytes) -> Iterator[bytes]:
    """Yield a body, and then, if it has broken text, the body with that text replaced."""
    yield body
    mended = sound_text(body)
    if mended is not body:
        yield mended


def parse_total(value: Any) -> int | None:
    """Read `total_items`: a whole number, also as text; anything else is `None`."""
    if isinstance(value, str):
        text = value.strip()
        value = int(text) if text.isascii() and text.isdigit() and len(text) < len(str(2**63)) else None
    elif isinstance(value, (float, msgspec.Raw)):
        number = float(bytes(value)) if isinstance(value, msgspec.Raw) else value
        value = int(number) if number.is_integer() else None
    return value if type(value) is int and value >= 0 else None


def _entries(value: Any, key: str) -> tuple[list[Any], ListForm]:
    if value is None or value == "":
        return [], ListForm.NULL
    if isinstance(value, dict) and all(isinstance(item, dict) for item in value.values()):
        return list(value.values()), ListForm.OBJECT
    if isinstance(value, list):
        return value, ListForm.LIST
    raise Malformed(f"`{key}` is {json_kind(value)}, not a list")


def _only_list_name(body: bytes) -> str | None:
    members: dict[str, msgspec.Raw] = _members_decoder().decode(body).data
    lists = [name for name, raw in members.items() if bytes(memoryview(raw)[:1]) == b"["]
    return lists[0] if len(lists) == 1 else None


@typed_cache
def _members_decoder() -> msgspec.json.Decoder[Any]:
    """Return the decoder of `{"data": {name: anything, …}}` that returns each value as unparsed JSON."""
    envelope = msgspec.defstruct("MembersEnvelope", [("data", dict[str, msgspec.Raw])], gc=False)
    return msgspec.json.Decoder(envelope)

"""Decodes bodies into values: by msgspec at once, or by `tolerant` if they do not fit exactly.

msgspec decodes the whole body straight into the models. Bodies that it refuses are read by `tolerant.records`; broken
JSON is repaired first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum, auto
from typing import Any, Generic, TypeVar, cast

import msgspec
from attrs import frozen

from carecloud_async._base.codec.envelope import (
    MISSING,
    raw_page_decoder,
    record_decoder,
    untyped_decoder,
    value_decoder,
)
from carecloud_async._base.codec.fields import element_type, is_model
from carecloud_async._base.codec.malformed import Malformed, json_kind
from carecloud_async._base.codec.tolerant.broken_json import load, load_spelled, sound_text

__all__ = [
    "REFUSED",
    "DecodedPage",
    "ListForm",
    "SplitPage",
    "body_then_sound",
    "convert",
    "data",
    "list_of",
    "member",
    "parse_total",
    "record",
    "require_no_error",
    "split_page",
    "structure",
]

T = TypeVar("T")

#: What a msgspec decoder raises: its own errors and UnicodeDecodeError are ValueErrors.
REFUSED = (ValueError, RecursionError)


@frozen(kw_only=True, repr=False)
class DecodedPage(Generic[T]):
    """One page of a list operation, decoded.

    Attributes:
        items: the records in the server's order.
        total_items: how many records match in total; `None` if the server sent no usable number.
        received: how many entries the server sent; more than `items` if some were null. Paging uses this number.
    """

    items: list[T]
    total_items: int | None
    received: int

    def __repr__(self) -> str:
        return f"DecodedPage(received={self.received}, total_items={self.total_items})"


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


def data(body: bytes) -> Any:
    """Return the value of `data`, as plain dicts, lists and scalars.

    Args:
        body: the whole body of an answer.

    Raises:
        Malformed: the body is no JSON object, or has no `data`.
    """
    try:
        found = untyped_decoder().decode(body).data
    except REFUSED:
        found = MISSING
    return _data_of(load(body)) if found is MISSING else found


def require_no_error(body: bytes) -> None:
    """Check an answer without data: it is blank, empty JSON, or the API's envelope without an `error`.

    Args:
        body: the whole body of an answer with a success status.

    Raises:
        Malformed: the body is not JSON, holds an error, or is not the API's.
    """
    if not body.removeprefix(b"\xef\xbb\xbf").strip():
        return
    answer = load(body)
    if isinstance(answer, dict):
        if answer.get("error") not in (None, False):
            raise Malformed("the answer holds an error")
        if "data" in answer or answer.keys() <= {"error"}:
            return
    elif answer is None or answer == []:
        return
    raise Malformed("the answer is JSON, but not the API's")


def record(body: bytes, into: type[T]) -> T:
    """Decode the one record under `data`.

    Args:
        body: the whole body of an answer.
        into: the model class.

    Raises:
        Malformed: the body is no JSON object, has no `data`, or `data` is not an object.
    """
    decoder = record_decoder(into)
    if decoder is not None:
        try:
            found: T = decoder.decode(body).data
        except REFUSED:
            pass
        else:
            return found
    value = data(body)
    if not isinstance(value, list if element_type(into) is not None else dict):
        wanted = "an object" if element_type(into) is None else "a list"
        raise Malformed(f"`data` is {json_kind(value)}, not {wanted}")
    return structure(value, into)


def member(body: bytes, *, name: str, into: Any, required: bool = True) -> Any:
    """Decode the one value with a name in `data`.

    Args:
        body: the whole body of an answer.
        name: the name under `data`.
        into: a model class, a tuple of one, or a scalar type.
        required: whether it must be present; otherwise a missing one is `None`.

    Raises:
        Malformed: the body is no JSON object, has no `data`, or the value is missing or of another kind.
    """
    found = data(body)
    value = found.get(name) if isinstance(found, dict) else None
    is_missing = value is None or (value == "" and name.endswith("_id"))
    made = None if is_missing else convert(value, into)
    if made is None and required:
        raise Malformed(f"the answer holds no {name}")
    return made


def split_page(body: bytes, key: str, *, offset: int = 0) -> SplitPage:
    """Split a page into its records without parsing them. Every reader of lists begins here.

    Args:
        body: the whole body of an answer.
        key: the name of the list under `data`.
        offset: where the page begins; see `list_of`.

    Raises:
        Malformed: the body is no JSON object, has no `data`, or the list is missing.
    """
    for sound in body_then_sound(body):
        try:
            found = raw_page_decoder(key).decode(sound).data
        except REFUSED:
            continue
        return SplitPage(records=found.items, total=found.total_items)
    value = _data_of(load_spelled(body))
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


def body_then_sound(body: bytes) -> Iterator[bytes]:
    """Yield a body, and then, if it has broken text, the body with that text replaced."""
    yield body
    mended = sound_text(body)
    if mended is not body:
        yield mended


def _entries(value: Any, key: str) -> tuple[list[Any], ListForm]:
    if value is None or value == "":
        return [], ListForm.NULL
    if isinstance(value, dict) and all(isinstance(item, dict) for item in value.values()):
        return list(value.values()), ListForm.OBJECT
    if isinstance(value, list):
        return value, ListForm.LIST
    raise Malformed(f"`{key}` is {json_kind(value)}, not a list")


def _data_of(answer: Any) -> Any:
    if not isinstance(answer, dict):
        raise Malformed(f"the answer is {json_kind(answer)}, not an object")
    if "data" not in answer:
        raise Malformed("the answer has no `data`")
    return answer["data"]


def parse_total(value: Any) -> int | None:
    """Read `total_items`: a whole number, also as text; anything else is `None`."""
    if isinstance(value, str):
        text = value.strip()
        value = int(text) if text.isascii() and text.isdigit() and len(text) < len(str(2**63)) else None
    elif isinstance(value, (float, msgspec.Raw)):
        number = float(bytes(value)) if isinstance(value, msgspec.Raw) else value
        value = int(number) if number.is_integer() else None
    return value if type(value) is int and value >= 0 else None


def convert(value: Any, into: type[T]) -> T:
    """Build a model from plain values as `structure` does, by msgspec if they fit exactly.

    Args:
        value: what JSON gave: dicts, lists, scalars.
        into: as for `structure`.

    Raises:
        Malformed: as from `structure`.
    """
    if type(value) is into:
        return value
    if type(value) is dict and is_model(into) and value_decoder(into) is not None:
        try:
            return msgspec.convert(value, into)
        except REFUSED:
            pass
    return structure(value, into)


def structure(value: Any, into: type[T]) -> T:
    """Build a model from plain values by the tolerant rules; an object always succeeds for the SDK's models.

    Args:
        value: what JSON gave: dicts, lists, scalars. Nested instances of the right class are taken as they are.
        into: the model class, or `list[Model]` or `tuple[Model, ...]`.

    Raises:
        Malformed: a field that has no default is missing; the SDK's own read models never raise it.
    """
    from carecloud_async._base.codec.tolerant import records  # cattrs takes 14 ms to import: imported on first use

    return cast("T", records.structure(value, into))

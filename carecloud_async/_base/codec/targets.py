"""Targets of `request(into=…)`: any type that `data` can be read into, checked before the call and read after it.

The SDK's models are read by the tolerant rules, as everywhere. Other types (attrs classes, dataclasses, msgspec
structs, TypedDicts, pydantic models, lists of all these) are read exactly: a misfit is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import chain
from typing import Any, get_args, get_origin

import msgspec

from carecloud_async._base.codec.fields import TOLERANT_IDS
from carecloud_async._base.codec.gc_pause import gc_paused
from carecloud_async._base.codec.malformed import Malformed, json_kind
from carecloud_async._base.codec.raw import raw_page_slices
from carecloud_async._base.codec.read import (
    REFUSED,
    DecodedPage,
    body_then_sound,
    data,
    list_of,
    parse_total,
    record,
    split_page,
    structure,
)
from carecloud_async._base.codec.tolerant.broken_json import load
from carecloud_async._base.codec.typed_cache import typed_cache
from carecloud_async._base.codec.unread import UnreadRecords
from carecloud_async.errors import ConfigurationError

__all__ = [
    "any_page_slices",
    "any_raw_page_slices",
    "is_read_model",
    "only_list",
    "read_records",
    "target_reader",
    "value_reader",
]

#: Messages of msgspec that name fields and kinds, and never quote a value.
_QUOTES_NOTHING = ("Expected `", "Object missing required field `")

#: The bytes of the records that are read in one slice; dicts and users' classes are slow to read.
_SLICE = 64 * 1024


@typed_cache
def target_reader(into: Any) -> Callable[[bytes], Any]:
    """Return the function that reads a body's `data` into a type; it raises `Malformed` for data that does not fit.

    A `list[…]` is read from `data` itself, or from the one list under it.

    Raises:
        ConfigurationError: nothing can be read into the type.
    """
    if is_read_model(into):
        return lambda body: record(body, into)
    read = value_reader(into)
    if get_origin(into) is list or into is list:
        return lambda body: read(_list_in(data(body)))
    return lambda body: read(data(body))


@typed_cache
def value_reader(into: Any) -> Callable[[Any], Any]:
    """Return the function that reads plain JSON values into a type; see `target_reader`."""
    read = _exact_reader(into)
    if is_read_model(into) or is_read_model(_element(into)):
        return read
    return lambda value: read(_without_zero_dates(value))


@typed_cache
def _exact_reader(into: Any) -> Callable[[Any], Any]:
    """Return the function that reads values without zero dates; only the SDK's models may hold some."""
    element = _element(into)
    if is_read_model(into):
        return lambda value: _model(value, into)
    if is_read_model(element):
        return lambda values: [_model(value, element) for value in values if value is not None]
    if _is_pydantic(into) or _is_pydantic(element):
        return _pydantic_reader(into)
    _check(into)

    def read(value: Any) -> Any:
        try:
            return msgspec.convert(value, into, strict=False)
        except msgspec.ValidationError as error:
            text = str(error)
        known = text.startswith(_QUOTES_NOTHING)
        where = text.rpartition(" - at ")[2] if " - at " in text else "$"
        raise Malformed(f"`data` does not fit {_name(into)}: {text if known else f'at {where}'}")

    return read


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


def any_page_slices(
    body: bytes, *, key: str | None, into: Any, offset: int = 0
) -> Generator[None, None, DecodedPage[Any]]:
    """Decode one page of a list whose records are of any type, in slices of a millisecond or two.

    Args:
        body: the whole body of an answer.
        key: the name of the list under `data`; `None` for the one list there.
        into: the type of a record.
        offset: where the page begins; see `list_of`.

    Yields:
        None: at the end of each slice but the last.

    Raises:
        Malformed: there is no such list, or a record does not fit.
        ConfigurationError: nothing can be read into the type.
    """
    value_reader(into)  # refuses a type that nothing can be read into
    found = split_page(body, _list_name(body) if key is None else key, offset=offset)
    raws = found.records
    items: list[Any] = []
    size = len(raws) * _SLICE // max(len(body), 1) + 1
    for first in range(0, len(raws), size):
        if first:
            yield
        items += _read_raws(raws[first : first + size], into)
    return DecodedPage(items=items, total_items=parse_total(found.total), received=len(raws))


def read_records(lines: Sequence[bytes], into: Any) -> list[Any]:
    """Read records of a list, none of them null, as its pages are read.

    Args:
        lines: the JSON of each.
        into: the type of a record.

    Raises:
        Malformed: a record does not fit.
    """
    if not is_read_model(into):
        return _read_raws(lines, into)
    unread: UnreadRecords[Any] = UnreadRecords(lines, into, size=sum(map(len, lines)))
    return list(chain.from_iterable(iter(unread.read, [])))


def any_raw_page_slices(body: bytes, *, key: str | None, offset: int = 0) -> Generator[None, None, DecodedPage[bytes]]:
    """Split one page into its records as `raw_page_slices` does; the name of the list may be unknown.

    Args:
        body: the whole body of an answer.
        key: the name of the list under `data`; `None` for the one list there.
        offset: where the page begins; see `list_of`.

    Raises:
        Malformed: there is no such list, or there are several.
    """
    return raw_page_slices(body, key=_list_name(body) if key is None else key, offset=offset)


def _list_name(body: bytes) -> str:
    for sound in body_then_sound(body):
        try:
            name = _only_list_name(sound)
        except REFUSED:
            continue
        return only_list(data(body)) if name is None else name
    return only_list(data(body))


def _only_list_name(body: bytes) -> str | None:
    members: dict[str, msgspec.Raw] = _members_decoder().decode(body).data
    lists = [name for name, raw in members.items() if bytes(memoryview(raw)[:1]) == b"["]
    return lists[0] if len(lists) == 1 else None


@typed_cache
def _members_decoder() -> msgspec.json.Decoder[Any]:
    """Return the decoder of `{"data": {name: anything, …}}` that returns each value as unparsed JSON."""
    envelope = msgspec.defstruct("MembersEnvelope", [("data", dict[str, msgspec.Raw])], gc=False)
    return msgspec.json.Decoder(envelope)


@gc_paused
def _read_raws(raws: Sequence[bytes | msgspec.Raw], into: Any) -> list[Any]:
    exact, without_zero_dates = _exact_reader(into), value_reader(into)
    items = []
    for raw in raws:
        value = load(raw)
        if value is not None:
            # A search for zero dates in the text costs a fiftieth of checking each value. An escape may hide one.
            text = bytes(raw)
            may_hold_one = b"0000-00-00" in text or b"\\u00" in text
            items.append(without_zero_dates(value) if may_hold_one else exact(value))
    return items


def _element(into: Any) -> Any:
    """Return the type of the elements of a `list[…]`; `None` for another type."""
    return get_args(into)[0] if get_origin(into) is list else None


def _list_in(value: Any) -> list[Any]:
    return value if isinstance(value, list) else list_of(value, only_list(value))[0]


def _model(value: Any, into: Any) -> Any:
    if not isinstance(value, dict):
        raise Malformed(f"a record is {json_kind(value)}, not an object")
    return structure(value, into)


def is_read_model(into: Any) -> bool:
    """Return whether a type is a read model of the SDK, which is read by the tolerant rules."""
    return isinstance(into, type) and getattr(into, TOLERANT_IDS, False) is True


def _is_pydantic(into: Any) -> bool:
    return isinstance(into, type) and any(
        cls.__name__ == "BaseModel" and cls.__module__.startswith("pydantic.") for cls in into.__mro__
    )


def _pydantic_reader(into: Any) -> Callable[[Any], Any]:
    import pydantic  # the type is one of its models, so pydantic is loaded

    adapter = pydantic.TypeAdapter(into)

    def read(value: Any) -> Any:
        try:
            return adapter.validate_json(msgspec.json.encode(value))
        except pydantic.ValidationError as error:
            first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "$"
        raise Malformed(f"`data` does not fit {_name(into)}: {first['type']} at {where}")

    return read


def _without_zero_dates(value: Any) -> Any:
    """Return JSON values with null for the zero dates of MySQL, which mean that there is none."""
    if isinstance(value, str):
        return None if value.startswith("0000-00-00") else value
    if isinstance(value, dict):
        return {name: _without_zero_dates(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_without_zero_dates(member) for member in value]
    return value


def _check(into: Any) -> None:
    try:
        info = msgspec.inspect.type_info(into)
    except (TypeError, NameError, AttributeError) as error:
        raise _unusable(into) from error
    if any(isinstance(part, msgspec.inspect.CustomType) for part in _parts(info, set())):
        raise _unusable(into)
    try:
        msgspec.json.Decoder(into)
    except TypeError as error:
        raise _unusable(into) from error


def _parts(info: Any, seen: set[int]) -> Iterator[Any]:
    """Yield a type's description and all those in it."""
    if id(info) in seen:
        return
    seen.add(id(info))
    yield info
    inner = [getattr(info, name, None) for name in ("item_type", "key_type", "value_type")]
    inner += [*getattr(info, "types", ()), *getattr(info, "item_types", ())]
    inner += [field.type for field in getattr(info, "fields", ())]
    for part in inner:
        if part is not None:
            yield from _parts(part, seen)


def _unusable(into: Any) -> ConfigurationError:
    return ConfigurationError(
        f"into cannot be {_name(into)}: give an attrs class, a dataclass, a msgspec struct, a TypedDict, a pydantic "
        "model or a list[…] of one, whose fields are all such types too"
    )


def _name(into: Any) -> str:
    if isinstance(into, type) and get_origin(into) is None:
        return into.__name__
    return str(into) if get_origin(into) is not None else f"a {type(into).__name__}"

"""Targets of `request(into=…)`: any type that `data` can be read into, checked before the call and read after it.

The SDK's models are read by the tolerant rules, as everywhere. Other types (attrs classes, dataclasses, msgspec
structs, TypedDicts, pydantic models, lists of all these) are read exactly: a misfit is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, get_args, get_origin

import msgspec

from carecloud_async._base.codec.answers import data, list_of, only_list, record, structure
from carecloud_async._base.codec.fields import is_read_model, typed_cache
from carecloud_async._base.codec.json_text import REFUSED, Malformed, json_kind, load
from carecloud_async.errors import ConfigurationError

__all__ = ["read_raws", "target_reader", "value_reader"]


#: Messages of msgspec that name fields and kinds, and never quote a value.
_QUOTES_NOTHING = ("Expected `", "Object missing required field `")


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
        except REFUSED as error:
            text = str(error)
        known = text.startswith(_QUOTES_NOTHING)
        where = text.rpartition(" - at ")[2] if " - at " in text else "$"
        raise Malformed(f"`data` does not fit {_type_name(into)}: {text if known else f'at {where}'}")

    return read


def read_raws(raws: Sequence[bytes | msgspec.Raw], into: Any) -> list[Any]:
    """Read records, none of them null, exactly into a type of the user's.

    Raises:
        Malformed: one does not fit.
    """
    exact, without_zero_dates = _exact_reader(into), value_reader(into)
    items = []
    for raw in raws:
        # A search for zero dates in the text costs a fiftieth of checking each value. An escape may hide one.
        text = bytes(raw)
        read = without_zero_dates if b"0000-00-00" in text or b"\\u00" in text else exact
        items.append(read(load(raw)))
    return items


def _element(into: Any) -> Any:
    """Return the type of the elements of a `list[…]`; `None` for another type."""
    return get_args(into)[0] if get_origin(into) is list else None


def _list_in(value: Any) -> list[Any]:
    return value if isinstance(value, list) else list_of(value, only_list(value))


def _model(value: Any, into: Any) -> Any:
    if not isinstance(value, dict):
        raise Malformed(f"a record is {json_kind(value)}, not an object")
    return structure(value, into)


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
        raise Malformed(f"`data` does not fit {_type_name(into)}: {first['type']} at {where}")

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
    """Return the error of a type that nothing can be read into."""
    return ConfigurationError(
        f"into cannot be {_type_name(into)}: give an attrs class, a dataclass, a msgspec struct, a TypedDict, a "
        "pydantic model or a list[…] of one, whose fields are all such types too"
    )


def _type_name(into: Any) -> str:
    """Name a type for an error."""
    if isinstance(into, type) and get_origin(into) is None:
        return into.__name__
    return str(into) if get_origin(into) is not None else f"a {type(into).__name__}"

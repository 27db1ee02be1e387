"""Writes Python values as the API's JSON: `UNSET` is left out, dates are in the API's format."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from datetime import date, datetime, time, tzinfo
from decimal import Decimal
from typing import Any

import attrs
import msgspec

from carecloud_async._base.codec.fields import api_names
from carecloud_async._base.codec.raw_json import RawJson
from carecloud_async._base.codec.typed_cache import typed_cache
from carecloud_async._base.codec.unset import UNSET
from carecloud_async.errors import ConfigurationError

__all__ = ["encode", "unstructure"]

Writer = Callable[[Any, tzinfo | None], Any]


def encode(value: Any, *, zone: tzinfo | None = None) -> bytes:
    """Write a value as compact JSON; see `unstructure` for the rules.

    Args:
        value: an input or read model, or dicts, lists and scalars that may hold such.
        zone: the project's time zone, needed if the value holds a datetime with an offset.

    Raises:
        ConfigurationError: a value in it has no JSON form; the message names its type.
    """
    try:
        return msgspec.json.encode(unstructure(value, zone=zone))
    except UnicodeEncodeError:
        pass  # raised below, because the error and its context hold the text
    raise ConfigurationError("the body holds text that is no Unicode (a lone surrogate)")


def unstructure(value: Any, *, zone: tzinfo | None = None) -> Any:
    """Turn a value into plain dicts, lists and scalars in the API's form.

    `UNSET` is left out, `None` becomes null, a date `YYYY-MM-DD`, a datetime `YYYY-MM-DD HH:MM:SS` in project-local
    time (fractions of a second are cut off). `RawJson` becomes `msgspec.Raw`, which is encoded unchanged.

    Args:
        value: an input or read model, or dicts, lists and scalars that may hold such.
        zone: the project's time zone, needed if the value holds a datetime with an offset.

    Raises:
        ConfigurationError: a value in it has no JSON form; the message names its type.
    """
    return _writer(type(value))(value, zone)


@typed_cache
def _writer(cls: type[Any]) -> Writer:
    """Choose how values of a type are written."""
    if cls in {str, int, bool, type(None)}:
        return _as_it_is
    if cls is RawJson:
        return lambda value, _zone: msgspec.Raw(value)
    if issubclass(cls, enum.Enum):
        return lambda value, zone: unstructure(value.value, zone=zone)
    if issubclass(cls, (str, int)):
        kind = str if issubclass(cls, str) else int
        return lambda value, _zone: kind(value)
    if issubclass(cls, (float, Decimal)):
        return _number
    if issubclass(cls, date):
        return _moment if issubclass(cls, datetime) else lambda value, _zone: value.isoformat()
    if issubclass(cls, time):
        return lambda value, _zone: value.isoformat(timespec="seconds")
    if attrs.has(cls):
        return _model_writer(cls)
    if issubclass(cls, Mapping):
        return lambda value, zone: _object(value.items(), zone)
    if issubclass(cls, (Sequence, Set)) and not issubclass(cls, (bytes, bytearray, memoryview)):
        return _list
    raise ConfigurationError(f"a value of type {cls.__name__} cannot be sent as JSON")


def _model_writer(cls: Any) -> Writer:
    names = tuple(api_names(cls).items())
    return lambda value, zone: _object([(name, getattr(value, field)) for field, name in names], zone)


def _object(items: Iterable[tuple[Any, Any]], zone: tzinfo | None) -> dict[str, Any]:
    return {str(name): _writer(type(item))(item, zone) for name, item in items if item is not UNSET}


def _list(value: Iterable[Any], zone: tzinfo | None) -> list[Any]:
    return [_writer(type(item))(item, zone) for item in value if item is not UNSET]


def _as_it_is(value: Any, _zone: tzinfo | None) -> Any:
    return value


def _number(value: float | Decimal, _zone: tzinfo | None) -> float:
    if not math.isfinite(value):
        raise ConfigurationError("a number that is not finite cannot be sent as JSON")
    return float(value)


def _moment(value: datetime, zone: tzinfo | None) -> str:
    if value.tzinfo is not None:
        if zone is None:
            raise ConfigurationError("a datetime with an offset needs the project's time zone to be sent")
        value = value.astimezone(zone).replace(tzinfo=None)
    return value.isoformat(sep=" ", timespec="seconds")

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

from carecloud_async._base.codec.fields import UNSET, api_names, typed_cache
from carecloud_async._base.codec.json_text import RawJson
from carecloud_async.errors import ConfigurationError

#: A `Decimal` with more digits than this before its point becomes a text, not an `int`.
_MOST_DIGITS = 40


@attrs.frozen
class _Form:
    """How values are written.

    Attributes:
        zone: the project's time zone, to which times with an offset are converted.
        as_json: whether msgspec writes the result as JSON. Then a `Decimal` stays one, because msgspec writes all its
            digits, and a time with an offset is an error if no zone is given.
    """

    zone: tzinfo | None
    as_json: bool


Writer = Callable[[Any, _Form], Any]
_encoder = msgspec.json.Encoder(decimal_format="number")


def encode(value: Any, *, zone: tzinfo | None = None) -> bytes:
    """Write a value as compact JSON; see `unstructure` for the rules. A `Decimal` is a number with all its digits.

    Args:
        value: an input or read model, or dicts, lists and scalars that may hold such.
        zone: the project's time zone, needed if the value holds a datetime with an offset.

    Raises:
        ConfigurationError: a value in it has no JSON form; the message names its type.
    """
    try:
        return _encoder.encode(_writer(type(value))(value, _Form(zone, as_json=True)))
    except UnicodeEncodeError:
        pass  # raised below, because the error and its context hold the text
    raise ConfigurationError("the body holds text that is no Unicode (a lone surrogate)")


def unstructure(value: Any, *, zone: tzinfo | None = None) -> Any:
    """Turn a value into plain dicts, lists and scalars in the API's form.

    `UNSET` is left out, `None` becomes null, a date `YYYY-MM-DD`, a datetime `YYYY-MM-DD HH:MM:SS` in project-local
    time (fractions of a second are cut off). `RawJson` becomes `msgspec.Raw`, which is encoded unchanged.

    Args:
        value: an input or read model, or dicts, lists and scalars that may hold such.
        zone: the project's time zone; without it, a datetime with an offset keeps it.

    Raises:
        ConfigurationError: a value in it has no JSON form; the message names its type.
    """
    return _writer(type(value))(value, _Form(zone, as_json=False))


def plain_number(value: Decimal) -> float | int | str:
    """Return the `float` or `int` that JSON shows with the same value, or a text if there is none."""
    number = float(value)
    if Decimal(repr(number)) == value:
        return number
    is_whole = value.adjusted() < _MOST_DIGITS and value == value.to_integral_value()
    return int(value) if is_whole else str(value)


@typed_cache
def _writer(cls: type[Any]) -> Writer:
    """Choose how values of a type are written."""
    if cls in {str, int, bool, type(None)}:
        return _as_it_is
    if cls is RawJson:
        return lambda value, _form: msgspec.Raw(value)
    if issubclass(cls, enum.Enum):
        return lambda value, form: _writer(type(value.value))(value.value, form)
    if issubclass(cls, (str, int)):
        kind = str if issubclass(cls, str) else int
        return lambda value, _form: kind(value)
    if issubclass(cls, (float, Decimal)):
        return _number
    if issubclass(cls, date):
        return _moment if issubclass(cls, datetime) else lambda value, _form: value.isoformat()
    if issubclass(cls, time):
        return lambda value, _form: value.isoformat(timespec="seconds")
    if attrs.has(cls):
        return _model_writer(cls)
    if issubclass(cls, Mapping):
        return lambda value, form: _object(value.items(), form)
    if issubclass(cls, (Sequence, Set)) and not issubclass(cls, (bytes, bytearray, memoryview)):
        return _list
    raise ConfigurationError(f"a value of type {cls.__name__} cannot be sent as JSON")


def _model_writer(cls: Any) -> Writer:
    names = tuple(api_names(cls).items())
    return lambda value, form: _object([(name, getattr(value, field)) for field, name in names], form)


def _object(items: Iterable[tuple[Any, Any]], form: _Form) -> dict[str, Any]:
    return {str(name): _writer(type(item))(item, form) for name, item in items if item is not UNSET}


def _list(value: Iterable[Any], form: _Form) -> list[Any]:
    return [_writer(type(item))(item, form) for item in value if item is not UNSET]


def _as_it_is(value: Any, _form: _Form) -> Any:
    return value


def _number(value: float | Decimal, form: _Form) -> float | int | str | Decimal:
    if isinstance(value, Decimal):
        value = Decimal(value)  # not a subclass: a user's own, or the one whose repr hides the number
        if value.is_finite():
            return value if form.as_json else plain_number(value)
    elif math.isfinite(value):
        return float(value)
    raise ConfigurationError("a number that is not finite cannot be sent as JSON")


def _moment(value: datetime, form: _Form) -> str:
    if value.tzinfo is not None:
        if form.zone is not None:
            value = value.astimezone(form.zone).replace(tzinfo=None)
        elif form.as_json:
            raise ConfigurationError("a datetime with an offset needs the project's time zone to be sent")
    return value.isoformat(sep=" ", timespec="seconds")

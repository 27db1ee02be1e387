"""Convert values of rows, text or JSON, to what the API takes in a field, or say why that is impossible.

Reasons name the expected kind of value and never the value itself.
"""

from __future__ import annotations

import json
import math
import re
import typing
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, Final, Literal, TypedDict
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
from attrs import frozen

from carecloud_async._base.codec.fields import api_names, core_type, element_type, field_types, is_model, typed_cache
from carecloud_async._base.runtime.validators import is_unicode
from carecloud_async.bulk.errors import ConversionError
from carecloud_async.bulk.spellings import (
    ENUMERATIONS,
    day_of,
    lacks_prefix,
    member_of,
    members_of,
    phone_number,
    read_day,
    read_moment,
    truth_of,
    valid_number,
)
from carecloud_async.fixes import AS_WRITTEN, DATE_FORMAT, DECIMAL_COMMA, PHONE_PREFIX
from carecloud_async.models.read_only import read_only_names

_WHOLE: Final = re.compile(r"[+-]?\d{1,18}")
#: How spreadsheets show large numbers, with a point or a comma.
_SHORTENED: Final = re.compile(r"\d([.,]\d+)?[Ee]\+\d{1,3}", re.ASCII)
#: Numbers with separators of thousands (blanks, also those that do not break a line; apostrophes), by decimal sign.
_WITH_SEPARATORS: Final = {
    sign: re.compile(
        rf"(?P<sign>[+-]?)(?P<whole>\d+|\d{{1,3}}(?:(?P<by>[ \u00a0\u202f'\u2019{other}])\d{{3}}(?:(?P=by)\d{{3}})*))"
        rf"(?:[{sign}](?P<fraction>\d*))?"
    )
    for sign, other in ((".", ","), (",", "."))
}
#: Floats from here on do not hold every whole number.
_INEXACT: Final = 2**53
#: The API has no integers this large, in texts as in `_WHOLE`.
_TOO_LARGE: Final = 10**18


class _Dates(TypedDict):
    date_format: str | None
    latest_year: int


@frozen(kw_only=True)
class Converter:
    """Converts values of one source.

    Attributes:
        timezone: the project's zone; aware times are converted to it, naive ones are taken as they are.
        textual: whether every value is the text of a cell, as in CSV: then `12` is a number in a field of numbers.
        decimal: the decimal sign of numbers in texts, which may then have separators of thousands; with `None` it is a
            point, and there are no separators.
        date_format: the format of days, such as `dd/mm/yy`; `None` for `DD.MM.YYYY`.
        latest_year: the last year that two digits may stand for.
        phone_prefix: the digits of the prefix that completes phone numbers without one; empty for none.
        as_written: whether to accept texts that look like numbers shortened by a spreadsheet, and phone numbers that
            no country has.
    """

    timezone: ZoneInfo
    textual: bool
    decimal: Literal[".", ","] | None = None
    date_format: str | None = None
    latest_year: int = 0
    phone_prefix: str = ""
    as_written: bool = False

    def convert(self, value: Any, hint: Any, *, enumeration: str | None = None) -> Any:
        """Return the plain JSON value of a field.

        Args:
            value: the value of the row; not `None`.
            hint: the field's type.
            enumeration: the enumeration whose names the field takes.

        Raises:
            ConversionError: the value is of another kind.
        """
        kind = _kind_of(hint)
        if isinstance(value, Decimal):
            value = _from_decimal(value, as_text=kind.make in {Converter.text, Converter.value_of_property_column})
        if isinstance(value, (float, datetime)) and value != value:  # NaN, and NaT of pandas
            raise ConversionError("NaN is no value: give null")
        if kind.element is not None:
            return self._list(value, kind.element, enumeration)
        if kind.model is not None and (kind.make is None or isinstance(value, Mapping)):
            return self._object(value, kind.model)
        return _checked(value) if kind.make is None else kind.make(self, value, enumeration)

    def value_of_property(self, value: Any, enumeration: str | None) -> Any:
        """Return the value of a property, of any kind; lists and objects in cells are JSON.

        A day is written as in a field of dates. A time at midnight counts as a day: data frames hold days as times.
        """
        if isinstance(value, datetime):
            return self.moment(value, enumeration).removesuffix(" 00:00:00")
        if isinstance(value, date):
            return self.day(value, enumeration)
        if isinstance(value, str):
            value = day_of(value, **self._dates)  # unchanged if it is a text such as a version, `99.99.2026`
        if self.textual and isinstance(value, str) and value[:1] in {"[", "{"}:
            with suppress(ValueError, RecursionError):
                value = json.loads(value)
        return _checked(value)

    @property
    def _dates(self) -> _Dates:
        return {"date_format": self.date_format, "latest_year": self.latest_year}

    @property
    def _of_json(self) -> Converter:
        """The converter of JSON in a cell: its numbers have points, whatever the decimal sign of the cells."""
        return attrs.evolve(self, textual=False, decimal=None)

    def _list(self, value: Any, element: Any, enumeration: str | None) -> list[Any]:
        inner = attrs.evolve(self, textual=False)
        if self.textual and isinstance(value, str):
            value, inner = _parsed(value, "a JSON list"), self._of_json
        if not isinstance(value, (list, tuple)):
            raise ConversionError("not a list")
        return [
            inner._convert_named(f"item {number}", element_value, element, enumeration)
            for number, element_value in enumerate(value, 1)
        ]

    def _convert_named(self, name: str, value: Any, hint: Any, enumeration: str | None) -> Any:
        """Convert an element of a list, or a field of an object; the reason of an error begins with its name."""
        try:
            return None if value is None else self.convert(value, hint, enumeration=enumeration)
        except ConversionError as error:
            raise ConversionError(f"{name}: {error.problem}", fix=error.fix) from None

    def _object(self, value: Any, model: Any) -> dict[str, Any]:
        inner = attrs.evolve(self, textual=False)
        if self.textual and isinstance(value, str):
            value, inner = _parsed(value, "a JSON object"), self._of_json
        if not isinstance(value, Mapping):
            raise ConversionError("not an object")
        names, types = api_names(model), field_types(model)
        hints = {names[field]: (hint, ENUMERATIONS.get((model.__name__, field))) for field, hint in types.items()}
        dropped = read_only_names(model.reads) if getattr(model, "reads", None) is not None else frozenset()
        made: dict[str, Any] = {}
        for name, inner_value in value.items():
            if name in dropped:
                continue
            if name not in hints:
                raise ConversionError(f"an object with the unknown field {str(name)[:60]}")
            hint, enumeration = hints[name]
            made[name] = inner._convert_named(name, inner_value, hint, enumeration)
        return made

    def value_of_property_column(self, value: Any, enumeration: str | None) -> Any:
        """Return the value of a property that has a column of its own: numbers become texts, as in cells."""
        is_text = isinstance(value, (str, int, float)) and not isinstance(value, bool)
        return self.text(value, enumeration) if is_text else self.value_of_property(value, enumeration)

    def text(self, value: Any, enumeration: str | None) -> str:
        """Return a text; a number becomes its text, since phone numbers are often stored as numbers."""
        if isinstance(value, str):
            if not is_unicode(value):
                raise ConversionError("a text that is no Unicode (a lone surrogate)")
            if not self.as_written and _SHORTENED.fullmatch(value.strip()):
                raise ConversionError("a number that a spreadsheet has shortened: export the column again, as text")
            member = None if enumeration is None else member_of(enumeration, value)
            return value if member is None else str(member.value)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ConversionError("not a text")
        if isinstance(value, float) and abs(value) >= _INEXACT:
            raise ConversionError("a number that has lost digits as a float: give it as a text")
        try:
            return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
        except ValueError:  # Python does not write numbers of thousands of digits
            raise ConversionError("not a text") from None

    def whole(self, value: Any, enumeration: str | None) -> int:
        """Return a whole number; the name of an enumeration's member is taken too."""
        if isinstance(value, Enum):
            value = value.value
        if isinstance(value, bool):
            raise ConversionError("not a whole number")
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and abs(value) < _TOO_LARGE:
            return value
        if isinstance(value, str):
            text = self._number(value)
            if _WHOLE.fullmatch(text):
                return int(text)
            member = None if enumeration is None else member_of(enumeration, value)
            if member is not None:
                return int(member.value)
        if enumeration is not None:
            raise ConversionError(f"neither a whole number nor one of {', '.join(members_of(enumeration))}")
        raise ConversionError("not a whole number")

    def number(self, value: Any, _enumeration: str | None) -> float | int:
        """Return a number."""
        if isinstance(value, bool):
            raise ConversionError("not a number")
        if isinstance(value, str):
            text = self._number(value)
            try:
                value = int(text) if _WHOLE.fullmatch(text) else float(text)
            except ValueError:
                fix = DECIMAL_COMMA if self.decimal is None else None
                raise ConversionError("not a number", fix=fix) from None
        if isinstance(value, int) and abs(value) >= _TOO_LARGE:
            raise ConversionError("not a number")
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ConversionError("not a number")
        return value

    def _number(self, text: str) -> str:
        """Return the text of a number with a decimal point and without separators of thousands, as `int` reads it."""
        text = text.strip()
        if self.decimal is None:
            return text
        match = _WITH_SEPARATORS[self.decimal].fullmatch(text)
        if match is None:
            return "" if self.decimal == "," and "." in text else text
        whole = "".join(digit for digit in match["whole"] if digit.isdecimal())
        fraction = (match["fraction"] or "").rstrip("0")
        return f"{match['sign']}{whole}" + (f".{fraction}" if fraction else "")

    def phone(self, text: str) -> str:
        """Return a phone number as the API takes it."""
        number = phone_number(text, prefix=self.phone_prefix) if text else text
        has_prefix = bool(self.phone_prefix) or not lacks_prefix(text)
        if number and has_prefix and not self.as_written:
            number = valid_number(number)
            if number is None:
                raise ConversionError("not a phone number that its country has", fix=AS_WRITTEN)
        if number is not None:
            return number
        if not lacks_prefix(text):
            raise ConversionError("not a phone number with its international prefix, such as 420603123456")
        if self.phone_prefix:
            raise ConversionError("a phone number that may have the prefix already: if it has, write + before it")
        raise ConversionError("a phone number without its international prefix", fix=PHONE_PREFIX)

    def truth(self, value: Any, _enumeration: str | None) -> bool:
        """Return a boolean."""
        if isinstance(value, bool):
            return value
        if isinstance(value, int) and value in {0, 1}:
            return bool(value)
        if isinstance(value, str):
            truth = truth_of(value)
            if truth is not None:
                return truth
        raise ConversionError("neither true nor false")

    def day(self, value: Any, _enumeration: str | None) -> str:
        """Return a day as `YYYY-MM-DD`; it is read in the converter's format too.

        A time with an offset is one of the project's days, unless it is a midnight: data frames hold days in UTC.
        """
        if isinstance(value, datetime):
            if value.time() != time():
                return self.moment(value, None)[: len("YYYY-MM-DD")]
            value = value.date()
        if isinstance(value, date):
            return str(value.isoformat())
        day = read_day(value.strip(), **self._dates) if isinstance(value, str) else None
        if day is None:
            raise self._no_date("date", "YYYY-MM-DD", "DD.MM.YYYY")
        return day.isoformat()

    def moment(self, value: Any, _enumeration: str | None) -> str:
        """Return a time in the project's zone as `YYYY-MM-DD HH:MM:SS`; seconds may be missing."""
        if isinstance(value, str):
            value = read_moment(value.strip(), **self._dates)
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day)  # noqa: DTZ001  (the API's times are naive)
        if not isinstance(value, datetime):
            raise self._no_date("time", "YYYY-MM-DD HH:MM:SS", "DD.MM.YYYY HH:MM")
        if value.tzinfo is not None:
            try:
                value = value.astimezone(self.timezone)
            except OverflowError:
                raise ConversionError("not a time of the calendar in the project's time zone") from None
        return str(value.replace(tzinfo=None).isoformat(sep=" ", timespec="seconds"))

    def _no_date(self, what: str, iso: str, dotted: str) -> ConversionError:
        if self.date_format is not None:
            return ConversionError(f"not a {what}: write {self.date_format}, or {iso}")
        return ConversionError(f"not a {what}: write {iso} or {dotted}", fix=DATE_FORMAT if self.textual else None)


#: The methods by type. If a field allows several types, the first of them here decides.
_MAKERS: Final[Mapping[Any, Any]] = {
    datetime: Converter.moment,
    date: Converter.day,
    str: Converter.text,
    bool: Converter.truth,
    int: Converter.whole,
    float: Converter.number,
}


@frozen(kw_only=True)
class _Kind:
    """How the values of a field are converted: as a list of elements, as an object, or by a function.

    A field with both a model and a function takes objects and other values.
    """

    element: Any = None
    model: Any = None
    make: Callable[[Converter, Any, str | None], Any] | None = None


@typed_cache
def _kind_of(hint: Any) -> _Kind:
    core = core_type(hint)
    element = element_type(core)
    if element is not None or is_model(core):
        return _Kind(element=element, model=None if element is not None else core)
    kinds = typing.get_args(core) if typing.get_origin(core) is typing.Union else (core,)
    if Any in kinds and len(kinds) > 1:
        return _Kind(make=Converter.value_of_property if date in kinds else Converter.value_of_property_column)
    make = next((_MAKERS[kind] for kind in _MAKERS if kind in kinds), None)
    return _Kind(model=next(filter(is_model, kinds), None), make=make)


def _from_decimal(value: Decimal, *, as_text: bool) -> int | float | str:
    """Return a `Decimal`, as databases and Arrow give them, as a number; `as_text` keeps the digits of a fraction."""
    if value.is_nan():  # `float` refuses a signaling NaN
        return math.nan
    if not (value.is_finite() and abs(value.adjusted()) < 100):
        return float(value)
    if value == value.to_integral_value():
        return int(value)
    return format(value, "f") if as_text else float(value)


def _checked(value: Any) -> Any:
    """Return a value unchanged if it can be sent as JSON; refuse others."""
    try:
        json.dumps(value, default=_as_text, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise ConversionError("not a value of JSON") from None
    return value


def _as_text(value: Any) -> str:
    """Return times, decimals and UUIDs as text. Other objects, such as bytes, have no text but Python's own."""
    if isinstance(value, (date, time, Decimal, UUID)):
        return str(value)
    raise TypeError


def _parsed(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ConversionError(f"not {what}") from None

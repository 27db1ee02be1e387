"""The tolerant rules for single values: the intended value of a misfit, or `None` and one warning."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from carecloud_async._base.codec.field_warnings import FieldWarning

__all__ = ["SCALARS", "Reader", "read_any"]

Reader = Callable[[Any, FieldWarning], Any]
T = TypeVar("T")

_INTEGER = re.compile(r"[+-]?[0-9]{1,400}(\.0*)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
#: Zero dates as MySQL writes them.
_ZERO_DATE = re.compile(r"0000-00-00([T ][0:.]*)?", re.ASCII)

_BOOLEANS: dict[str, bool] = {"true": True, "false": False, "1": True, "0": False}
#: What completes a timestamp of that length.
_REST = {len("YYYY-MM-DD"): " 00:00:00", len("YYYY-MM-DD HH"): ":00:00", len("YYYY-MM-DD HH:MM"): ":00"}


def _reader(parse: Callable[[Any], Any], problem: str) -> Reader:
    """Make the reader of a type: null and blank text are `None`, and so is what `parse` does not know, with a warning.

    Args:
        parse: returns the intended value, or `None`; text comes without the blanks around it.
        problem: the warning.
    """

    def read(value: Any, warning: FieldWarning) -> Any:
        if isinstance(value, str):
            value = value.strip() or None
        found = None if value is None else parse(value)
        return warning.lost(problem) if found is None and value is not None else found

    return read


def read_str(value: Any, warning: FieldWarning) -> Any:
    """Keep text unchanged; write a number in digits, a boolean as `true` or `false`."""
    if value is None or isinstance(value, str):
        return value if value is None else str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() else format(Decimal(repr(value)), "f")
    return warning.lost("not a text")


def _int(value: Any) -> int | None:
    """Accept whole numbers, also as text or as a float without fraction."""
    if isinstance(value, str):
        return int(value.partition(".")[0]) if _INTEGER.fullmatch(value) else None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return int(value) if is_number and value == value // 1 else None


def _float(value: Any) -> float | None:
    """Accept finite numbers, also as text."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    try:
        number = float(value) if is_number or (isinstance(value, str) and _NUMBER.fullmatch(value)) else math.nan
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _bool(value: Any) -> bool | None:
    """Accept booleans, 0 and 1, also as text; no other value is True."""
    if isinstance(value, str):
        return _BOOLEANS.get(value.lower())
    return bool(value) if isinstance(value, (int, float)) and value in {0, 1} else None


def _date(value: Any) -> date | None:
    """Accept `YYYY-MM-DD`; a time after it is dropped."""
    if isinstance(value, str):
        value = _converted(value, date) if len(value) == len("YYYY-MM-DD") else _datetime(value)
    return value.date() if isinstance(value, datetime) else value if isinstance(value, date) else None


def _datetime(value: Any) -> datetime | None:
    """Accept `YYYY-MM-DD HH:MM:SS`; a date alone means midnight."""
    if isinstance(value, str):
        return _converted(value + _REST.get(len(value), ""), datetime)
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001  (project-local, as the API is)
    return value if isinstance(value, datetime) else None


def _time(value: Any) -> time | None:
    """Accept `HH:MM:SS`, also without seconds."""
    if isinstance(value, str):
        return _converted(f"{value}:00" if len(value) == len("HH:MM") else value, time)
    return value if isinstance(value, time) else None


def _converted(text: str, kind: type[T]) -> T | None:
    try:
        return msgspec.convert(text, kind)
    except msgspec.ValidationError:
        return None


_read_date, _read_datetime = _reader(_date, "not a date"), _reader(_datetime, "not a date with time")


def read_date(value: Any, warning: FieldWarning) -> Any:
    """Read a date; one of zeros is lost."""
    return warning.lost("zero date") if _is_zero_date(value) else _read_date(value, warning)


def read_datetime(value: Any, warning: FieldWarning) -> Any:
    """Read a timestamp; one of zeros is lost, an offset is dropped and the local time kept."""
    found = warning.lost("zero date") if _is_zero_date(value) else _read_datetime(value, warning)
    if found is None or found.tzinfo is None:
        return found
    warning.note("a timestamp with an offset, which is dropped: project-local times have none")
    return found.replace(tzinfo=None)


def _is_zero_date(value: Any) -> bool:
    return isinstance(value, str) and _ZERO_DATE.fullmatch(value.strip()) is not None


def read_any(value: Any, _warning: FieldWarning) -> Any:
    """Return the value unchanged."""
    return value


#: The reader of each scalar type a model field may have.
SCALARS: dict[Any, Reader] = {
    str: read_str,
    int: _reader(_int, "not a whole number"),
    float: _reader(_float, "not a number"),
    bool: _reader(_bool, "not a boolean"),
    date: read_date,
    datetime: read_datetime,
    time: _reader(_time, "not a time of day"),
    Any: read_any,
    object: read_any,
}

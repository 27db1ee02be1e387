"""The tolerant rules for single values: the intended value of a misfit, or `None` and one warning."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import msgspec

from carecloud_async.codec.tolerant.warnings import FieldWarning

__all__ = ["SCALARS", "Reader"]

Reader = Callable[[Any, FieldWarning], Any]

_INTEGER = re.compile(r"[+-]?[0-9]{1,400}(\.0*)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
#: Zero dates as MySQL writes them, nearly all of them; a pattern takes ten times as long.
_ZERO_DATES = frozenset({"0000-00-00", "0000-00-00 00:00:00"})
_ZERO_DATE = re.compile(r"0000-00-00([T ][0:.]*)?", re.ASCII)

_BOOLEANS: dict[Any, bool] = {True: True, False: False, "true": True, "false": False, "1": True, "0": False}


def read_str(value: Any, warning: FieldWarning) -> Any:
    """Keep text unchanged; write a number in digits, a boolean as `true` or `false`."""
    if value is None or type(value) is str:
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() else format(Decimal(repr(value)), "f")
    return warning.lost("not a text")


def read_int(value: Any, warning: FieldWarning) -> Any:
    """Accept whole numbers, also as text or as a float without fraction."""
    if value is None or type(value) is int:
        return value
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        if _INTEGER.fullmatch(text):
            return int(text.partition(".")[0])
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and value == value // 1:
        return int(value)
    return warning.lost("not a whole number")


def read_float(value: Any, warning: FieldWarning) -> Any:
    """Accept finite numbers, also as text."""
    if value is None or type(value) is float:
        return value
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        number = float(text) if _NUMBER.fullmatch(text) else math.nan
    elif isinstance(value, int) and not isinstance(value, bool):
        number = _as_float(value)
    else:
        number = math.nan
    return number if math.isfinite(number) else warning.lost("not a number")


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.nan


def read_bool(value: Any, warning: FieldWarning) -> Any:
    """Accept booleans, 0 and 1, also as text; no other value is True."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        text = value.strip().lower()
        if not text:
            return None
        if text in _BOOLEANS:
            return _BOOLEANS[text]
    elif isinstance(value, (int, float)) and value in {0, 1}:
        return bool(value)
    return warning.lost("not a boolean")


def read_date(value: Any, warning: FieldWarning) -> Any:
    """Accept `YYYY-MM-DD`; a time after it is dropped."""
    if isinstance(value, datetime):
        return value.date()
    if value is None or isinstance(value, date):
        return value
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        if _is_zero_date(text):
            return warning.lost("zero date")
        if len(text) == len("YYYY-MM-DD"):
            found = _day(text)
        else:
            moment = _moment(text)
            found = None if moment is None else moment.date()
        if found is not None:
            return found
    return warning.lost("not a date")


def read_datetime(value: Any, warning: FieldWarning) -> Any:
    """Accept `YYYY-MM-DD HH:MM:SS`; a date alone means midnight, an offset is dropped and the local time kept."""
    if value is None:
        return None
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        if _is_zero_date(text):
            return warning.lost("zero date")
        found = _moment(text)
    elif isinstance(value, datetime):
        found = value
    elif isinstance(value, date):
        found = datetime(value.year, value.month, value.day)  # noqa: DTZ001  (project-local, as the API is)
    else:
        found = None
    if found is None:
        return warning.lost("not a date with time")
    if found.tzinfo is None:
        return found
    warning.note("a timestamp with an offset, which is dropped: project-local times have none")
    return found.replace(tzinfo=None)


def read_time(value: Any, warning: FieldWarning) -> Any:
    """Accept `HH:MM:SS`, also without seconds."""
    if value is None or isinstance(value, time):
        return value
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        try:
            return msgspec.convert(f"{text}:00" if len(text) == len("HH:MM") else text, time)
        except msgspec.ValidationError:
            pass
    return warning.lost("not a time of day")


def _is_zero_date(text: str) -> bool:
    return text in _ZERO_DATES or (text.startswith("0000-00-00") and _ZERO_DATE.fullmatch(text) is not None)


def _day(text: str) -> date | None:
    try:
        return msgspec.convert(text, date)
    except msgspec.ValidationError:
        return None


def _moment(text: str) -> datetime | None:
    if len(text) == len("YYYY-MM-DD"):
        text += " 00:00:00"
    elif len(text) == len("YYYY-MM-DD HH"):
        text += ":00:00"
    elif len(text) == len("YYYY-MM-DD HH:MM"):
        text += ":00"
    try:
        return msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return None


def read_any(value: Any, _warning: FieldWarning) -> Any:
    """Return the value unchanged."""
    return value


#: The reader of each scalar type a model field may have.
SCALARS: dict[Any, Reader] = {
    str: read_str,
    int: read_int,
    float: read_float,
    bool: read_bool,
    date: read_date,
    datetime: read_datetime,
    time: read_time,
    Any: read_any,
    object: read_any,
}

"""Days and times in the texts of rows, as people and programs write them."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date, datetime
from functools import cache
from typing import Final

from carecloud_async.bulk.errors import ConversionError

__all__ = ["YEARS_AHEAD", "ZERO_DATE", "day_of", "day_pattern", "read_day", "read_moment"]

_ISO: Final = re.compile(r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})")
_DOTTED: Final = re.compile(r"(?P<day>\d{1,2})\.\s?(?P<month>\d{1,2})\.\s?(?P<year>\d{4})")
_WITH_TIME: Final = re.compile(r"(.+?)[ T]+(\d{1,2}):(\d{2})(?::(\d{2}))?")
#: Zero dates as MySQL writes them.
ZERO_DATE: Final = re.compile(r"0000-00-00([T ][0:.]*)?", re.ASCII)
_ZERO: Final = "a zero date: leave the cell empty"
#: The parts of a format, its separators between them.
_FORMAT: Final = re.compile(r"(dd?|mm?|yyyy|yy)([./-]) ?(dd?|mm?|yyyy|yy)\2 ?(dd?|mm?|yyyy|yy)")
_GROUPS: Final = {"d": r"(?P<day>\d{1,2})", "m": r"(?P<month>\d{1,2})", "y": r"(?P<year>\d{%d})"}
#: Two digits of a year stand for a year of the last 80 or the next 20.
YEARS_AHEAD: Final = 20


@cache
def day_pattern(date_format: str) -> re.Pattern[str]:
    """Return what matches a day in a format such as `dd/mm/yy`.

    Raises:
        ValueError: the format has other parts.
    """
    found = _FORMAT.fullmatch(date_format.strip().lower())
    parts = () if found is None else found.group(1, 3, 4)
    if found is None or {part[0] for part in parts} != _GROUPS.keys():
        raise ValueError("no date format")
    groups = (_GROUPS[part[0]] % len(part) if part[0] == "y" else _GROUPS[part[0]] for part in parts)
    return re.compile((re.escape(found[2]) + r"\s?").join(groups))


def day_of(text: str, *, date_format: str | None = None, latest_year: int = 0) -> str:
    """Return the day that a text names as `YYYY-MM-DD`; any other text unchanged."""
    with suppress(ConversionError):
        found = read_day(text.strip(), date_format=date_format, latest_year=latest_year)
        return text if found is None else found.isoformat()
    return text


def read_day(text: str, *, date_format: str | None, latest_year: int) -> date | None:
    """Return the day that a text names; `None` if it names none.

    Args:
        text: the text.
        date_format: its format, such as `dd/mm/yy`; `None` for `DD.MM.YYYY`. `YYYY-MM-DD` is read too.
        latest_year: the last year that two digits may stand for.

    Raises:
        ConversionError: it names a day that there is not.
    """
    local = _DOTTED if date_format is None else day_pattern(date_format)
    found = _ISO.fullmatch(text) or local.fullmatch(text)
    if found is None:
        if ZERO_DATE.fullmatch(text):
            raise ConversionError(_ZERO)
        return None
    year = int(found["year"])
    if len(found["year"]) == 2:
        year = latest_year - (latest_year - year) % 100
    try:
        return date(year, int(found["month"]), int(found["day"]))
    except ValueError:
        raise ConversionError(_ZERO if ZERO_DATE.fullmatch(text) else "not a day of the calendar") from None


def read_moment(text: str, *, date_format: str | None, latest_year: int) -> date | None:
    """Return the day, or the day and time, that a text names; `None` if it names none. For arguments see `read_day`."""
    alone = read_day(text, date_format=date_format, latest_year=latest_year)
    if alone is not None:
        return alone
    found = _WITH_TIME.fullmatch(text)
    day = None if found is None else read_day(found[1], date_format=date_format, latest_year=latest_year)
    try:
        if found is None or day is None:
            return datetime.fromisoformat(text)
        hour, minute, second = (int(part or 0) for part in found.groups()[1:])
        return datetime(day.year, day.month, day.day, hour, minute, second)  # noqa: DTZ001  (the API's times are naive)
    except ValueError:
        return None

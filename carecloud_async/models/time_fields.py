"""Days and times of inputs: `DD.MM.YYYY` is read, and text that is spelled in another way is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any, Final

from carecloud_async._base.runtime.dates import day_of
from carecloud_async.errors import ConfigurationError
from carecloud_async.models.unset import Unset

__all__ = ["is_day", "is_moment", "to_day", "to_moment", "to_moment_or_unset"]

#: Text in one of the two spellings, whose value is the server's to judge: it holds zero dates and the year 985 itself.
_SPELLED: Final = re.compile(r"\d{1,4}-\d{1,2}-\d{1,2}([ T][\d:.]*)?|\d{1,2}\.\d{1,2}\.\d{4}")


#: Checks the value of a field when an object is made.
Validator = Callable[[Any, Any, Any], None]


def to_day(value: date | str | Unset | None) -> date | str | Unset | None:
    """Take the day of a datetime, which is a date to Python but not to the API, and of `DD.MM.YYYY`."""
    if isinstance(value, datetime):
        return value.date()
    return (day_of(value) or value) if isinstance(value, str) else value


def to_moment(value: datetime | str) -> datetime | str:
    """Take the first moment of the day that `DD.MM.YYYY` names."""
    day = day_of(value) if isinstance(value, str) else None
    return value if day is None else datetime.combine(day, time())


def to_moment_or_unset(value: datetime | str | Unset | None) -> datetime | str | Unset | None:
    """Do the same for a field that may be left out."""
    return to_moment(value) if isinstance(value, str) else value


def _readable(read: Callable[[str], object], wanted: str) -> Validator:
    """Return an attrs validator of text, whose `ConfigurationError` names the field and never the value."""

    def check(instance: Any, attribute: Any, value: Any) -> None:
        if not isinstance(value, str) or not value or _SPELLED.fullmatch(value):
            return
        try:
            read(value)
        except ValueError:
            pass  # raised below: the error's context would quote the value
        else:
            return
        raise ConfigurationError(f"{type(instance).__name__}: {attribute.name} takes {wanted}")

    return check


is_day: Validator = _readable(date.fromisoformat, "a date, or text like 1985-02-12 or 12.02.1985")
is_moment: Validator = _readable(datetime.fromisoformat, "a datetime, or text like 2026-11-01 18:30:00 or 01.11.2026")

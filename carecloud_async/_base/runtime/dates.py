"""Dates in the format `DD.MM.YYYY`."""

from __future__ import annotations

import re
from datetime import date

__all__ = ["day_of"]

_DAY = re.compile(r"(\d{2})\.(\d{2})\.(\d{4})", re.ASCII)


def day_of(text: str) -> date | None:
    """Return the day that `DD.MM.YYYY` names, or `None` for any other text."""
    found = _DAY.fullmatch(text)
    if found is None:
        return None
    day, month, year = map(int, found.groups())
    try:
        return date(year, month, day)
    except ValueError:
        return None

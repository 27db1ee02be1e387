"""Numbers that a spreadsheet has spoiled: shortened to `7.7E+12`, without their zeros in front, or rounded.

A cell that looks like a number becomes one when a spreadsheet opens a CSV file, and a number has no zeros in front and
fifteen digits. Of one cell alone only the first can be told; for the others a column is read as a whole.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

__all__ = ["SHORTENED", "CodeColumn"]

#: How spreadsheets show large numbers, with a point or a comma.
SHORTENED: Final = re.compile(r"\d([.,]\d+)?E\+\d{1,3}", re.ASCII)

_DIGITS: Final = re.compile(r"\d+", re.ASCII)
#: From so many numbers on a column shows a length of its own.
_ENOUGH: Final = 20
#: The part of them that must have this length.
_MOST: Final = 0.8
#: Of ten numbers one begins with a zero, of a hundred one with two; a still shorter number is of another kind.
_MOST_ZEROS: Final = 3
#: Digits that a spreadsheet keeps.
_KEPT: Final = 15


class CodeColumn:
    """A column of numbers such as those of cards: what it shows as a whole, once all its values were added."""

    def __init__(self) -> None:
        self._lengths: Counter[int] = Counter()
        self._with_zeros: Counter[int] = Counter()
        self._long = 0
        self._has_exact = False

    def add(self, value: str) -> None:
        """Look at a value."""
        value = value.strip()
        if _DIGITS.fullmatch(value):
            self._lengths[len(value)] += 1
            self._with_zeros[len(value)] += value.startswith("0")
            self._long += len(value) > _KEPT
            self._has_exact = self._has_exact or value[_KEPT:].strip("0") != ""

    def problem(self, value: str) -> str | None:
        """Return why a value of the column is not what it was; `None` if it may be."""
        value = value.strip()
        if not _DIGITS.fullmatch(value):
            return None
        if len(value) > _KEPT and self._long >= _ENOUGH and not self._has_exact:
            return f"a number that a spreadsheet has rounded to {_KEPT} digits: export the column again, as text"
        usual = self._usual_length()
        lost = usual - len(value)
        if lost > 0 and (self._with_zeros[usual] or lost <= _MOST_ZEROS):
            return (
                f"{len(value)} digits where most rows have {usual}: a spreadsheet has probably removed the zeros in "
                "front; write them again, or export the column as text"
            )
        return None

    def _usual_length(self) -> int:
        """Return the digits that most numbers have; 0 if their lengths differ."""
        total = self._lengths.total()
        length, count = max(self._lengths.items(), key=lambda one: one[1], default=(0, 0))
        return length if total >= _ENOUGH and count >= _MOST * total else 0

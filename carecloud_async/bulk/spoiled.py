"""Numbers that a spreadsheet has spoiled: shortened to `7.7E+12`, without their zeros in front, or rounded.

A cell that looks like a number becomes one when a spreadsheet opens a CSV file. A number has no zeros in front and at
most fifteen digits, and a long one is shown, and saved, with six digits and a power of ten. Only that last form shows
in one cell alone; the others show in a column as a whole.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from carecloud_async.fixes import AS_WRITTEN

__all__ = ["SHORTENED", "CodeColumn"]

#: How spreadsheets show large numbers, with a point or a comma.
SHORTENED: Final = re.compile(r"\d([.,]\d+)?[Ee]\+\d{1,3}", re.ASCII)

_DIGITS: Final = re.compile(r"\d+", re.ASCII)
#: A whole number as tables of numbers write it.
_WITH_DECIMALS: Final = re.compile(r"\d+[.,]0+", re.ASCII)
#: The fewest numbers that show a common length of a column.
_ENOUGH: Final = 5
#: The part of the numbers that must have the common length; half of them if it is the largest length, since a
#: spreadsheet drops zeros and adds none.
_MOST: Final = 0.8
_HALF: Final = 0.5
#: The most zeros that a number may have lost: one number in ten begins with a zero, and one in a hundred with two. A
#: number that is still shorter is of another kind.
_MOST_ZEROS: Final = 3
#: The digits that a spreadsheet keeps, and those that it shows of numbers with `_SHOWN_SHORT` digits or more.
_KEPT: Final = 15
_SHOWN: Final = 6
_SHOWN_SHORT: Final = 12
#: This many zeros where a spreadsheet drops digits are no coincidence: the chance is one in ten thousand.
_NO_CHANCE: Final = 4
#: If this many rows have the same card number, it was not typed.
_SEVERAL: Final = 3
#: Least digits of a number that is unlikely to be the same in all rows.
_LONG: Final = 8
_RIGHT: Final = f"; {AS_WRITTEN}"
_AGAIN: Final = "export the column again, as text"
_OR_NONE: Final = ", or empty the cell: the customer is created without a card"


class CodeColumn:
    """A column of numbers such as those of cards: what it shows as a whole, once all its values were added.

    Args:
        is_unique: whether each number stands in one row only.
        is_optional: whether rows make customers, who need no card.
    """

    def __init__(self, *, is_unique: bool = False, is_optional: bool = False) -> None:
        self._is_unique = is_unique
        self._or_none = _OR_NONE if is_optional else ""
        self._lengths: Counter[int] = Counter()
        self._with_zeros: Counter[int] = Counter()
        self._rounded = 0
        self._has_exact = False
        self._short = 0
        self._first = ""
        self._all_alike = True

    def add(self, value: str) -> None:
        """Look at a value."""
        value = value.strip()
        if not _DIGITS.fullmatch(value):
            return
        self._first = self._first or value
        self._all_alike = self._all_alike and value == self._first
        self._lengths[len(value)] += 1
        self._with_zeros[len(value)] += value.startswith("0")
        self._rounded += len(value[_KEPT:])
        self._has_exact = self._has_exact or value[_KEPT:].strip("0") != ""
        self._short += _is_short(value)

    def problem(self, value: str) -> str | None:
        """Return why a value of the column is not what it was; `None` if it may be."""
        value = value.strip()
        if SHORTENED.fullmatch(value):
            return f"a number that a spreadsheet has shortened: {_AGAIN}{self._or_none}"
        if _WITH_DECIMALS.fullmatch(value):
            return f"a number with decimals, as a table of numbers writes it: {_AGAIN}"
        if not _DIGITS.fullmatch(value):
            return None
        total = self._lengths.total()
        if self._is_unique and self._all_alike and total >= _SEVERAL and len(value) >= _LONG:
            return f"all rows have the same number, as after a spreadsheet has shortened them: {_AGAIN}{_RIGHT}"
        if len(value) > _KEPT and self._rounded >= _NO_CHANCE and not self._has_exact:
            return f"a number that a spreadsheet has rounded to {_KEPT} digits: {_AGAIN}{_RIGHT}"
        if _is_short(value) and (self._short >= _SEVERAL or self._short == total > 1):
            return f"a number of which a spreadsheet has kept {_SHOWN} digits: {_AGAIN}{_RIGHT}"
        usual = self._usual_length()
        lost = usual - len(value)
        if lost > 0 and (self._with_zeros[usual] or lost <= _MOST_ZEROS):
            return (
                f"{len(value)} digits where most rows have {usual}: a spreadsheet has probably removed the zeros in "
                f"front; write them again, or {_AGAIN}{_RIGHT}"
            )
        return None

    def _usual_length(self) -> int:
        """Return the digits that most numbers have; 0 if their lengths differ."""
        total = self._lengths.total()
        length, count = max(self._lengths.items(), key=lambda one: one[1], default=(0, 0))
        is_most = count > _HALF * total if length == max(self._lengths, default=0) else count >= _MOST * total
        return length if total >= _ENOUGH and is_most else 0


def _is_short(value: str) -> bool:
    """Return whether a long number has at most the digits that a spreadsheet shows, and zeros after them."""
    return len(value) >= _SHOWN_SHORT and len(value.rstrip("0")) <= _SHOWN

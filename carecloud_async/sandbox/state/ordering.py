"""The order of a list: an array of customer numbers, kept sorted while customers come and go."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Any


class Ordering:
    """Numbers of customers in the order of one field: four bytes each.

    Args:
        slots: The numbers, in any order.
        key: Sort key of a number; no two numbers have the same.
    """

    __slots__ = ("_key", "slots")

    def __init__(self, slots: Iterable[int], *, key: Callable[[int], Any]) -> None:
        self._key = key
        self.slots = array("I", sorted(slots, key=key))

    def add(self, slot: int) -> None:
        """Put a number in its place."""
        self.slots.insert(bisect_left(self.slots, self._key(slot), key=self._key), slot)

    def remove(self, slot: int) -> None:
        """Take a number out; its key must still be what it was when it was added."""
        place = bisect_left(self.slots, self._key(slot), key=self._key)
        if place < len(self.slots) and self.slots[place] == slot:
            del self.slots[place]

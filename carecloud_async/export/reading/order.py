"""Which order of ids a server keeps, learnt from its pages.

A list in the order of its ids needs no memory of what was seen: what is greater than the last id is new. The API does
not say how ids are compared, so the usual ways are all held against every page, and those that fail are dropped.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["Order"]


def _text(ids: Sequence[Any]) -> Sequence[Any] | None:
    return ids if set(map(type, ids)) <= {str} else None


def _number(ids: Sequence[Any]) -> Sequence[Any] | None:
    try:
        return [_whole(one) for one in ids]
    except ValueError:
        return None


def _whole(one: Any) -> int:
    if type(one) is int:
        return one
    if isinstance(one, str) and one.isascii() and one.isdigit() and len(one) < 40:
        return int(one)
    raise ValueError


def _folded(ids: Sequence[Any]) -> Sequence[Any] | None:
    texts = _text(ids)
    return None if texts is None else [one.casefold() for one in texts]


_WAYS: dict[str, Callable[[Sequence[Any]], Sequence[Any] | None]] = {
    "text": _text,
    "number": _number,
    "folded": _folded,
}


class Order:
    """The orders that all pages so far agree with.

    Args:
        ways: the names of the orders that are left; all, if left out.
        descending: whether ids fall.
    """

    def __init__(self, ways: Sequence[str] | None = None, *, descending: bool = False) -> None:
        self.ways = list(_WAYS if ways is None else ways)
        self._before = operator.gt if descending else operator.lt

    def agrees(self, ids: Sequence[Any]) -> bool:
        """Hold a page against the orders that are left; tell whether any still is."""
        self.ways = [way for way in self.ways if self._ascends(_WAYS[way](ids))]
        return bool(self.ways)

    def _ascends(self, keys: Sequence[Any] | None) -> bool:
        return keys is not None and all(map(self._before, keys, keys[1:]))

    def first_after(self, ids: Sequence[Any], last: Any) -> int:
        """Return the index of the first id of an ordered page that comes after `last`."""
        keys = _WAYS[self.ways[0]]([last, *ids])
        if keys is None:  # pragma: no cover  (both were read in this order before)
            return 0
        mark = keys[0]
        low, high = 0, len(ids)
        while low < high:
            middle = (low + high) // 2
            if self._before(mark, keys[middle + 1]):
                high = middle
            else:
                low = middle + 1
        return low

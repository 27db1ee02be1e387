"""What searches found, for a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

_T = TypeVar("_T")
_MOST: Final = 8


class Searches(Generic[_T]):
    """Results of the last few searches, kept until a record changes: pages of one search come in a row."""

    def __init__(self) -> None:
        self._found: dict[object, _T] = {}

    def get(self, key: object, find: Callable[[], _T]) -> _T:
        """Return the result of a search.

        Args:
            key: Says which search it is.
            find: Searches.
        """
        if key not in self._found:
            while len(self._found) >= _MOST:
                del self._found[next(iter(self._found))]
            self._found[key] = find()
        return self._found[key]

    def clear(self) -> None:
        """Forget all results."""
        self._found.clear()

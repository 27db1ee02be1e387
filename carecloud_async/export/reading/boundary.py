"""Where the part of a list that is known without gaps ends.

A page shows a run of the list without gaps. If it begins within what is known, or holds a record at its edge, what is
known reaches to the end of the page; if not, something may lie in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from carecloud_async.export.reading.order import Order
from carecloud_async.export.reading.source import RawPage

__all__ = ["Boundary", "NotInOrderError", "OrderedFrontier", "RecentFrontier"]


class NotInOrderError(Exception):
    """A page is not in the order of its ids: the list must be read in the other way."""


class Boundary(Protocol):
    """What a sweep knows of the edge.

    Attributes:
        moved: whether the last page that was advanced to reached further than what was known.
    """

    moved: bool

    @property
    def edge(self) -> Any:
        """The id of the last record that is known."""
        ...

    def check(self, page: RawPage) -> None:
        """Look at a page before it is used; every page is shown, in any order."""
        ...

    def connects(self, page: RawPage) -> bool:
        """Tell whether no record can lie between what is known and this page."""
        ...

    def advance(self, page: RawPage) -> int:
        """Move to the end of a page; return the index of the first record that may be new."""
        ...


class OrderedFrontier:
    """The edge of a list in the order of its ids: one id.

    Args:
        order: the orders that the pages agree with.
        last: the greatest id that is known; `None` at the beginning.
    """

    def __init__(self, order: Order, last: Any = None) -> None:
        self.order = order
        self.last = last
        self.moved = False

    @property
    def edge(self) -> Any:
        """See `Boundary.edge`."""
        return self.last

    def check(self, page: RawPage) -> None:
        """See `Boundary.check`.

        Raises:
            NotInOrderError: the page is not in order.
        """
        if not self.order.agrees(page.ids):
            raise NotInOrderError

    def connects(self, page: RawPage) -> bool:
        """See `Boundary.connects`."""
        if self.last is None:
            return page.offset == 0
        return bool(page.ids) and self.order.first_after(page.ids[:1], self.last) == 1

    def advance(self, page: RawPage) -> int:
        """See `Boundary.advance`."""
        start = 0 if self.last is None else self.order.first_after(page.ids, self.last)
        self.moved = start < len(page.ids)
        if self.moved:
            self.last = page.ids[-1]
        return start


class RecentFrontier:
    """The edge of a list in an order of the server's own: the ids of the page that reaches furthest.

    Args:
        recent: these ids.
    """

    def __init__(self, recent: Sequence[Any] = ()) -> None:
        self.recent = list(recent)
        self.moved = False
        self._recent = frozenset(recent)

    @property
    def edge(self) -> Any:
        """See `Boundary.edge`."""
        return self.recent[-1] if self.recent else None

    def check(self, page: RawPage) -> None:
        """See `Boundary.check`: any page will do."""

    def connects(self, page: RawPage) -> bool:
        """See `Boundary.connects`."""
        return not self._recent.isdisjoint(page.ids) if self.recent else page.offset == 0

    def advance(self, page: RawPage) -> int:
        """See `Boundary.advance`."""
        self.moved = bool(page.ids) and page.ids[-1] not in self._recent
        if self.moved:
            self.recent = page.ids
            self._recent = frozenset(page.ids)
        return 0

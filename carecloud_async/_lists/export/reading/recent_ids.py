"""`RecentIds`: the ids that were accepted last, in the order of the list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from carecloud_async._lists.export.reading.id_order import IdOrder
from carecloud_async._lists.export.reading.pages import Identity

__all__ = ["MIN_IDS", "RecentIds"]

#: Ids that are remembered at least, and ids that a checkpoint holds.
MIN_IDS = 64

#: Pages that are remembered.
_PAGES = 4


class RecentIds:
    """A list of ids in which each is found by its value; those at its beginning are forgotten first.

    Args:
        ids: the ids to begin with.
        order: the orders of ids that the list agrees with; `None` for a list without an order.
        has_forgotten: whether ids before them were accepted.

    Attributes:
        has_forgotten: whether ids were accepted that are not remembered.
        limit: the number of ids that are kept.
    """

    def __init__(self, ids: Iterable[Identity], *, order: IdOrder | None, has_forgotten: bool) -> None:
        self._ids = list(ids)
        self._order = order
        self.has_forgotten: bool = has_forgotten
        self.limit: int = MIN_IDS
        self._reindex()

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, one: Identity) -> bool:
        return one in self._places

    def newest(self, count: int) -> list[Identity]:
        """Return the last ids in the order of the list."""
        return self._ids[-count:]

    def place(self, one: Identity) -> int:
        """Return the place of an id that is remembered."""
        return self._places[one]

    def insert(self, place: int, ids: Sequence[Identity]) -> None:
        """Insert ids before those at a place, or after an id there that comes before them in the order of ids."""
        if place == len(self._ids):
            self._places.update(zip(ids, range(place, place + len(ids)), strict=True))
            self._ids += ids
            return
        for one in ids:
            # A remembered record that the page does not show was deleted, or the page is old. It keeps its place in the
            # order, so that the first ids are forgotten first: a later page could show it before forgotten records.
            while self._comes_before(place, one):
                place += 1
            self._ids.insert(place, one)
            place += 1
        self._reindex()

    def restart(self, ids: Iterable[Identity]) -> None:
        """Remember other ids, and none of those so far."""
        self._ids = list(ids)
        self.has_forgotten = True
        self._reindex()

    def trim(self, page_size: int) -> None:
        """Forget the first ids where there are many more than some pages hold."""
        self.limit = max(self.limit, _PAGES * page_size)
        if len(self._ids) > 2 * self.limit:
            self.restart(self._ids[-self.limit :])

    def _comes_before(self, place: int, one: Identity) -> bool:
        order = self._order
        return order is not None and place < len(self._ids) and order.compare(self._ids[place], one) < 0

    def _reindex(self) -> None:
        self._places = dict(zip(self._ids, range(len(self._ids)), strict=True))

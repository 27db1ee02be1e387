"""The boundary of the part of a list that is known without gaps.

A page shows consecutive records of the list. Records are ordered by a value that does not change, so a page that holds
any record accepted before connects: everything up to its end is then known. This holds in any order. New records are
also recognized in any order, as long as the ids accepted last are remembered in the order of the list: a record that
follows one of them in a page and is not among them was never accepted.

    remembered: a b c d        page: x b y c z        new: y z, and x if no id was ever forgotten

The order of ids is used only for a page that holds no remembered id, and only if all orders that the pages agree with
give the same answer (`IdOrder`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from carecloud_async._lists.export.reading.evidence import IdOrder, sorted_bits
from carecloud_async._lists.export.reading.pages import Identity, RawPage

__all__ = ["Boundary", "NotInOrderError"]

#: Ids that are remembered at least, and ids that a checkpoint holds.
_MIN_IDS = 64

#: Pages that are remembered.
_PAGES = 4


class NotInOrderError(Exception):
    """A page is not in the order of its ids: the list must be read with another strategy.

    Attributes:
        ambiguous: whether two records of the page have the same id.
    """

    def __init__(self, *, ambiguous: bool = False) -> None:
        super().__init__()
        self.ambiguous = ambiguous


class Boundary:
    """The ids accepted last, in the order of the list, and the furthest of them.

    Args:
        order: the orders of ids that the pages agree with; `None` for a list without an order, where another
            memory recognizes new records.
        recent: the ids that an earlier run accepted last.
        last: the furthest id of an earlier run.
        has_forgotten: whether that run accepted more than `recent`.
        evidence: how much its pages support the order of ids.

    Attributes:
        order: see above.
        evidence: how much the pages support the order of ids, see `evidence`; 0 without an order.
        furthest: the furthest id that is known.
        has_advanced: whether the last accepted page reached beyond the known part.
        relied_on_order: whether a conclusion rests on the order of ids alone.
        ambiguous: whether a page held two records of the same identity.
    """

    def __init__(
        self,
        order: IdOrder | None = None,
        *,
        recent: Sequence[Identity] = (),
        last: Identity | None = None,
        has_forgotten: bool = False,
        evidence: float = 0.0,
    ) -> None:
        self.order = order
        self.evidence: float = evidence
        self.has_advanced: bool = False
        self.relied_on_order: bool = False
        self.ambiguous: bool = False
        self.furthest: Identity | None = recent[-1] if recent else None
        self._recent = RecentIds(recent, order=order, has_forgotten=has_forgotten)
        self._rejected: Sequence[Identity] = ()  # the ids of the page that is not in order
        # Everything up to this id was accepted, although it is not remembered: its record was deleted, for example.
        self._lower_bound = last if last is not None and last not in self._recent else None

    @property
    def recent_ids(self) -> list[Identity]:
        """Ids near the boundary, for a checkpoint."""
        return self._recent.newest(_MIN_IDS)

    @property
    def remembered_ids(self) -> list[Identity]:
        """The ids that are remembered, in the order of the list; all that were accepted unless it `has_forgotten`."""
        return self._recent.newest(len(self._recent))

    @property
    def shown_ids(self) -> set[Identity]:
        """The ids that are remembered, and those of a page that is not in order: another reading shows them too."""
        return {*self.remembered_ids, *self._rejected}

    @property
    def last_id(self) -> Identity | None:
        """The last id in the order of the list: no accepted record comes after it."""
        if self._lower_bound is None:
            return self.furthest
        if self.furthest is None or self.order is None:
            return self._lower_bound
        return self.furthest if self.order.compare(self.furthest, self._lower_bound) > 0 else self._lower_bound

    @property
    def has_forgotten(self) -> bool:
        """Whether ids were accepted that are not remembered."""
        return self._recent.has_forgotten

    def check(self, page: RawPage) -> None:
        """Check a page before it is used; every page is shown, in any order.

        Raises:
            NotInOrderError: the page is not in the order of ids.
        """
        if self.order is None:
            self.ambiguous = self.ambiguous or page.is_ambiguous
        elif not self.order.check(page.ids):
            self._rejected = page.ids
            raise NotInOrderError(ambiguous=page.is_ambiguous)
        else:
            self.evidence += sorted_bits(len(page.ids))

    def connects(self, page: RawPage) -> bool:
        """Return whether the page continues what is known, so that no record can be missing before its end."""
        if not self._recent and self._lower_bound is None:
            return page.offset == 0
        return any(one in self._recent for one in page.ids)

    def is_within(self, page: RawPage) -> bool:
        """Return whether a page without a remembered record lies within what is known, by the order of ids.

        While no id was forgotten, it does not: its records are not known.
        """
        return self.has_forgotten and self.connects_by_order(page) and self._is_before_last(page.ids[-1])

    def passes_over(self, page: RawPage) -> list[Identity]:
        """Return the ids of a page that does not connect, as far as they come before the end of what is known.

        They were certainly never accepted: a page in their place left them out, or they are new. Ids after that end are
        no evidence: if no later page shows them, they were deleted.
        """
        floor = self._recent.first if self.has_forgotten else self._lower_bound
        if self.connects(page) or self.order is None or (floor is None and self.has_forgotten):
            return []
        compare = self.order.compare
        return [one for one in page.ids if self._is_before_last(one) and (floor is None or compare(floor, one) < 0)]

    def connects_by_order(self, page: RawPage) -> bool:
        """Return whether the order of ids shows that a page without a remembered record begins within what is known."""
        return bool(page.ids) and self._is_before_last(page.ids[0])

    def _is_before_last(self, one: Identity) -> bool:
        last = self.last_id
        return self.order is not None and last is not None and self.order.compare(one, last) < 0

    def advance(self, page: RawPage) -> list[int]:
        """Move to the end of a page that connects; return the indexes of the records that are new.

        Raises:
            NotInOrderError: new records cannot be recognized.
        """
        before = self.furthest
        new = self._follow(page) if self.connects(page) else self._begin_at(page)
        self.has_advanced = self.furthest != before
        self._recent.trim(len(page.ids))
        return new

    def append(self, page: RawPage) -> list[int]:
        """Move to a page that is assumed to be the next one without proof; return the indexes of new records.

        Raises:
            NotInOrderError: it does not continue the order of ids.
        """
        if self.connects(page):
            return self.advance(page)
        if self.order is not None and not self.order.check([*self._recent.newest(1), *page.ids]):
            raise NotInOrderError
        self._recent.insert(len(self._recent), page.ids)
        self.furthest, self.has_advanced = page.ids[-1], True
        self._recent.trim(len(page.ids))
        bound = self._lower_bound
        return [index for index, one in enumerate(page.ids) if bound is None or self._is_beyond(one, bound)]

    def _follow(self, page: RawPage) -> list[int]:
        """Take a page that holds a remembered record; see the module's text for which records are new.

        Each run of new records is remembered in its place: after the remembered record before it in the page, or before
        the first one.
        """
        recent = self._recent
        new: list[int] = []
        run: list[Identity] = []  # the records since the last remembered one
        place: int | None = None  # the place after that remembered one
        for index, one in enumerate(page.ids):
            if one in recent:
                if run:
                    recent.insert(recent.place(one) if place is None else place, run)
                    run = []
                place = recent.place(one) + 1
            elif place is not None or not recent.has_forgotten:
                run.append(one)
                if self._lower_bound is None or self._is_beyond(one, self._lower_bound):
                    new.append(index)
        if run:
            recent.insert(len(recent) if place is None else place, run)
        self._extend_to(page.ids[-1], is_new=bool(run))
        return new

    def _extend_to(self, one: Identity, *, is_new: bool) -> None:
        """Move the boundary to the last record of a page, if that is further."""
        recent, furthest = self._recent, self.furthest
        if one not in recent:
            return
        if not is_new and furthest is not None and furthest in recent and recent.place(one) <= recent.place(furthest):
            return
        # Records inserted among known ones are new, but do not extend the boundary.
        if self.order is None or furthest is None or self.order.compare(one, furthest) >= 0:
            self.furthest = one

    def _begin_at(self, page: RawPage) -> list[int]:
        """Take a page without a remembered record: the first page, or one that connects by the order of ids."""
        everything = list(range(len(page.ids)))
        if self.order is not None and page.offset == 0 and not self._recent.has_forgotten:
            self._recent.insert(0, page.ids)
            self.furthest = page.ids[-1]
            return everything
        new = everything
        if self.order is not None:
            self.relied_on_order = True
            last = self._lower_bound = self.last_id
            new = [index for index, one in enumerate(page.ids) if last is None or self._is_beyond(one, last)]
        self._recent.restart(page.ids)
        self.furthest = page.ids[-1]
        return new

    def _is_beyond(self, one: Identity, bound: Identity) -> bool:
        sign = 1 if self.order is None else self.order.compare(one, bound)
        if not sign and one != bound:
            raise NotInOrderError
        return sign > 0


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
        self.limit: int = _MIN_IDS
        self._reindex()

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, one: Identity) -> bool:
        return one in self._places

    @property
    def first(self) -> Identity | None:
        """The first id in the order of the list that is remembered."""
        return self._ids[0] if self._ids else None

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

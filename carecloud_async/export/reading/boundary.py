"""The boundary of the part of a list that is known without gaps.

A page shows a run of the list without gaps. Records are ordered by a value that does not change, so a page that holds
any record accepted before connects: everything up to its end is then known. This works in any order. New records are
also recognized in any order, as long as the ids accepted last are remembered in the order of the list: a record that
follows one of them in a page and is not among them was never accepted.

The order of ids is used only if a page holds none of the remembered ids, and only if all possible orders agree.
"""

from __future__ import annotations

from collections.abc import Sequence

from carecloud_async.export.reading.evidence import sorted_bits
from carecloud_async.export.reading.id_order import IdOrder
from carecloud_async.export.reading.pages import Identity, RawPage

__all__ = ["Boundary", "NotInOrderError"]

#: Ids that are remembered at least, and ids that a checkpoint holds.
_LEAST = 64

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
        self._recent = list(recent)
        self.furthest: Identity | None = recent[-1] if recent else None
        self._has_forgotten = has_forgotten
        # Used once all remembered records are deleted: everything up to this id was accepted.
        self._lower_bound = last if last is not None and last not in self._recent else None
        self._limit = _LEAST
        self._reindex()

    @property
    def recent_ids(self) -> list[Identity]:
        """Ids near the boundary, for a checkpoint."""
        return self._recent[-_LEAST:]

    @property
    def last_id(self) -> Identity | None:
        """The last id in the order of the list: no accepted record comes after it."""
        if self._lower_bound is None or self.furthest is None or self.order is None:
            return self.furthest if self._lower_bound is None else self._lower_bound
        return self.furthest if self.order.compare(self.furthest, self._lower_bound) > 0 else self._lower_bound

    def check(self, page: RawPage) -> None:
        """Check a page before it is used; every page is shown, in any order.

        Raises:
            NotInOrderError: the page is not in the order of ids.
        """
        if self.order is None:
            self.ambiguous = self.ambiguous or page.is_ambiguous
        elif not self.order.check(page.ids):
            raise NotInOrderError(ambiguous=page.is_ambiguous)
        else:
            self.evidence += sorted_bits(len(page.ids))

    def connects(self, page: RawPage) -> bool:
        """Return whether the page continues what is known, so that no record can be missing before its end."""
        if not self._recent and self._lower_bound is None:
            return page.offset == 0
        return any(one in self._index for one in page.ids)

    def is_within(self, page: RawPage) -> bool:
        """Return whether a page lies wholly within what is known, as all candidates of the order say."""
        last = self.last_id
        if self.order is None or last is None or not page.ids:
            return False
        return self.order.compare(page.ids[0], last) < 0 and self.order.compare(page.ids[-1], last) < 0

    def connects_by_order(self, page: RawPage) -> bool:
        """Return whether a page without a remembered record begins within what is known, as all candidates say."""
        last = self.last_id
        if self.order is None or last is None or not page.ids:
            return False
        return self.order.compare(page.ids[0], last) < 0

    def advance(self, page: RawPage) -> list[int]:
        """Move to the end of a page that connects; return the indexes of the records that are new.

        Raises:
            NotInOrderError: new records cannot be recognized.
        """
        before = self.furthest
        new = self._follow(page) if self.connects(page) else self._begin_at(page)
        self.has_advanced = self.furthest != before
        self._forget(len(page.ids))
        return new

    def append(self, page: RawPage) -> list[int]:
        """Move to a page that is assumed to be the next one without proof; return the indexes of new records.

        Raises:
            NotInOrderError: it does not continue the order of ids.
        """
        if self.connects(page):
            return self.advance(page)
        if self.order is not None and not self.order.check([*self._recent[-1:], *page.ids]):
            raise NotInOrderError
        self._insert(len(self._recent), page.ids)
        self.furthest, self.has_advanced = page.ids[-1], True
        self._forget(len(page.ids))
        return list(range(len(page.ids)))

    def _follow(self, page: RawPage) -> list[int]:
        """Take a page that holds a remembered record: the records after it that are not remembered are new.

        Records before it are new only if none was forgotten. Each run of new records is remembered in its place: after
        the remembered record before it in the page, or before the first one.
        """
        new: list[int] = []
        run: list[Identity] = []
        place: int | None = None  # the place after the remembered record that the page had last
        for index, one in enumerate(page.ids):
            known = self._index.get(one)
            if known is None:
                if place is not None or not self._has_forgotten:
                    run.append(one)
                    if self._lower_bound is None or self._is_beyond(one, self._lower_bound):
                        new.append(index)
                continue
            if run:
                self._insert(known if place is None else place, run)
                known, run = self._index[one], []
            place = known + 1
        if run:
            self._insert(len(self._recent) if place is None else place, run)
        last = page.ids[-1]
        if last in self._index and (
            self.furthest not in self._index or bool(run) or self._index[last] > self._index[self.furthest]
        ):
            self._move_to(last)
        return new

    def _move_to(self, last: Identity) -> None:
        # Records inserted among known ones are new, but do not extend the boundary.
        if self.order is None or self.furthest is None or self.order.compare(last, self.furthest) >= 0:
            self.furthest = last

    def _begin_at(self, page: RawPage) -> list[int]:
        """Take a page without a remembered record: the first page, or one that connects by the order of ids."""
        if self.order is None:
            new = list(range(len(page.ids)))
        elif not self._has_forgotten and page.offset == 0:
            self._insert(0, page.ids)
            self.furthest = page.ids[-1]
            return list(range(len(page.ids)))
        else:
            self.relied_on_order = True
            last = self._lower_bound = self.last_id
            new = [index for index, one in enumerate(page.ids) if last is None or self._is_beyond(one, last)]
        self._recent, self.furthest, self._has_forgotten = list(page.ids), page.ids[-1], True
        self._reindex()
        return new

    def _is_beyond(self, one: Identity, bound: Identity) -> bool:
        sign = 1 if self.order is None else self.order.compare(one, bound)
        if not sign and one != bound:
            raise NotInOrderError
        return sign > 0

    def _insert(self, place: int, ids: Sequence[Identity]) -> None:
        if place == len(self._recent):
            self._index.update(zip(ids, range(place, place + len(ids)), strict=True))
            self._recent += ids
            return
        for one in ids:
            # A remembered record that the page does not show was deleted, or the page is old. It keeps its place in the
            # order, so that the first ids are forgotten first: a later page could show it before forgotten records.
            while self._comes_before(place, one):
                place += 1
            self._recent.insert(place, one)
            place += 1
        self._reindex()

    def _comes_before(self, place: int, one: Identity) -> bool:
        return self.order is not None and place < len(self._recent) and self.order.compare(self._recent[place], one) < 0

    def _forget(self, size: int) -> None:
        self._limit = max(self._limit, _PAGES * size)
        if len(self._recent) > 2 * self._limit:
            del self._recent[: -self._limit]
            self._has_forgotten = True
            self._reindex()

    def _reindex(self) -> None:
        self._index = dict(zip(self._recent, range(len(self._recent)), strict=True))

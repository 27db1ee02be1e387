"""`PageChain`: the pages that a pass has taken, each connected to the one before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from carecloud_async.errors import ExportError
from carecloud_async.export.reading.boundary import Boundary
from carecloud_async.export.reading.change_evidence import Totals, compare
from carecloud_async.export.reading.page_requests import PageRequests
from carecloud_async.export.reading.pages import RawPage
from carecloud_async.export.storage.checkpoint import Position

__all__ = ["Accept", "PageChain"]

#: Takes a page, the indexes of its records that are new to the boundary, and the chain that it was added to.
Accept = Callable[[RawPage, list[int], "PageChain"], Awaitable[None]]

#: Pages in a row without a new record, in addition to twice those with one, after which the list counts as endless.
_MAX_IDLE = 32


class PageChain:
    """The pages taken so far, and what they show of the list.

    Args:
        requests: requests the pages.
        boundary: the boundary of what is known.
        accept: takes the pages.
        is_last: returns whether the records after a page are not wanted.
        start: the position to begin from.

    Attributes:
        requests, boundary: see above.
        last: the offset of the last known record.
        last_page: the last page that was taken; `None` after known pages were skipped.
        totals: the lengths of the list that the server reported.
        is_done: whether no more pages are wanted.
        list_changed: whether the list was seen to change.
        exact: whether no gap was left.
        place_bits: how strongly records in the same place of two pages show a stable order; see `evidence`.
    """

    def __init__(
        self,
        requests: PageRequests,
        boundary: Boundary,
        *,
        accept: Accept,
        is_last: Callable[[RawPage], bool],
        start: Position,
    ) -> None:
        self.requests: PageRequests = requests
        self.boundary: Boundary = boundary
        self._accept = accept
        self._is_last = is_last
        self.last: int = start.end
        self.last_page: RawPage | None = None
        self.totals: Totals = Totals(start.total, start.least_total, start.explained_missing)
        self.is_done: bool = False
        self.list_changed: bool = False
        self.exact: bool = True
        self.place_bits: float = 0.0
        self._empty_from: int | None = None  # the offset of the first page without entries
        self._unknown_starts = 0  # first pages in a row without a known record
        self._idle_pages = 0  # pages since the last one with a new record
        self._new_pages = 0  # pages with a new record

    @property
    def position(self) -> Position:
        """The position after the last known record."""
        return Position(
            end=self.last,
            page_size=self.requests.page_size,
            total=self.totals.last,
            least_total=self.totals.least,
            explained_missing=self.totals.explained_missing,
        )

    async def fetch(self, offset: int) -> RawPage:
        """Get a page and take into account what it shows of the list; see `observe`."""
        page = await self.requests.fetch(offset)
        self.observe(page)
        return page

    def observe(self, page: RawPage) -> None:
        """Take into account what a page shows of the list, whether or not it connects.

        Raises:
            NotInOrderError: the boundary needs the order of ids, and the page is not in it.
            ExportError: the server sends pages without records, on and on.
        """
        self.boundary.check(page)
        self.list_changed |= self.totals.observe(page.total, at_least=page.end if page.received else 0)
        self.requests.largest_page = max(self.requests.largest_page, page.received)
        if not page.received and self._empty_from is None:
            self._empty_from = page.offset
        if page.received and not page.ids:
            self._count_idle_page("pages without a single record: its list does not end")

    def connects(self, page: RawPage) -> bool:
        """Return whether a page continues the chain.

        The first page of the list may hold no known record because all of them were deleted. Or the server sent a wrong
        page, which it rarely does twice: such a page connects the second time in a row.
        """
        if self.boundary.connects(page):
            self._unknown_starts = 0
            return True
        if page.offset == 0 and page.ids:
            self._unknown_starts += 1
            return self._unknown_starts > 1
        return False

    async def take(self, page: RawPage, *, connected: bool = True) -> None:
        """Add a page to the chain and hand it over.

        Args:
            page: the page.
            connected: whether it connects; if not, it is assumed to be the next one.

        Raises:
            NotInOrderError: new records cannot be recognized.
            ExportError: the server sends the same page again and again.
        """
        before, self.last_page = self.last_page, page
        overlap = compare(before, page)
        self.list_changed |= overlap.changed
        self.place_bits += overlap.bits
        self.totals.explained_missing += page.received - len(page.ids) + overlap.moved_by
        new = self.boundary.advance(page) if connected else self.boundary.append(page)
        self.last = page.last
        if self.boundary.has_advanced:
            self._idle_pages = 0
            self._new_pages += 1
        else:
            same = before is not None and before.ids == page.ids
            self._count_idle_page("the same page again and again: it ignores `offset`", certain=same)
        await self._accept(page, new, self)
        self.is_done = self.is_done or self._is_last(page)

    def skip(self, page: RawPage) -> None:
        """Continue after a page that holds known records only: records were inserted before it."""
        self.list_changed = True
        self.last_page, self.last = None, page.end - 1

    def may_continue(self) -> bool:
        """Return whether another page may be requested: a list must not be read for ever."""
        length = self.totals.length
        if length is None:
            # Without a total, an endless list cannot be distinguished from a long one.
            length = self.last + 1 if self._empty_from is None else self._empty_from
        return self.requests.are_left(length)

    def give_up(self) -> None:
        """End the pass without the rest of the list."""
        self.exact = False
        self.is_done = True

    def _count_idle_page(self, problem: str, *, certain: bool = True) -> None:
        self._idle_pages += 1
        if self._idle_pages > _MAX_IDLE + self.requests.width + 2 * self._new_pages:
            if certain:
                raise ExportError(f"the server sends {problem}; the last offset was {self.requests.next_offset}")
            self.give_up()

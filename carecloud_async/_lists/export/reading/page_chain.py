"""`PageChain`: the pages that a pass has taken, each connected to the one before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from carecloud_async._lists.export.reading.boundary import Boundary
from carecloud_async._lists.export.reading.change_evidence import PassEvidence, Totals, compare
from carecloud_async._lists.export.reading.page_requests import PageRequests
from carecloud_async._lists.export.reading.pages import RawPage
from carecloud_async._lists.export.storage.checkpoint import Position
from carecloud_async.errors import ExportError

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
        evidence: whether any record may have been missed.
        is_done: whether no more pages are wanted.
        is_stopped: whether that is because of `is_last`: the end of the list was not looked for.
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
        self.evidence: PassEvidence = PassEvidence(Totals(start.first_total, start.gone, start.total))
        self.is_done: bool = False
        self.is_stopped: bool = False
        self._lower_pages: list[RawPage] = []  # the last pages, taken while the total was lower than what is counted
        self._empty_from: int | None = None  # the offset of the first page without entries
        self._unknown_starts = 0  # first pages in a row without a known record
        self._idle_pages = 0  # pages since the last one with a new record
        self._new_pages = 0  # pages with a new record

    @property
    def position(self) -> Position:
        """The position after the last known record."""
        totals = self.evidence.totals
        return Position(
            end=self.last,
            page_size=self.requests.page_size,
            total=totals.last,
            first_total=totals.first,
            gone=totals.gone,
        )

    async def fetch(self, offset: int, size: int | None = None) -> RawPage:
        """Get a page and take into account what it shows of the list; see `observe`."""
        page = await self.requests.fetch(offset, size)
        self.observe(page)
        return page

    def observe(self, page: RawPage) -> None:
        """Take into account what a page shows of the list, whether or not it connects.

        Raises:
            NotInOrderError: the boundary needs the order of ids, and the page is not in it.
            ExportError: the server sends pages without records, on and on.
        """
        self.boundary.check(page)
        self.evidence.observe(page)
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
        before = self.last_page
        moved_by = compare(before, page).moved_by
        if before is not None and self.boundary.order is not None and moved_by > self.evidence.totals.risen_by:
            await self._look_again(before, page, moved_by)
        await self._add(page, connected=connected)
        is_lower = page.total is not None and page.total < (self.evidence.totals.counted or 0)
        self._lower_pages = [*self._lower_pages[-2:], page] if is_lower else []

    async def _look_again(self, before: RawPage, page: RawPage, moved_by: int) -> None:
        """Read pages again that may have left out records: those after them moved back, and the count does not say why.

        So are those before it that were taken while the count was lower. The last one is read a second time if its
        answer agrees with the first one, and not with the page after it.
        """
        for one in [*(page for page in self._lower_pages if page is not before), before]:
            await self._read_again(one, moved_by)
        if compare(self.last_page, page).moved_by > 0:
            await self._read_again(before, moved_by)
        # The same server may leave out others: only that both answers are whole shows that it does not.
        if before.received < min(before.asked, self.requests.largest_page) and not before.ends_list:
            self.evidence.leave_out()

    async def _read_again(self, before: RawPage, more: int) -> None:
        page = await self.fetch(before.offset, before.received + more)
        if page.ids and self.boundary.connects(page):
            await self._add(page)

    async def _add(self, page: RawPage, *, connected: bool = True) -> None:
        before, self.last_page = self.last_page, page
        self.evidence.take(page, compare(before, page))
        new = self.boundary.advance(page) if connected else self.boundary.append(page)
        self.last = page.last
        if self.boundary.has_advanced:
            self._idle_pages = 0
            self._new_pages += 1
        else:
            same = before is not None and before.ids == page.ids
            self._count_idle_page("the same page again and again: it ignores `offset`", certain=same)
        await self._accept(page, new, self)
        self.is_stopped = self.is_stopped or self._is_last(page)
        self.is_done = self.is_done or self.is_stopped

    def skip(self, page: RawPage) -> None:
        """Continue after a page that holds known records only: records were inserted before it."""
        self.evidence.list_changed = True
        self.last_page, self.last = None, page.end - 1

    def may_continue(self) -> bool:
        """Return whether another page may be requested: a list must not be read for ever."""
        length = self.evidence.totals.length
        if length is None:
            # Without a total, an endless list cannot be distinguished from a long one.
            length = self.last + 1 if self._empty_from is None else self._empty_from
        return self.requests.are_left(length)

    def give_up(self) -> None:
        """End the pass without the rest of the list."""
        self.evidence.leave_gap()
        self.is_done = True

    def _count_idle_page(self, problem: str, *, certain: bool = True) -> None:
        self._idle_pages += 1
        if self._idle_pages > _MAX_IDLE + self.requests.width + 2 * self._new_pages:
            if certain:
                raise ExportError(f"the server sends {problem}; the last offset was {self.requests.next_offset}")
            self.give_up()

"""One pass over a list from front to back: several pages in flight, no gap between one page and the next.

Each page overlaps the one before by a record. If nothing changes, that record is the same in both. If records were
deleted in between, the later page begins too far on and does not connect: earlier pages are read until one connects
(`gaps`). Each gap widens the overlap of later pages, so that steady change costs wider pages instead of extra requests.
At the end of the total, single pages are read until one shows that nothing follows (`end_search`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from carecloud_async._base.runtime.background_tasks import BackgroundTasks
from carecloud_async._lists.export.reading.boundary import Boundary
from carecloud_async._lists.export.reading.end_search import EndSearch
from carecloud_async._lists.export.reading.gaps import close_gap
from carecloud_async._lists.export.reading.page_chain import Accept, PageChain
from carecloud_async._lists.export.reading.page_requests import PageRequests
from carecloud_async._lists.export.reading.pages import RawPage, RawPageFetcher
from carecloud_async._lists.export.storage.checkpoint import Position
from carecloud_async._lists.paging.page_plan import PagePlan
from carecloud_async._lists.paging.read_ahead import ListPart, ReadAhead

__all__ = ["ListPass"]

_START = Position()

#: How often the end of a list is looked for, if it has become shorter at last.
_MOST_ENDS = 3


class ListPass:
    """Reads a list once.

    Args:
        fetcher: fetches the pages.
        params: the sort.
        boundary: the boundary of what is known.
        accept: takes the pages.
        plan: the number of requests at once, and the number of records in each: at least 2, or pages
            could not overlap.
        position: the position to begin from.
        is_last: returns whether the records after a page are not wanted.
    """

    def __init__(
        self,
        fetcher: RawPageFetcher,
        *,
        params: Mapping[str, Any],
        boundary: Boundary,
        accept: Accept,
        plan: PagePlan,
        position: Position = _START,
        is_last: Callable[[RawPage], bool] = lambda _: False,
    ) -> None:
        self._plan = plan
        self._boundary = boundary
        self._requests = PageRequests(fetcher, plan, params=params, start=position)
        self._chain = PageChain(self._requests, boundary, accept=accept, is_last=is_last, start=position)

    @property
    def list_changed(self) -> bool:
        """Whether the list was seen to change."""
        return self._chain.evidence.list_changed

    @property
    def exact(self) -> bool:
        """Whether no gap was left."""
        return self._chain.evidence.exact

    @property
    def place_bits(self) -> float:
        """How strongly records in the same place of two pages show a stable order; see `evidence`."""
        return self._chain.evidence.place_bits

    @property
    def position(self) -> Position:
        """The position of the pass."""
        return self._chain.position

    @property
    def is_one_page(self) -> bool:
        """Whether one page held the whole list, so that its order does not matter."""
        return not self.list_changed and self._chain.last < self._requests.largest_page

    @property
    def nulls(self) -> int:
        """The number of entries that were null in its pages."""
        return self._chain.evidence.nulls

    @property
    def is_total_wrong(self) -> bool:
        """Whether a page held more records than its own total."""
        return self._chain.evidence.totals.contradicted

    @property
    def is_doubtful(self) -> bool:
        """Whether a page left out records, or the list ended before its own total."""
        return self._chain.evidence.is_doubtful(at_end=not self._chain.is_stopped)

    def falls_short(self, records: int) -> bool:
        """Return whether fewer records were read than the list has; see `PassEvidence`."""
        return self._chain.evidence.falls_short(records)

    async def run(self) -> None:
        """Read the list.

        Raises:
            NotInOrderError: the boundary needs the order of ids, and the server does not keep it.
            ExportError: the server sends the same page again and again, or pages without records.
            CareCloudError: a page could not be read.
        """
        async with BackgroundTasks() as tasks:
            if not self._requests.page_size:
                await self._read_first_page()
            for _ in range(_MOST_ENDS):
                while not self._chain.is_done:
                    await self._read_ahead(tasks)
                    if not self._chain.is_done:
                        await EndSearch(self._chain).run()
                if self._is_end_confirmed:
                    break
                self._chain.is_done = False
        if self._boundary.relied_on_order:
            self._chain.evidence.leave_gap()

    @property
    def _is_end_confirmed(self) -> bool:
        """Whether enough answers show where the list ends: it may end before the length that was counted."""
        chain = self._chain
        return not chain.evidence.totals.is_falling or not chain.evidence.exact or chain.is_stopped

    async def _read_first_page(self) -> None:
        page = await self._requests.fetch(max(self._chain.last, 0))
        self._requests.learn_page_size(page)
        await self._handle_page(page)
        self._requests.continue_after(self._chain.last)

    async def _read_ahead(self, tasks: BackgroundTasks) -> None:
        """Take pages until none is left to read ahead."""
        ahead = ReadAhead(self._requests.fetch_part, next_part=self._next_part, tasks=tasks, plan=self._plan)
        while not self._chain.is_done and (page := await ahead.take()) is not None:
            await self._handle_page(page)

    def _next_part(self) -> ListPart | None:
        chain, requests = self._chain, self._requests
        if chain.is_done or not requests.reads_ahead or not chain.may_continue():
            return None
        return requests.next_part(last=chain.last, total=chain.evidence.totals.promised)

    async def _handle_page(self, page: RawPage) -> None:
        """Take the next page after closing the gap before it."""
        chain, requests = self._chain, self._requests
        chain.observe(page)
        if not page.ids:
            # No record is there (any more), in spite of the total: the end of the list is found sequentially.
            requests.reads_ahead = requests.reads_ahead and page.received > 0
            return
        requests.learn_lower_cap(page)
        if chain.connects(page):
            await chain.take(page)
        elif self._boundary.is_within(page):
            chain.skip(page)
        elif await close_gap(page, chain):
            await chain.take(page)

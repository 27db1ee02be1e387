"""One pass over a list from front to back: several pages in flight, no gap between one page and the next.

A pass is exact if

1. each page shows a record of the pages before it, so that none can be missing in between,
2. the last page ends where its own total says, and
3. as many records were read as the totals promise, and all that any page showed: see `Totals` and `Doubts`.

Each page overlaps the one before by a record. After deletions a later one may not connect: earlier pages are read until
one does, and later pages overlap more, which costs less than more requests. If records moved towards the end of the
list, the pages before may have left out some, and are read again, even if a greater total suggests that some are new.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, TypeAlias

from carecloud_async._base.runtime.task_groups import BackgroundTasks
from carecloud_async._lists.export.reading.boundary import Boundary
from carecloud_async._lists.export.reading.evidence import Doubts, Totals
from carecloud_async._lists.export.reading.list_end import ListEnd
from carecloud_async._lists.export.reading.page_requests import PageRequests, Probe
from carecloud_async._lists.export.reading.pages import Identity, RawPage, RawPageFetcher
from carecloud_async._lists.export.reading.taken_pages import TakenPages, compare
from carecloud_async._lists.export.storage.checkpoint import Position
from carecloud_async._lists.paging.page_plan import PagePlan
from carecloud_async._lists.paging.read_ahead import ListPart, ReadAhead
from carecloud_async.errors import ExportError

__all__ = ["Accept", "ListPass"]

#: Takes a page, the indexes of its records that are new to the boundary, and the pass that read it.
Accept: TypeAlias = "Callable[[RawPage, list[int], ListPass], Awaitable[None]]"

_START = Position()
#: How often the end of a list is looked for while its total is doubtful.
_MOST_ENDS = 8
#: Pages that the next one is compared with: pages that were requested ahead may arrive between two others.
_SEEN = 4


class ListPass:
    """Reads a list once. It alone changes what is known of the pass.

    Args:
        fetcher: fetches the pages.
        params: the sort.
        boundary: the boundary of what is known.
        accept: takes the pages.
        plan: the number of requests at once, and of records in each: at least 2, so that pages overlap.
        position: the position to begin from.
        stop_after: returns whether to stop after a page.
        shown: ids of records that were shown before, and were dropped: this pass has to show them.

    Attributes:
        is_whole: whether no gap was left, and nothing was concluded without proof.
        list_changed: whether the list was seen to change.
        place_bits: how strongly records in the same place of two pages show a stable order; see `evidence`.
        nulls: the number of entries that were null in its pages.
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
        stop_after: Callable[[RawPage], bool] = lambda _: False,
        shown: Collection[Identity] = (),
    ) -> None:
        self._plan = plan
        self._boundary = boundary
        self._accept = accept
        self._stop_after = stop_after
        self._requests = PageRequests(fetcher, plan, params=params, start=position)
        self._totals = Totals(first=position.first_total, largest=position.largest_total, last=position.total)
        self.is_whole: bool = position.is_whole
        self.list_changed: bool = position.changed
        self.place_bits: float = 0.0
        self.nulls: int = position.nulls
        self._last = position.end  # the offset of the last known record
        self._last_page: RawPage | None = None  # the last page that was taken
        self._seen = deque[RawPage](maxlen=_SEEN)  # the last pages with records, taken or not
        self._is_done = False  # whether no more pages are wanted
        self._is_stopped = False  # whether that is because of `stop_after`: the end of the list was not looked for
        self._trusts_totals = True  # whether no page at the end of the list had a total below the records known
        self._doubts = Doubts(position, shown)
        self._taken = TakenPages(position, boundary.recent_ids, size=self._requests.full_size)
        self._reads_again = False  # whether pages are read again that may have left out records
        self._empty_from: int | None = None  # the offset of the first page without entries
        self._unknown_starts = 0  # first pages in a row without a known record
        self._end = ListEnd()

    @property
    def position(self) -> Position:
        """The position after the last known record."""
        totals, doubts = self._totals, self._doubts
        return Position(
            end=self._last,
            page_size=self._requests.page_size,
            largest_page=self._requests.largest_page,
            total=totals.last,
            first_total=totals.first,
            largest_total=totals.largest,
            nulls=self.nulls,
            changed=self.list_changed,
            is_whole=self.is_whole and not self._boundary.relied_on_order,
            cut=doubts.cut,
            leaves_out=doubts.has_gaps,
            found_again=doubts.found_again,
        )

    @property
    def is_one_page(self) -> bool:
        """Whether one page held the whole list, so that its order does not matter."""
        return not self.list_changed and self._last < self._requests.largest_page

    @property
    def is_total_wrong(self) -> bool:
        """Whether a page held more records than its own total."""
        return self._totals.contradicted

    @property
    def is_doubtful(self) -> bool:
        """Whether the pass may lack records of a list that changed, or the list ended before its own total."""
        doubts = self._doubts
        ends_early = doubts.ends_early and not self._is_stopped and not self._totals.contradicted
        return ends_early or (doubts.has_gaps and self.list_changed)

    def falls_short(self, records: int) -> bool:
        """Return whether fewer records were read than the totals promise, or than all pages showed."""
        expected = self._totals.expected
        least = None if expected is None else expected - self.nulls
        return self._doubts.prevail(records=records, least=least, changed=self._totals.has_changed)

    async def run(self) -> None:
        """Read the list.

        Raises:
            NotInOrderError: the boundary needs the order of ids, and the server does not keep it.
            ExportError: the server sends the same page again and again, or pages without records.
            CareCloudError: a page could not be read.
        """
        async with BackgroundTasks() as tasks:
            if not self._requests.page_size:
                page = await self._requests.fetch(max(self._last, 0))
                self._requests.learn_page_size(page)
                await self._handle(page)
                self._requests.continue_after(self._last)
            for _ in range(_MOST_ENDS):
                while not self._is_done:
                    await self._read_ahead(tasks)
                    if not self._is_done:
                        await self._find_end()
                if not self._totals.is_doubtful or not self.is_whole or self._is_stopped:
                    break
                self._is_done = False
        if self._boundary.relied_on_order:
            self.is_whole = False

    async def _read_ahead(self, tasks: BackgroundTasks) -> None:
        """Take pages until none is left to read ahead."""
        ahead = ReadAhead(self._requests.fetch_part, next_part=self._next_part, tasks=tasks, plan=self._plan)
        while not self._is_done and (page := await ahead.take()) is not None:
            await self._handle(page)

    def _next_part(self) -> ListPart | None:
        if self._is_done or not self._requests.reads_ahead or not self._may_continue():
            return None
        return self._requests.next_part(last=self._last, total=self._totals.last if self._trusts_totals else None)

    async def _handle(self, page: RawPage) -> None:
        """Take the next page after closing the gap before it."""
        self._observe(page)
        if not page.ids:
            # No record is there (any more), in spite of the total: the end of the list is found sequentially.
            self._requests.reads_ahead = self._requests.reads_ahead and page.received > 0
            return
        self._requests.learn_cap(page)
        if self._connects(page):
            await self._take(page)
        elif self._boundary.is_within(page):
            self._skip(page)
        elif await self._close_gap(page):
            await self._take(page)

    async def _fetch(self, offset: int, size: int | None = None) -> RawPage:
        page = await self._requests.fetch(offset, size)
        self._observe(page)
        return page

    def _observe(self, page: RawPage) -> None:
        """Take into account what a page shows of the list, whether or not it is taken."""
        self._boundary.check(page)
        self._doubts.passed_over.update(self._boundary.passes_over(page))
        for before in self._seen if self.list_changed and self._boundary.order is not None else ():
            self._doubts.observe_move(before, page, compare(before, page).moved_by)
        self._seen.extend([page] if page.ids else [])
        self.list_changed |= self._totals.observe(page.total, at_least=page.end if page.received else 0)
        self._requests.largest_page = max(self._requests.largest_page, page.received)
        if not page.received:
            self._empty_from = page.offset if self._empty_from is None else self._empty_from
            self._doubts.index_lags |= page.ends_early
        if page.received and not page.ids and self._requests.is_endless(has_new=False):
            raise self._endless("pages without a single record: its list does not end")

    def _connects(self, page: RawPage) -> bool:
        """Return whether a page continues the pass.

        The first page of the list may hold no known record because all of them were deleted. Or the server sent a wrong
        page, which it rarely does twice: such a page connects the second time in a row.
        """
        if self._boundary.connects(page):
            self._unknown_starts = 0
            return True
        if page.offset == 0 and page.ids:
            self._unknown_starts += 1
            return self._unknown_starts > 1
        return False

    async def _take(self, page: RawPage, *, connected: bool = True) -> None:
        """Add a page and hand it over; one that does not connect is assumed to be the next one."""
        before, moved_by = self._taken.last, self._taken.moved_by(page, is_known=self._boundary.connects(page))
        self.list_changed |= moved_by != 0
        if before is not None and self._boundary.order is not None:
            self._doubts.observe_move(before, page, moved_by)
            if moved_by > self._totals.surely_risen_by:
                await self._look_again(before, page, moved_by)
        await self._add(page, connected=connected)
        self._taken.add(page)

    async def _look_again(self, before: RawPage, page: RawPage, moved_by: int) -> None:
        """Read pages again that may have left out records: later ones moved towards the end of the list.

        These are the last pages with a lower total, and the page before: twice, if its new answer disagrees too.
        """
        # A server that left out one record may leave out more, unless its first answer was full or ends the list.
        self._doubts.leaves_out |= self._doubts.is_cut(self._requests.largest_page) and moved_by > self._totals.risen_by
        self._reads_again = True
        lower = self._taken.below(self._totals.largest or 0)
        self._taken.clear()
        for one in [*(one for one in lower if one is not before), before]:
            await self._read_again(one, moved_by, total=page.total)
        if compare(self._last_page, page).moved_by > 0:
            await self._read_again(before, moved_by, total=page.total)
        self._reads_again = False

    async def _read_again(self, before: RawPage, more: int, *, total: int | None) -> None:
        page = await self._fetch(before.offset, before.received + more)
        if page.ids and self._boundary.connects(page):
            await self._add(page)
        # Its total is still lower than that of the page after it, the largest: it may leave out the same records again.
        self._doubts.leaves_out |= page.total is not None and page.total < (total or 0) == self._totals.largest

    async def _add(self, page: RawPage, *, connected: bool = True) -> None:
        before, self._last_page = self._last_page, page
        overlap = compare(before, page)
        self.list_changed |= overlap.changed
        self.place_bits += overlap.bits
        self.nulls += page.received - len(page.ids)
        new = self._boundary.advance(page) if connected else self._boundary.append(page)
        again, largest = self._reads_again and self._totals.has_changed, self._requests.largest_page
        self._doubts.observe(page, new=len(new), largest=largest, again=again)
        self._last = page.last
        if self._requests.is_endless(has_new=self._boundary.has_advanced):
            if before is not None and before.ids == page.ids and not self._totals.has_changed:
                raise self._endless("the same page again and again: it ignores `offset`")
            self._give_up()  # the end of a list that changes is read again and again
        await self._accept(page, new, self)
        self._is_stopped = self._is_stopped or self._stop_after(page)
        self._is_done = self._is_done or self._is_stopped

    def _skip(self, page: RawPage) -> None:
        """Continue after a page that holds known records only: records were inserted before it."""
        self.list_changed = True
        self._last = page.end - 1

    def _may_continue(self) -> bool:
        """Return whether another page may be requested: no list is read forever."""
        length = None if self._totals.contradicted else self._totals.length
        if length is None:
            # Without a total, an endless list cannot be distinguished from a long one.
            length = self._last + 1 if self._empty_from is None else self._empty_from
        return self._requests.are_left(length)

    def _give_up(self) -> None:
        """End the pass without the rest of the list."""
        self.is_whole = False
        self._is_done = True

    def _endless(self, problem: str) -> ExportError:
        return ExportError(f"the server sends {problem}; the last offset was {self._requests.next_offset}")

    async def _close_gap(self, page: RawPage) -> bool:
        """Step back until a page connects, then read forward until the page after the gap does.

        Return whether it connects now. If not, the pass is beyond it, and none of its records is needed.
        """
        requests, boundary = self._requests, self._boundary
        self.list_changed = True
        requests.widen_overlap()
        probe = Probe(max(self._last - requests.full_size + 1, 0))
        is_too_early = False  # whether a page was found that lies wholly within what is known
        while self._may_continue():
            found = await self._fetch(probe.at)
            connected = bool(found.ids) and self._connects(found)
            if not connected and boundary.is_within(found) and found.end - 1 > probe.at:
                probe.at, is_too_early = found.end - 1, True
            elif connected or ((is_too_early or probe.back > 1) and boundary.connects_by_order(found)):
                await self._take(found)
                if self._is_done or self._connects(page):
                    return not self._is_done
                if self._last > page.end:
                    return False
                probe.move_to(self._last if self._last > found.offset else found.offset + 1)
            elif not found.ids and (probe.at == 0 or probe.at > self._last):
                return False
            else:
                probe.step_back(requests.full_size)
        self._give_up()
        return False

    async def _find_end(self) -> None:
        """Request pages until one shows the end or has enough new records to go on reading ahead."""
        probe = Probe(max(self._last, 0))
        while self._may_continue():
            page = await self._fetch(probe.at)
            probe.observe(page)
            if not page.ids:
                if await self._ends_before(page, probe):
                    return
            elif await self._take_next(page, probe) and self._is_over(page, probe):
                return
        self._give_up()

    async def _ends_before(self, page: RawPage, probe: Probe) -> bool:
        """Return whether a page without records shows that the list ended before it; if not, move the probe."""
        if page.received:
            probe.move_to(page.end)
        elif probe.at == 0 or probe.at > self._last:
            if probe.at > 0 and self._requests.shows_no_overlap and self.is_whole:
                before, again = self._last_page, await self._fetch(self._last)
                # Nothing else shows that the last known record is still the last one.
                self.is_whole = before is not None and again.lines == before.lines
            self._doubts.ends_early |= page.ends_early
            self._is_done = True
        else:
            self.list_changed = True
            probe.step_back(self._requests.full_size)
        return self._is_done

    async def _take_next(self, page: RawPage, probe: Probe) -> bool:
        """Take a page if it is the next one; if not, move the probe and return `False`."""
        connected = self._connects(page)
        if probe.at > self._last and self._requests.shows_no_overlap:
            # The page follows the last known record without showing it: nothing proves that it is the next one.
            self.is_whole = False
        elif not connected and not (connected := self._is_next_by_order(page, probe)):
            return False
        await self._take(page, connected=connected)
        return True

    def _is_next_by_order(self, page: RawPage, probe: Probe) -> bool:
        """Return whether the order of ids shows that a page without a known record is next; if not, move the probe."""
        self.list_changed = True
        if self._boundary.is_within(page):
            self._skip(page)
            probe.move_to(max(page.end - 1, probe.at + 1))
            return False
        if probe.back > 1 and self._boundary.connects_by_order(page):
            return True
        probe.step_back(self._requests.full_size)
        return False

    def _is_over(self, page: RawPage, probe: Probe) -> bool:
        """Return whether a page that was taken ends the search; if not, move the probe."""
        requests, has_advanced = self._requests, self._boundary.has_advanced
        is_short = page.received < min(requests.largest_page, page.asked)
        is_last = not has_advanced and is_short and page.ids[-1] == self._boundary.furthest
        self._is_done = self._is_done or (is_last and self._end.is_shown_by(page, last_total=self._totals.last))
        if self._is_done:
            return True
        probe.back = 1
        if not has_advanced:
            if probe.is_stuck:
                raise self._endless("the same page again and again at its end: it ignores `offset`")
            probe.move_beyond(page)
            return False
        self._trusts_totals = self._trusts_totals and (page.total or 0) > self._last
        if page.received > 1:
            requests.reads_ahead = True
            requests.continue_after(self._last)
            return True
        probe.at = self._last + self._requests.shows_no_overlap
        return False

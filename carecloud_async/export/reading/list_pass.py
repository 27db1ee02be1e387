"""One pass over a list from front to back: N pages in flight, no gap between one page and the next.

Each page overlaps the one before by a row. If nothing changes, that row is the same in both. If records were deleted in
between, the later page begins too far on and does not connect: earlier pages are read until one connects. Each gap
widens the overlap of later pages, so that steady change costs wider pages instead of extra requests.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from carecloud_async.errors import ExportError
from carecloud_async.export.reading.boundary import Boundary
from carecloud_async.export.reading.change_evidence import Totals, compare
from carecloud_async.export.reading.pages import RawPage, RawPageFetcher
from carecloud_async.export.reading.probe import EndProbe, Probe
from carecloud_async.export.storage.checkpoint import Position
from carecloud_async.paging.page_plan import Fetched, PagePlan
from carecloud_async.paging.read_ahead import ListPart, ReadAhead, divided
from carecloud_async.runtime.background_tasks import BackgroundTasks

__all__ = ["Accept", "ListPass"]

#: Takes a page, the indexes of its records that are new to the boundary, and the pass it belongs to.
Accept = Callable[[RawPage, list[int], "ListPass"], Awaitable[None]]

_START = Position()

#: How often the same page may come in a row when another one must follow.
_PATIENCE = 6

#: Pages in a row without a new record, in addition to twice those with one, after which the list counts as endless.
_IDLE = 32


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

    Attributes:
        list_changed: whether the list was seen to change.
        exact: whether no gap was left.
        place_bits: how strongly records in the same place of two pages show a stable order; see `evidence`.
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
        self._fetcher = fetcher
        self._params = params
        self._boundary = boundary
        self._accept = accept
        self._plan = plan
        self._is_last = is_last
        self._last = position.end  # the offset of the last known record
        self._page_size = min(position.page_size, self._count) if plan.is_fixed else 0  # 0 while unknown
        self._least_asked = sys.maxsize  # the smallest page size that was requested
        self._totals = Totals(position.total, position.least_total, position.explained_missing)
        self._largest_page = self._page_size  # the most records that a page had
        self._next_offset = max(position.end, 0)  # the offset of the next page to read ahead
        self._overlap = 1  # the records that a page shares with the one before
        self._previous: RawPage | None = None  # the last page that was taken
        self._done = False
        self._trusts_total = True
        self._reads_ahead = True
        self._requests = 0
        self._unknown_starts = 0  # first pages in a row without a known record
        self._idle_pages = 0  # pages since the last one with a new record
        self._new_pages = 0  # pages with a new record
        self._ended_at: int | None = None  # the offset of the first page without entries
        self.list_changed: bool = False
        self.exact: bool = True
        self.place_bits: float = 0.0

    @property
    def _count(self) -> int:
        return max(self._plan.count, 2)

    @property
    def _full_size(self) -> int:
        """The number of records of a page that the server does not cut short."""
        return self._page_size or self._count

    @property
    def position(self) -> Position:
        """The position of the pass."""
        return Position(
            end=self._last,
            page_size=self._page_size,
            total=self._totals.last,
            least_total=self._totals.least,
            explained_missing=self._totals.explained_missing,
        )

    @property
    def is_one_page(self) -> bool:
        """Whether one page held the whole list, so that its order does not matter."""
        return not self.list_changed and self._last < self._largest_page

    def falls_short(self, records: int) -> bool:
        """Return whether records are missing by the totals, beyond those that observed changes account for."""
        return self._totals.falls_short(records)

    async def run(self) -> None:
        """Read the list.

        Raises:
            NotInOrderError: the boundary needs the order of ids, and the server does not keep it.
            ExportError: the server sends the same page again and again, or pages without records.
            CareCloudError: a page could not be read.
        """
        async with BackgroundTasks() as tasks:
            if not self._page_size:
                page = await self._fetch(max(self._last, 0))
                self._learn(page)
                await self._handle_page(page)
                self._next_offset = self._last + 1 - self._overlap
            while not self._done:
                await self._read_ahead(tasks)
                if not self._done:
                    await self._find_end()
        if self._boundary.relied_on_order:
            self.exact = False

    def _learn(self, page: RawPage) -> None:
        """Learn from the first page how many records the server sends: it may cap `count`."""
        if page.received == 1:
            # One record at a time shows no overlap: fetch sequentially.
            self._page_size, self._reads_ahead = 2, False
            return
        if not self._plan.is_fixed:
            return  # the plan learns the page size
        capped = 1 < page.received < self._count and (page.total or 0) > page.end
        self._page_size = page.received if capped else self._count

    async def _read_ahead(self, tasks: BackgroundTasks) -> None:
        ahead = ReadAhead(self._fetch_part, next_part=self._next_part, tasks=tasks, plan=self._plan)
        while not self._done and (page := await ahead.take()) is not None:
            await self._handle_page(page)

    def _next_part(self) -> ListPart | None:
        promised = self._totals.last if self._trusts_total else None
        if self._done or not self._reads_ahead or not self._may_go_on():
            return None
        if promised is not None and self._next_offset + self._overlap >= promised:
            return None
        if promised is None and self._next_offset > self._last + self._full_size * self._plan.width:
            return None
        offset, size = max(self._next_offset, 0), self._full_size
        part = ListPart(offset, size, offset + size)
        self._next_offset = offset + max(size - self._overlap_in(part), 1)
        return part

    def _overlap_in(self, part: ListPart) -> int:
        return max(min(self._overlap, part.size // 2), 1)

    async def _fetch_part(self, part: ListPart) -> tuple[RawPage, Sequence[ListPart]]:
        """Get the page of a part of the list, and the pieces that are missing from it."""
        if self._plan.is_fixed:
            return await self._fetch(part.offset), ()
        end, overlap = part.offset + part.size, self._overlap_in(part)
        page = await self._fetch(part.offset, part.size)
        if page.end >= end or page.received < 2 or self._ends_list(page):
            return page, ()
        at = max(page.end - overlap, part.offset + 1)
        return page, tuple(divided(at, end, size=self._count, overlap=overlap))

    async def _fetch(self, offset: int, size: int | None = None) -> RawPage:
        self._requests += 1
        wanted = max(size or self._count, 2)
        self._least_asked = min(self._least_asked, self._full_size)

        async def send(count: int, fail_fast: bool) -> Fetched[RawPage]:
            return await self._fetcher.fetch_measured(offset, max(count, 2), self._params, fail_fast=fail_fast)

        return (await self._plan.request(wanted, send))[1]

    def _observe(self, page: RawPage) -> None:
        self._boundary.check(page)
        self.list_changed |= self._totals.observe(page.total, at_least=page.end if page.received else 0)
        self._largest_page = max(self._largest_page, page.received)
        if not page.received and self._ended_at is None:
            self._ended_at = page.offset
        if page.received and not page.ids:
            self._count_idle("pages without a single record: its list does not end")

    def _count_idle(self, problem: str, *, certain: bool = True) -> None:
        self._idle_pages += 1
        if self._idle_pages > _IDLE + self._plan.width + 2 * self._new_pages:
            if certain:
                raise ExportError(f"the server sends {problem}; the last offset was {self._next_offset}")
            self._give_up()

    async def _handle_page(self, page: RawPage) -> None:
        """Take the next page after closing the gap before it."""
        self._observe(page)
        if not page.ids:
            # No record is there (any more), in spite of the total: the end of the list is found sequentially.
            self._reads_ahead = self._reads_ahead and page.received > 0
            return
        if self._plan.is_fixed and 1 < page.received < self._full_size and not self._ends_list(page):
            self._page_size = page.received
        if self._connects(page):
            await self._take(page)
        elif self._boundary.is_within(page):
            self._pass_over(page)
        elif await self._bridge(page):
            await self._take(page)

    def _connects(self, page: RawPage) -> bool:
        if self._boundary.connects(page):
            self._unknown_starts = 0
            return True
        if page.offset == 0 and page.ids:
            # All known records may be deleted. Or the server sent a wrong page, which it rarely does twice.
            self._unknown_starts += 1
            return self._unknown_starts > 1
        return False

    async def _take(self, page: RawPage, *, connected: bool = True) -> None:
        """Hand over a page. Where it overlaps the one before, both must have the same record in the same place."""
        before, self._previous = self._previous, page
        overlap = compare(before, page)
        self.list_changed |= overlap.changed
        self.place_bits += overlap.bits
        self._totals.explained_missing += page.received - len(page.ids) + overlap.moved_by
        new = self._boundary.advance(page) if connected else self._boundary.append(page)
        self._last = page.last
        if self._boundary.has_advanced:
            self._idle_pages = 0
            self._new_pages += 1
        else:
            same = before is not None and before.ids == page.ids
            self._count_idle("the same page again and again: it ignores `offset`", certain=same)
        await self._accept(page, new, self)
        self._done = self._done or self._is_last(page)

    def _pass_over(self, page: RawPage) -> None:
        """Continue after a page that holds known records only: records were inserted before it."""
        self.list_changed = True
        self._previous, self._last = None, page.end - 1

    async def _bridge(self, page: RawPage) -> bool:
        """Close the gap before a page: step back until a page connects, then forward until this one does.

        Returns:
            whether it connects now. If not, the boundary has passed it, and none of its records is needed.
        """
        self.list_changed = True
        self._overlap = max(min(self._overlap * 3, self._full_size // 2), 1)
        probe = Probe(max(self._last - self._full_size + 1, 0))
        overshot = False
        while self._may_go_on():
            found = await self._fetch(probe.at)
            self._observe(found)
            connected = bool(found.ids) and self._connects(found)
            if not connected and self._boundary.is_within(found) and found.end - 1 > probe.at:
                probe.at, overshot = found.end - 1, True
            elif connected or ((overshot or probe.back > 1) and self._boundary.connects_by_order(found)):
                await self._take(found)
                if self._done or self._connects(page):
                    return not self._done
                if self._last > page.end:
                    return False
                probe.move_to(self._last if self._last > found.offset else found.offset + 1)
            elif not found.ids and (probe.at == 0 or probe.at > self._last):
                return False
            else:
                probe.step_back(self._full_size)
        self._give_up()
        return False

    async def _find_end(self) -> None:
        """Request pages from the last known record on until the server shows it as the last one of the list.

        A short page that ends where its total says is not enough: totals may be wrong, and pages cut short.
        """
        probe = EndProbe(max(self._last, 0))
        while self._may_go_on():
            page = await self._fetch(probe.at)
            self._observe(page)
            probe.observe(page)
            if not page.ids:
                if await self._ends_with_nothing(page, probe):
                    return
                continue
            connected = self._connects(page)
            if probe.at > self._last and self._largest_page < 2:
                # The page holds the last known record alone, although more follow: it proves nothing.
                self.exact = False
            elif not connected:
                connected = self._is_next_by_order(page, probe)
                if not connected:
                    continue
            await self._take(page, connected=connected)
            if self._is_end_found(page, probe):
                return
        self._give_up()

    async def _ends_with_nothing(self, page: RawPage, probe: EndProbe) -> bool:
        """Return whether an empty page shows that the list ended before it; if not, move the probe."""
        if page.received:
            probe.move_to(page.end)
        elif probe.at == 0 or probe.at > self._last:
            await self._confirm_end(probe.at)
            self._done = True
        else:
            self.list_changed = True
            probe.step_back(self._full_size)
        return self._done

    def _is_next_by_order(self, page: RawPage, probe: EndProbe) -> bool:
        """Return whether the order of ids shows that a page without a known record is next; if not, move the probe."""
        self.list_changed = True
        if self._boundary.is_within(page):
            self._pass_over(page)
            probe.move_to(max(page.end - 1, probe.at + 1))
            return False
        if probe.back > 1 and self._boundary.connects_by_order(page):
            return True
        probe.step_back(self._full_size)
        return False

    def _is_end_found(self, page: RawPage, probe: EndProbe) -> bool:
        """Return whether a page is the last, or reading ahead may continue after it; if not, request another.

        Raises:
            ExportError: the server sends the same page again and again.
        """
        if self._done or (not self._boundary.has_advanced and self._is_short_end(page)):
            self._done = True
            return True
        probe.back = 1
        if not self._boundary.has_advanced:
            if probe.repeats > _PATIENCE:
                where = f"up to record {probe.at}"
                raise ExportError(f"the server sends the same page again and again, {where}: it ignores `offset`")
            if probe.repeats != 1:  # perhaps the answer to the previous request: it is requested once more
                probe.at = page.offset + max(page.received - 1, 1)
            return False
        # More records than the total: ignore the total if it is less than the records seen.
        self._trusts_total = self._trusts_total and (page.total or 0) > self._last
        if page.received > 1:
            self._reads_ahead = True
            self._next_offset = self._last + 1 - self._overlap
            return True
        probe.at = self._last + (self._largest_page < 2)
        return False

    async def _confirm_end(self, at: int) -> None:
        """For a server that sends one record at a time: check that the last known record is still the last."""
        if at == 0 or self._largest_page > 1 or not self.exact:
            return
        page = await self._fetch(self._last)
        self._observe(page)
        self.exact = self._previous is not None and page.lines == self._previous.lines

    def _is_short_end(self, page: RawPage) -> bool:
        """Return whether a page is shorter than others, ends where the total says, and reaches the boundary."""
        at_end = bool(page.ids) and page.ids[-1] == self._boundary.furthest
        return at_end and page.received < min(self._largest_page, page.asked) and self._ends_list(page)

    def _ends_list(self, page: RawPage) -> bool:
        return page.total is not None and page.end == page.total

    def _may_go_on(self) -> bool:
        """Return whether to continue; the limit is four times the requests of an unchanged list, and some more."""
        # Without a total, an endless list cannot be distinguished from a long one.
        length = self._totals.length
        if length is None:
            length = self._last + 1 if self._ended_at is None else self._ended_at
        return self._requests < 64 + 4 * math.ceil(length / max(min(self._full_size, self._least_asked) - 1, 1))

    def _give_up(self) -> None:
        self.exact = False
        self._done = True

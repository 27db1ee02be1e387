"""`PageRequests`: requests the pages of a pass, each of a known size and overlapping the one before; and `Probe`."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

from attrs import evolve

from carecloud_async._lists.export.reading.pages import Identity, RawPage, RawPageFetcher
from carecloud_async._lists.export.storage.checkpoint import Position
from carecloud_async._lists.paging.page_plan import Fetched, PagePlan
from carecloud_async._lists.paging.read_ahead import ListPart

__all__ = ["PageRequests", "Probe"]

#: The fewest records of a request: pages of one record could not overlap.
_MIN_COUNT = 2

#: Pages in a row without a new record, in addition to twice those with one, after which the list counts as endless.
_MAX_IDLE = 32

#: Pages in a row that had more records than expected, after which as many are expected again.
_ENOUGH_LONGER = 4


class PageRequests:
    """The requests of one pass over a list.

    Args:
        fetcher: fetches the pages.
        plan: the number of requests at once, and the number of records in each.
        params: the sort.
        start: the position that the pass begins from.

    Attributes:
        page_size: the records that the server sends at once, if the user set a page size; 0 while it is unknown.
        largest_page: the most records that a page had.
        overlap: the records that a page shares with the one before.
        reads_ahead: whether pages may be requested before the ones before them have arrived.
        next_offset: the offset of the next page to read ahead.
    """

    def __init__(self, fetcher: RawPageFetcher, plan: PagePlan, *, params: Mapping[str, Any], start: Position) -> None:
        self._fetcher = fetcher
        self._plan = plan
        self._params = params
        self._sent = 0
        self._arrived = 0
        self._min_asked = sys.maxsize  # the smallest page size that was requested
        self._idle_pages = 0  # since the last one with a new record
        self._new_pages = 0
        self._longer: list[int] = []  # the lengths of the last pages, as far as they had more records than expected
        self.page_size: int = min(start.page_size, self._count) if plan.is_fixed else 0
        self.largest_page: int = start.largest_page
        self.overlap: int = 1
        self.reads_ahead: bool = start.largest_page != 1  # see `learn_page_size`
        self.next_offset: int = max(start.end, 0)

    @property
    def _count(self) -> int:
        return max(self._plan.count, _MIN_COUNT)

    @property
    def full_size(self) -> int:
        """The number of records of a page that the server does not cut short."""
        return self.page_size or self._count

    @property
    def width(self) -> int:
        """The number of requests at once."""
        return self._plan.width

    @property
    def shows_no_overlap(self) -> bool:
        """Whether the server sends one record at a time."""
        return self.largest_page < 2

    async def fetch(self, offset: int, size: int | None = None) -> RawPage:
        """Get a page.

        Args:
            offset: where it begins.
            size: the records to request; as many as the plan says if left out.

        Raises:
            CareCloudError: it could not be read.
        """
        self._sent += 1
        self._min_asked = min(self._min_asked, self.full_size)

        async def send(count: int, fail_fast: bool) -> Fetched[RawPage]:
            return await self._fetcher.fetch_measured(offset, max(count, _MIN_COUNT), self._params, fail_fast=fail_fast)

        _, page = await self._plan.request(max(size or self._count, _MIN_COUNT), send)
        self._arrived += 1
        return evolve(page, arrived=self._arrived)

    async def fetch_part(self, part: ListPart) -> tuple[RawPage, ListPart | None]:
        """Get the first page of a part of the list, and the rest that is missing from it; see `ReadAhead`."""
        if self._plan.is_fixed:
            return await self.fetch(part.offset), None
        page = await self.fetch(part.offset, part.size)
        if page.end >= part.until or page.received < _MIN_COUNT or page.ends_list:
            return page, None
        at = max(page.end - self._overlap_in(part), part.offset + 1)
        return page, ListPart(at, min(self._count, part.until - at), part.until)

    def next_part(self, *, last: int, total: int | None) -> ListPart | None:
        """Return the next part to read ahead; `None` at the end of the list, or too far beyond what is known.

        Args:
            last: the offset of the last known record.
            total: the length of the list, if the server says it.
        """
        if total is None:
            is_beyond = self.next_offset > last + self.full_size * self.width
        else:
            is_beyond = self.next_offset + self.overlap >= total
        if is_beyond:
            return None
        offset, size = max(self.next_offset, 0), self.full_size
        part = ListPart(offset, size, offset + size)
        self.next_offset = offset + max(size - self._overlap_in(part), 1)
        return part

    def _overlap_in(self, part: ListPart) -> int:
        return max(min(self.overlap, part.size // 2), 1)

    def continue_after(self, last: int) -> None:
        """Read ahead from the page that overlaps the last known record on."""
        self.next_offset = last + 1 - self.overlap

    def widen_overlap(self) -> None:
        """Let later pages overlap more: records are being deleted."""
        self.overlap = max(min(self.overlap * 3, self.full_size // 2), 1)

    def learn_page_size(self, first: RawPage) -> None:
        """Learn from the first page how many records the server sends at once: fewer than requested if it caps them."""
        if first.received == 1:
            # One record at a time shows no overlap: fetch sequentially.
            self.page_size, self.reads_ahead = _MIN_COUNT, False
        elif self._plan.is_fixed:  # another plan learns the page size itself
            capped = 1 < first.received < self._count and (first.total or 0) > first.end
            self.page_size = first.received if capped else self._count

    def learn_cap(self, page: RawPage) -> None:
        """Follow the number of records that the server sends at once: fewer, or for several pages in a row more."""
        if not self._plan.is_fixed or page.received < _MIN_COUNT or page.ends_list:
            return
        self._longer = [*self._longer, page.received] if page.received > self.full_size else []
        if page.received < self.full_size:
            self.page_size = page.received
        elif len(self._longer) == _ENOUGH_LONGER:
            self.page_size, self._longer = min(self._longer), []

    def is_endless(self, *, has_new: bool) -> bool:
        """Count a page; return whether too many in a row had no new record."""
        self._idle_pages = 0 if has_new else self._idle_pages + 1
        self._new_pages += has_new
        return self._idle_pages > _MAX_IDLE + self.width + 2 * self._new_pages

    def are_left(self, length: int) -> bool:
        """Return whether another request may be sent: four times those of an unchanged list, and some more.

        Args:
            length: the length of the list.
        """
        advance = max(min(self.full_size, self._min_asked) - 1, 1)  # the smallest step from one page to the next
        return self._sent < 64 + 4 * math.ceil(length / advance)


#: How often in a row the end may show the same page, although another one must follow.
_MAX_REPEATS = 6


class Probe:
    """The offset of the next page to try; it steps back in growing steps until a page fits.

    Args:
        at: the offset.

    Attributes:
        at: see above.
        back: the length of the next step back in pages: 1 at first, doubled by each step.
        repeats: the pages in a row that held the same records as the one before.
    """

    def __init__(self, at: int) -> None:
        self.at: int = at
        self.back: int = 1
        self.repeats: int = 0
        self._shown: list[Identity] = []

    def move_to(self, at: int) -> None:
        """Move to another offset; the next step back is one page again."""
        self.at, self.back = at, 1

    def step_back(self, count: int) -> None:
        """Step back.

        Args:
            count: the records of a page.
        """
        self.at, self.back = max(self.at - count * self.back, 0), self.back * 2

    @property
    def is_stuck(self) -> bool:
        """Whether the same page was found too often."""
        return self.repeats > _MAX_REPEATS

    def move_beyond(self, page: RawPage) -> None:
        """Move to the end of a page that showed nothing new."""
        if self.repeats != 1:  # the first repeat may be the answer to the previous request: request the page once more
            self.at = page.offset + max(page.received - 1, 1)

    def observe(self, page: RawPage) -> None:
        """Take the page that was found at this offset into account."""
        self.repeats = self.repeats + 1 if page.ids and page.ids == self._shown else 0
        self._shown = page.ids

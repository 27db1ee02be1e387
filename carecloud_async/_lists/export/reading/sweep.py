"""One sweep over a list from front to back: several pages in flight, each overlapping the one before.

A page is taken if it shows a record of the page before it: what lies between is known then, however the list has
changed. If it shows none, the sweep steps back, in growing steps, to one that does. So a sweep that reaches the end has
shown each record that was there all the time, provided that the order is stable and no answer leaves anything out.
`Sweep.reason_of` says whether the answers show both.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from attrs import evolve

from carecloud_async._base.runtime.task_groups import BackgroundTasks
from carecloud_async._lists.export.reading.order import ORDERS, Evidence
from carecloud_async._lists.export.reading.pages import Identity, RawPage, RawPageReader
from carecloud_async._lists.export.reasons import InexactReason
from carecloud_async._lists.export.storage.checkpoint import SweepState
from carecloud_async.errors import ExportError

__all__ = ["Sweep"]

#: The fewest records of a request: pages of one record could not overlap.
_FEWEST = 2
#: Pages share this part of their records, so that a few deletions open no gap.
_SHARED = 200
#: Ids that a checkpoint holds.
_TAIL = 64
#: How often the end is asked again while its total is doubtful: often enough for the five answers that confirm one.
_ENDS = 8
#: How often in a row a page may be empty though its total says otherwise.
_HOLLOW = 1
#: Pages in a row without a record that the page before did not show.
_IDLE = 40


class Sweep:
    """Reads a list once.

    Args:
        reader: reads its pages.
        sort: the sort.
        by_id: whether that is the sort by id.
        state: where to begin.
        record: takes each page.
        stop: returns whether the sweep may end after a page.

    Attributes:
        evidence: what the answers say of the list.
    """

    def __init__(
        self,
        reader: RawPageReader,
        *,
        sort: Mapping[str, Any],
        by_id: bool,
        state: SweepState,
        record: Callable[[RawPage], Awaitable[None]],
        stop: Callable[[RawPage], bool] = lambda _: False,
    ) -> None:
        self._reader, self._sort, self._by_id = reader, sort, by_id
        self._record, self._stop = record, stop
        self._number = state.number
        self._last = state.last if state.tail else -1
        self._taken = [_page_before(state)] if state.tail else []  # the last two pages
        self._places: dict[Identity, int] = {}  # where both showed which record; made when it is needed
        self._size = state.size
        self._largest_page = 0
        self._next = max(self._last, 0)  # where the next page ahead begins
        self._back = 0  # by how many records to step back; 0 while pages connect
        self._widened = 1  # by how much pages overlap more, because records are being deleted
        self._sent = 0  # requests
        self._idle = 0  # pages in a row that ended with a record that was known
        self._hollow = 0  # empty pages before the end that their total shows, since a page showed something new
        self._ends = 0  # pages that may be the end
        self._is_stopped = False
        self.evidence: Evidence = state.evidence
        if self.evidence.orders is None:
            self.evidence = evolve(self.evidence, orders=ORDERS if by_id else ())

    @property
    def state(self) -> SweepState:
        """How far it is."""
        shown = dict.fromkeys(key for page in self._taken for key in page.ids[-_TAIL:])
        tail = [key for key in [*shown][-_TAIL:] if isinstance(key, str)]
        return SweepState(
            number=self._number,
            last=self._last,
            tail=tail,
            size=self._size,
            evidence=self.evidence,
        )

    @property
    def is_stable(self) -> bool:
        """Whether the order of the list is certainly stable, or one page held the whole list."""
        is_whole = not self._is_stopped or any(page.offset == 0 and page.ends_list for page in self._taken[-1:])
        is_one_page = is_whole and self._last < self._largest_page
        return self.evidence.shows_order or (is_one_page and not self.evidence.has_changed)

    def reason_of(self, *, shown: int, is_repeated: bool) -> InexactReason | None:
        """Return why the sweep is no proof that all records of the list were shown; `None` if it is one.

        Args:
            shown: the number of different records that it showed.
            is_repeated: whether an earlier sweep over the whole list showed all of them.
        """
        if self.evidence.reason is not None:
            return self.evidence.reason
        total, is_calm = self.evidence.expected, not self.evidence.has_changed
        # A calm list has as many records as places. If they have fewer ids, several records share one.
        places = self._last + 1 if is_calm else 0
        is_counted = total == shown or (total is None and is_repeated)
        if is_calm and is_counted and shown >= places:
            return None  # whatever the order
        if not self.is_stable:
            return InexactReason.NO_STABLE_ORDER
        return InexactReason.SHORT_OF_TOTAL if shown < max(total or 0, places) else None

    async def run(self) -> None:
        """Read the list.

        Raises:
            ExportError: the server sends the same page again and again.
            CareCloudError: a page could not be read.
        """
        async with BackgroundTasks() as tasks:
            self._reader.begin(tasks, next_part=self._next_part, fetch=self._fetch_part)
            page = await self._fetch(max(self._last, 0))
            while not await self._take(page):
                page = await self._next_page()

    # Requests

    @property
    def _count(self) -> int:
        size = self._size if self._reader.is_fixed and self._size else self._reader.count
        return max(size, _FEWEST)

    @property
    def _overlap(self) -> int:
        return max(min(max(self._count // _SHARED, 1) * self._widened, self._count // 2), 1)

    def _next_part(self) -> range | None:
        """Return the next part to read ahead, `None` if there is none now; see `PageReader.begin`."""
        total, size = self.evidence.last, self._count
        if self._back or self._is_stopped or self._largest_page < _FEWEST:
            return None
        if total is None:
            is_wanted = self._next <= self._last + size * self._reader.width
        else:
            is_wanted = self._next + self._overlap < total
        if not is_wanted:
            return None
        part = range(self._next, self._next + size)
        self._next += size - self._overlap
        return part

    async def _fetch_part(self, part: range) -> tuple[tuple[int, RawPage], range]:
        page = await self._fetch(part.start, most=len(part))
        at = page.end - self._overlap
        is_end = page.ends_list or (page.total_items is None and page.received <= 2 * self._overlap)
        is_whole = page.end >= part.stop or is_end or at <= part.start
        return (page.asked, page), range(0) if is_whole else range(at, part.stop)

    async def _fetch(self, offset: int, *, most: int | None = None) -> RawPage:
        self._sent += 1
        reader = self._reader
        wanted = reader.count if most is None or reader.is_fixed else min(most, reader.count)
        _, page = await reader.get(offset, max(wanted, _FEWEST), self._sort)
        self.evidence = self.evidence.with_total(page.total_items)
        self._largest_page = max(self._largest_page, page.received)
        if page.received >= _FEWEST and not page.ends_list:
            self._size = page.received  # a server may cap its pages
        return page

    async def _next_page(self) -> RawPage:
        if self._back:
            self._reader.clear()
            return await self._fetch(max(self._last + 1 - self._back, 0))
        ahead = await self._reader.take()
        if ahead is not None:
            return ahead[1]
        is_single = self._largest_page == 1 and not self._ends
        return await self._fetch(max(self._last + is_single, 0))

    # Pages

    async def _take(self, page: RawPage) -> bool:
        """Take a page; return whether the list ends."""
        if page.has_nulls:
            self.evidence = evolve(self.evidence, nulls=self.evidence.nulls + page.received - len(page.ids))
        if self._sent > self._most_requests:
            return self._give_up(InexactReason.GAP)
        if not page.ids:
            return self._skip_nulls(page) if page.received else self._is_over_at_empty(page)
        if self._by_id:
            self.evidence = self.evidence.with_order(page.ids)
        if not self._connects(page):
            if self._largest_page > 1:
                if not self.evidence.orders:  # a part of a list in no order may never be shown again
                    await self._record(page)
                self._step_back()
                return False
            # The server sends one record at a time: no page can connect.
            self.evidence = self.evidence.with_problem(InexactReason.NO_STABLE_ORDER)
        self._follow(page)
        await self._record(page)
        return await self._is_over(page)

    @property
    def _most_requests(self) -> int:
        """The requests after which the list changes faster than it is read."""
        longest = self.evidence.length or self._last + 1
        advance = max(min(self._count, self._size or self._count) - self._overlap, 1)
        return 64 + 4 * math.ceil(longest / advance)

    def _connects(self, page: RawPage) -> bool:
        """Return whether a page begins the list, or shows a record of the pages before it."""
        return page.offset == 0 or self._follows(page) or any(key in self._known for key in page.ids)

    def _follows(self, page: RawPage) -> bool:
        """Return whether a page shows the last known record where it was."""
        place = self._last - page.offset
        return bool(self._taken) and place >= 0 and page.ids[place : place + 1] == self._taken[-1].ids[-1:]

    @property
    def _known(self) -> dict[Identity, int]:
        """Where the last two pages showed their records, those of the later one last."""
        if not self._places:
            for page in self._taken:
                for place, key in enumerate(page.ids, page.offset):
                    self._places.pop(key, None)
                    self._places[key] = place
        return self._places

    def _follow(self, page: RawPage) -> None:
        """Move on to the end of a page that connects."""
        if self._taken:
            is_idle = any(page.ids[-1] in before.ids for before in self._taken)
            self._idle = self._idle + 1 if is_idle else 0
            self._hollow = self._hollow if self._idle else 0
            self._compare(page)
        self._back = 0
        self._last = page.end - 1
        self._taken, self._places = [*self._taken[-1:], page], {}
        if not self._reader.is_ahead:
            self._next = max(self._last + 1 - self._overlap, 0)

    def _compare(self, page: RawPage) -> None:
        """Compare a page with the one before it: the order of what both show, and whether it moved."""
        moved_by = 0 if self._follows(page) else self._moved_by(page)
        if moved_by != 0:
            self.evidence = self.evidence.with_change()
        if not (self.evidence.orders and self.evidence.shows_order):
            both = [key for key in page.ids if key in self._known]
            end = page.end if moved_by == 0 else None
            self.evidence = self.evidence.with_overlap([*self._known], both, end=end)

    def _moved_by(self, page: RawPage) -> int | None:
        """Return by how many places the last known record of a page has moved to the end; `None` if it shows none."""
        places = {key: place for place, key in enumerate(page.ids, page.offset)}
        for key in reversed(self._known):
            if key in places:
                return places[key] - self._known[key]
        return None

    async def _is_over(self, page: RawPage) -> bool:
        """Return whether a page that was taken ends the list, or what is wanted of it."""
        if self._stop(page):
            self._is_stopped = True
            return True
        if self._idle > _IDLE:
            if len(self._taken) > 1 and self._taken[0].ids == page.ids:
                raise ExportError(f"the server sends the same page again and again; the last offset was {page.offset}")
            return self._give_up(InexactReason.GAP)
        is_short = page.received < min(page.asked, self._largest_page)
        if not self._idle or not (is_short or page.ends_list) or self._reader.is_ahead:
            return False
        if not page.ends_list:  # its total does not say so: nothing may follow it
            return await self._take(await self._fetch(page.end))
        return not self._doubts_end(page)

    def _skip_nulls(self, page: RawPage) -> bool:
        """Move on to the end of a page of nulls alone, which ends no list."""
        self._last = page.end - 1
        self._idle += 1
        if self._idle > _IDLE:
            raise ExportError(f"the server sends pages of nulls alone; the last offset was {page.offset}")
        return False

    def _is_over_at_empty(self, page: RawPage) -> bool:
        """Return whether an empty page ends the list; if it is not where the list may end, step back."""
        if page.ends_early:
            self._hollow += 1
            if self._hollow > _HOLLOW:
                return self._give_up(InexactReason.SHORT_OF_TOTAL)
        elif page.offset in {0, self._last + 1}:
            return not self._doubts_end(page)
        if page.offset > self._last:
            self._back = self._back or 1  # the records before it are not known yet
        else:
            self._step_back()
        return False

    def _doubts_end(self, page: RawPage) -> bool:
        """Return whether to look at the end once more: too few answers gave the total that shows it."""
        self._ends += 1
        is_old = page.total_items is not None and page.total_items < (self.evidence.last or 0)
        return (is_old or self.evidence.is_doubtful) and self._ends <= _ENDS

    def _step_back(self) -> None:
        self.evidence = self.evidence.with_change()
        if not self._back:
            self._widened *= 3
        self._back = 2 * self._back or self._count

    def _give_up(self, reason: InexactReason) -> bool:
        self.evidence = self.evidence.with_problem(reason)
        return True


def _page_before(state: SweepState) -> RawPage:
    """Return the end of the page that an earlier run took last."""
    count = len(state.tail)
    return RawPage(
        offset=state.last + 1 - count, ids=state.tail, received=count, total_items=state.evidence.last, asked=count
    )

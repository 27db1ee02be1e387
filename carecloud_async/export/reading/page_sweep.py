"""One way through a list from front to back: N pages in flight, no gap between one page and the next.

Each page overlaps the one before by a row. Where nothing changes, that row is the same in both. Where records went
missing in between, the later page begins further on and does not connect: pages before it are read until one does.
Each gap found widens the overlap of the pages to come, so that steady change costs wider pages rather than repairs.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from carecloud_async.errors import ExportError
from carecloud_async.export.reading.boundary import Boundary
from carecloud_async.export.reading.read_ahead import ReadAhead
from carecloud_async.export.reading.source import RawPage, Source
from carecloud_async.export.storage.checkpoint import Place
from carecloud_async.runtime.background_tasks import BackgroundTasks

__all__ = ["Accept", "PageSweep"]

#: Takes a page whose records from the index on may be new, and the sweep it comes from.
Accept = Callable[[RawPage, int, "PageSweep"], Awaitable[None]]

#: How often in a row the very same page may come where there must be another.
_PATIENCE = 6


class PageSweep:
    """Goes through a list once.

    Args:
        source: where the pages come from.
        params: the sort.
        frontier: what is known of the edge.
        accept: takes the pages.
        count: how many records to ask for at a time; at least 2, or pages could not overlap.
        width: how many requests at once.
        place: where to begin.
        is_last: tells that what comes after a page is not wanted.

    Attributes:
        drifted: whether the list was seen to change.
        settled: whether no gap was left.
    """

    def __init__(
        self,
        source: Source,
        *,
        params: Mapping[str, Any],
        frontier: Boundary,
        accept: Accept,
        count: int,
        width: int,
        place: Place | None = None,
        is_last: Callable[[RawPage], bool] = lambda _: False,
    ) -> None:
        place = place or Place()
        self._source = source
        self._params = params
        self._frontier = frontier
        self._accept = accept
        self._count = max(count, 2)
        self._width = width
        self._is_last = is_last
        self._end = place.end
        self._full = min(place.full, self._count)
        self._total = place.total
        self._largest = self._full
        self._next = max(place.end, 0)
        self._overlap = 1
        self._before: RawPage | None = None
        self._done = False
        self._trusting = True
        self._ahead = True
        self._spent = 0
        self._strange = 0
        self._first_total = place.total
        self.drifted = False
        self.settled = True

    @property
    def place(self) -> Place:
        """Where the sweep stands."""
        return Place(end=self._end, full=self._full, total=self._total)

    async def run(self) -> None:
        """Go through.

        Raises:
            NotInOrderError: the frontier needs the order of ids, and the server does not keep it.
            ExportError: the server sends the same page again and again.
            CareCloudError: a page could not be read.
        """
        async with BackgroundTasks() as tasks:
            if not self._full:
                page = await self._fetch(max(self._end, 0))
                self._learn(page)
                await self._settle(page)
                self._next = self._end + 1 - self._overlap
            while not self._done:
                await self._fly(tasks)
                if not self._done:
                    await self._find_end()

    def _learn(self, page: RawPage) -> None:
        """Learn from the first page how many records the server sends: it may cap `count`."""
        if page.received == 1 and self._says_more(page):
            # One record at a time shows no overlap: go on foot.
            self._full, self._ahead = 2, False
            return
        capped = 1 < page.received < self._count and (page.total or 0) > page.offset + page.received
        self._full = page.received if capped else self._count

    async def _fly(self, tasks: BackgroundTasks) -> None:
        flight = ReadAhead(self._fetch, following=self._following, tasks=tasks, width=self._width)
        while not self._done and (page := await flight.take()) is not None:
            await self._settle(page)

    def _following(self) -> int | None:
        promised = self._total if self._trusting else None
        if self._done or not self._ahead or not self._may_go_on():
            return None
        if promised is not None and self._next + self._overlap >= promised:
            return None
        if promised is None and self._next > self._end + self._full * self._width:
            return None
        offset = max(self._next, 0)
        self._next = offset + max(self._full - self._overlap, 1)
        return offset

    async def _fetch(self, offset: int) -> RawPage:
        self._spent += 1
        return await self._source.fetch(offset, self._count, self._params)

    def _note(self, page: RawPage) -> None:
        self._frontier.check(page)
        if page.total is not None:
            self.drifted |= self._total not in {None, page.total}
            self._total = page.total
            if self._first_total is None:
                self._first_total = page.total
        self._largest = max(self._largest, page.received)

    async def _settle(self, page: RawPage) -> None:
        """Take the next page, after the gap before it is closed."""
        self._note(page)
        if not page.ids:
            # Nothing stands there (any more), whatever was promised: where the list ends is found out on foot.
            self._ahead = self._ahead and page.received > 0
            return
        if 1 < page.received < self._full and not self._ends_list(page):
            self._full = page.received
        self._compare(page)
        if self._connects(page) or await self._bridge(page):
            await self._take(page)

    def _compare(self, page: RawPage) -> None:
        """Note drift: where this page overlaps the one before, both must show the same record in the same place."""
        before = self._before
        if before is None or len(before.ids) != before.received or len(page.ids) != page.received:
            return
        index = page.offset - before.offset
        if 0 <= index < len(before.ids) and before.ids[index] != page.ids[0]:
            self.drifted = True

    def _connects(self, page: RawPage) -> bool:
        if self._frontier.connects(page):
            self._strange = 0
            return True
        if page.offset == 0 and page.ids:
            # Everything that was known may be gone. Or this is another page, which hardly comes twice.
            self._strange += 1
            return self._strange > 1
        return False

    async def _take(self, page: RawPage) -> None:
        start = self._frontier.advance(page)
        self._before = page
        self._end = page.offset + page.received - 1
        await self._accept(page, start, self)
        self._done = self._done or self._is_last(page)

    async def _bridge(self, page: RawPage) -> bool:
        """Close the gap before a page: step back until a page connects, then forward until this one does.

        Returns:
            whether it connects now. If not, it was passed: nothing in it is needed any more.
        """
        self.drifted = True
        self._overlap = max(min(self._overlap * 3, self._full // 2), 1)
        back = 1
        at = max(self._end - self._full + 1, 0)
        while self._may_go_on():
            found = await self._fetch(at)
            self._note(found)
            if found.ids and self._connects(found):
                await self._take(found)
                if self._done or self._connects(page):
                    return not self._done
                if self._end > page.offset + page.received:
                    return False
                at, back = found.offset + max(found.received - 1, 1), 1
            elif not found.ids and (at == 0 or at > self._end):
                return False
            else:
                at, back = max(at - self._full * back, 0), back * 2
        self._give_up()
        return False

    async def _find_end(self) -> None:
        """Ask on from the last known record until the server shows it as the last one of the list."""
        last = self._before
        if last is not None and self._is_short_end(last):
            self._done = True
            return
        at, back, stuck = max(self._end, 0), 1, 0
        shown: list[Any] = []
        while self._may_go_on():
            page = await self._fetch(at)
            self._note(page)
            if not page.ids:
                if at == 0 or (at > self._end and not page.received):
                    self._done = True
                    return
                self.drifted |= at <= self._end
                at, back = max(at - self._full * back, 0), back * 2
                continue
            self._compare(page)
            if not self._connects(page):
                if at > self._end:
                    # The last known record alone, and yet more behind it: nothing can be proved here.
                    self.settled = False
                else:
                    self.drifted = True
                    at, back = max(at - self._full * back, 0), back * 2
                    continue
            await self._take(page)
            if self._done or self._is_short_end(page):
                self._done = True
                return
            back = 1
            if not self._frontier.moved:
                stuck = stuck + 1 if page.ids == shown else 0
                shown = page.ids
                if page.received <= 1 and not self._says_more(page):
                    self._done = True
                    return
                if stuck > _PATIENCE:
                    raise ExportError(
                        f"the server sends the same page again and again, up to record {at}: it does not heed `offset`"
                    )
                at = page.offset + max(page.received - 1, 1)
                continue
            if page.received > 1:
                # More than was promised: fly on, and believe the total no longer if it is below what was seen.
                self._trusting = self._trusting and (page.total or 0) > self._end
                self._ahead = True
                self._next = self._end + 1 - self._overlap
                return
            at, stuck = self._end + 1, 0
        self._give_up()

    def _is_short_end(self, page: RawPage) -> bool:
        """Tell whether a page is shorter than others, ends where the total says, and reaches the edge."""
        at_edge = bool(page.ids) and page.ids[-1] == self._frontier.edge
        return at_edge and page.received < self._largest and self._ends_list(page)

    def _says_more(self, page: RawPage) -> bool:
        return page.total is not None and page.total > page.offset + page.received

    def _ends_list(self, page: RawPage) -> bool:
        return page.total is not None and page.offset + page.received == page.total

    def _may_go_on(self) -> bool:
        """Endless change ends: four times the requests that the list would have cost as it was, and some more."""
        length = self._first_total if self._trusting and self._first_total is not None else self._end + 1
        return self._spent < 64 + 4 * math.ceil(length / max(self._full - 1, 1))

    def _give_up(self) -> None:
        self.settled = False
        self._done = True

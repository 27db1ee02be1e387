"""`RangeScan`: reads one range of ids, as exactly as an export reads a whole list.

It reads in the same passes (`read_in_order`) and with the same evidence of a stable order. It begins with a page that
shows the id before the range, or the start of the list, and ends with the first page that reaches the end of the range.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from carecloud_async._lists.export.reading.boundary import Boundary, NotInOrderError
from carecloud_async._lists.export.reading.evidence import ENOUGH, sorted_bits
from carecloud_async._lists.export.reading.full_scan import id_sort, read_in_order
from carecloud_async._lists.export.reading.id_order import IdOrder
from carecloud_async._lists.export.reading.list_pass import ListPass
from carecloud_async._lists.export.reading.page_requests import Probe
from carecloud_async._lists.export.reading.pages import Identity, RawPage, RawPageFetcher
from carecloud_async._lists.export.reading.ranges import IdRange
from carecloud_async._lists.export.source import ExportSource
from carecloud_async._lists.export.storage.checkpoint import Position
from carecloud_async._lists.paging.auto import Auto

__all__ = ["RangeScan"]

#: Pages tried in the search for the start of a range; after them the list is read from its start.
_MAX_TRIES = 40


class RangeScan:
    """Reads one range of ids.

    Args:
        source: the list.
        id_range: the range.
        accept: takes the records of each page, one line of JSON each; every record comes once.
        width: the number of requests at once; `auto` for the fastest.

    Attributes:
        records: the number of records accepted.
        list_changed: whether the list was seen to change.
        exact: whether every record that was in the range all the time was accepted.
    """

    def __init__(
        self,
        source: ExportSource,
        id_range: IdRange,
        *,
        accept: Callable[[list[bytes]], Awaitable[None]],
        width: int | Auto = 1,
    ) -> None:
        self._source = source
        self._range = id_range
        self._take = accept
        self._plan = source.plan(width)
        self._fetcher = RawPageFetcher(source)
        self._order = IdOrder(id_range.orders or None)
        self.records: int = 0
        self.list_changed: bool = False
        self.exact: bool = False

    async def read(self) -> None:
        """Read the range.

        Raises:
            NotInOrderError: the server no longer keeps the order of ids: find new ranges.
            CareCloudError: a page could not be read.
        """
        params = id_sort(self._source)
        if params is None:
            raise NotInOrderError
        boundary, position = await self._find_start(params)

        def make_pass(_: int) -> ListPass:
            return ListPass(
                self._fetcher,
                params=params,
                boundary=boundary,
                accept=self._accept,
                plan=self._plan,
                position=position,
                is_last=self._reaches_end,
            )

        found = await read_in_order(make_pass, boundary, is_one_page=_is_whole_list)
        is_doubtful = found.last_pass.is_doubtful
        self.list_changed, self.exact = found.list_changed, found.exact and not is_doubtful

    async def _find_start(self, params: Mapping[str, Any]) -> tuple[Boundary, Position]:
        """Find a page that shows the last record before the range; without one, the start of the list."""
        if self._range.after is None:
            return Boundary(self._order), Position()
        count = max(self._source.fixed_count, 2)
        probe, furthest, evidence = Probe(max(self._range.offset - 1, 0)), -1, 0.0
        for _ in range(_MAX_TRIES):
            page = await self._fetcher.fetch(probe.at, count, params)
            evidence += self._evidence(page)
            known = [one for one in page.ids if not self._is_beyond(one, self._range.after)]
            if known and (len(known) < len(page.ids) or page.ends_list):
                return self._start_after(known, page, evidence)
            if known and probe.at >= furthest:
                furthest = probe.at
                probe.move_to(max(page.last, page.offset + 1))
            elif probe.at == 0:
                break
            else:
                probe.step_back(count)
        return Boundary(self._order, evidence=evidence), Position()

    def _evidence(self, page: RawPage) -> float:
        """Return how strongly a page shows a stable order; see `evidence`.

        Raises:
            NotInOrderError: it is not in the order of ids.
        """
        if page.ids and not self._order.check(page.ids):
            raise NotInOrderError(ambiguous=page.is_ambiguous)
        # The order of a list that one page holds does not matter.
        return ENOUGH if page.offset == 0 and page.ends_list else sorted_bits(len(page.ids))

    def _start_after(self, known: list[Identity], page: RawPage, evidence: float) -> tuple[Boundary, Position]:
        """Return the start of the range in a page, whose first records come before it and count as known."""
        boundary = Boundary(self._order, recent=known, last=known[-1], has_forgotten=True, evidence=evidence)
        place = 0 if page.has_nulls else len(known) - 1
        return boundary, Position(end=page.offset + place, total=page.total)

    def _is_beyond(self, one: Identity, bound: Identity | None) -> bool:
        if bound is None or one == bound:
            return False
        sign = self._order.compare(one, bound)
        if not sign:
            raise NotInOrderError
        return sign > 0

    def _reaches_end(self, page: RawPage) -> bool:
        until = self._range.until
        return until is not None and (page.ids[-1] == until or self._is_beyond(page.ids[-1], until))

    async def _accept(self, page: RawPage, new: list[int], _: ListPass) -> None:
        lines = [page.lines[index] for index in new if self._is_in_range(page.ids[index])]
        self.records += len(lines)
        if lines:
            await self._take(lines)

    def _is_in_range(self, one: Identity) -> bool:
        after, until = self._range.after, self._range.until
        return (after is None or self._is_beyond(one, after)) and not self._is_beyond(one, until)


def _is_whole_list(list_pass: ListPass) -> bool:
    position = list_pass.position
    return list_pass.is_one_page and position.total is not None and position.end + 1 >= position.total

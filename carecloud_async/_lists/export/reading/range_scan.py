"""Ranges of ids: a list in the order of its ids, split into parts that can be read independently.

    ranges = await find_ranges(source, partitions=8)
    await RangeScan(source, ranges[0], accept=write).read()

**How the bounds are found.** One request each asks for the record at N offsets of the list, in the order of its ids;
the ids found there are the bounds. Each range between two bounds has about the same number of records. The bounds are
ids, not offsets: they mean the same however the list changes afterwards, and a task that is repeated reads the same
range.

**How a range is read.** In the same passes as a whole list (`read_in_order`), and with the same evidence of a stable
order, so just as exactly. The reading begins with a page that shows the id before the range, or with the start of the
list, and ends with the first page that reaches the end of the range. The ranges are disjoint and cover every id, so
each record that is in the list all the time is in exactly one of them.

**When ids are not ordered.** If the server does not sort by id, or the orders that fit the ids found disagree, there
is one range that holds everything: `IdRange()`. It is read by an export's full scan, not by a `RangeScan`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from itertools import pairwise
from typing import Any

from attrs import frozen

from carecloud_async._lists.export.reading.boundary import Boundary, NotInOrderError
from carecloud_async._lists.export.reading.evidence import CONFIRMED, ENOUGH, IdOrder, sorted_bits
from carecloud_async._lists.export.reading.full_scan import id_sort, read_in_order
from carecloud_async._lists.export.reading.list_pass import ListPass
from carecloud_async._lists.export.reading.page_requests import Probe
from carecloud_async._lists.export.reading.pages import Identity, RawPage, RawPageFetcher
from carecloud_async._lists.export.source import ExportSource
from carecloud_async._lists.export.storage.checkpoint import Position
from carecloud_async._lists.paging.auto import Auto

__all__ = ["IdRange", "RangeScan", "find_ranges"]

#: Pages tried in the search for the start of a range; after them the list is read from its start.
_MAX_TRIES = 40


@frozen(kw_only=True)
class IdRange:
    """The records whose id comes after one id, up to and including another, in the order of the list.

    Attributes:
        after: the id before the first of the range; `None` for the beginning of the list.
        until: the last id that may be in the range; `None` for the end of the list.
        orders: the orders of ids that all probes agreed with, by name; see `IdOrder`.
        offset: where the range began when the bounds were found: a hint for where to look first.
        total: the length of the list then; `None` if the server did not say it.
    """

    after: str | None = None
    until: str | None = None
    orders: tuple[str, ...] = ()
    offset: int = 0
    total: int | None = None

    @property
    def is_whole_list(self) -> bool:
        """Whether there are no bounds."""
        return self.after is None and self.until is None


async def find_ranges(source: ExportSource, *, partitions: int) -> list[IdRange]:
    """Split a list into ranges of about equal size; see the module's text.

    Args:
        source: the list.
        partitions: the number of ranges; fewer come back for a short list, one for a list without an order of ids.

    Returns:
        disjoint ranges in the order of the list, which cover every id.

    Raises:
        CareCloudError: a page could not be read.
    """
    order, fetcher = IdOrder(), RawPageFetcher(source)
    bounds = await _find_bounds(source, fetcher, order, partitions=partitions)
    ids = [one for one in bounds if isinstance(one, str)]
    orders = tuple(order.names) if ids else ()
    return [
        IdRange(after=after, until=until, orders=orders, offset=offset, total=fetcher.largest_total if ids else None)
        for after, until, offset in zip([None, *ids], [*ids, None], [0, *bounds.values()], strict=True)
    ]


async def _find_bounds(
    source: ExportSource, fetcher: RawPageFetcher, order: IdOrder, *, partitions: int
) -> dict[Identity, int]:
    """Return the ids between the ranges with their offsets; none if the list cannot be split."""
    params = id_sort(source)
    if params is None or partitions < 2:
        return {}
    first = await fetcher.fetch(0, source.fixed_count, params)
    if first.total is None or not order.check(first.ids):
        return {}
    bounds: dict[Identity, int] = {}
    for number in range(1, partitions):
        offset = first.total * number // partitions
        page = await fetcher.fetch(offset, 2, params)
        if page.ids:
            bounds.setdefault(page.ids[0], offset)
        if not order.check(page.ids):
            return {}
    is_ordered = order.check([*bounds]) and _all_agree(order, [*first.ids[:1], *bounds])
    return bounds if is_ordered else {}


def _all_agree(order: IdOrder, ids: list[Identity]) -> bool:
    return all(order.compare(one, other) < 0 for one, other in pairwise(ids) if one != other)


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
        self._fetcher = RawPageFetcher(source, largest_total=id_range.total)
        self._order = IdOrder(id_range.orders or None)
        self._last_page: RawPage | None = None
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
                stop_after=self._reaches_end,
            )

        found = await read_in_order(make_pass, boundary, is_one_page=_is_whole_list)
        await self._look_again(boundary, params)
        # A null may stand for any record. A list whose ids are bounds had records: one that is empty now is doubted.
        is_doubtful = any(one.is_doubtful or one.nulls for one in found.doubted)
        is_empty = self._fetcher.is_empty or found.doubted[-1].position.total == 0
        is_doubtful |= is_empty and not self._range.is_whole_list
        self.list_changed, self.exact = found.list_changed, found.exact and not is_doubtful

    async def _look_again(self, boundary: Boundary, params: Mapping[str, Any]) -> None:
        """Read the page that ends the range again while it counts fewer records than another answer did.

        It may have left out some, and no page after it shows that.
        """
        page, largest = self._last_page, self._fetcher.largest_total
        for _ in range(CONFIRMED):
            if page is None or page.total is None or page.total >= (largest or 0):
                return
            page = await self._fetcher.fetch(page.offset, page.asked, params)
            boundary.check(page)
            if boundary.connects(page):
                await self._accept(page, boundary.advance(page))

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

    async def _accept(self, page: RawPage, new: list[int], _: ListPass | None = None) -> None:
        self._last_page = page
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

"""Ranges of ids: a list ordered by id, split into parts that can be read independently.

    ranges = await find_ranges(source, partitions=8)
    await RangeScan(source, ranges[0], accept=write).read()

**How the bounds are found.** One request each asks for the record at N offsets of the list, in the order of its ids;
the ids found there are the bounds. Each range between two bounds has about the same number of records. The bounds are
ids, not offsets: they mean the same however the list changes afterwards, and a task that is repeated reads the same
range.

**What holds.** The ranges are disjoint and cover every id, so each record that is in the list all the time is in
exactly one of them. `RangeScan` reads a range as exactly as an export reads a whole list.

**When ids are not ordered.** If the server does not sort by id, or the orders that fit the ids found disagree, there
is one range that holds everything: `IdRange()`. It is read by an export's full scan, not by a `RangeScan`.
"""

from __future__ import annotations

from itertools import pairwise

from attrs import frozen

from carecloud_async._lists.export.reading.full_scan import id_sort
from carecloud_async._lists.export.reading.id_order import IdOrder
from carecloud_async._lists.export.reading.pages import Identity, RawPageFetcher
from carecloud_async._lists.export.source import ExportSource

__all__ = ["IdRange", "find_ranges"]


@frozen(kw_only=True)
class IdRange:
    """The records whose id comes after one id, up to and including another, in the order of the list.

    Attributes:
        after: the id before the first of the range; `None` for the beginning of the list.
        until: the last id that may be in the range; `None` for the end of the list.
        orders: the orders of ids that all probes agreed with, by name; see `IdOrder`.
        offset: where the range began when the bounds were found: a hint for where to look first.
    """

    after: str | int | None = None
    until: str | int | None = None
    orders: tuple[str, ...] = ()
    offset: int = 0

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
    order = IdOrder()
    bounds = await _find_bounds(source, order, partitions=partitions)
    ids = [one for one in bounds if isinstance(one, str | int)]
    orders = tuple(order.names) if ids else ()
    return [
        IdRange(after=after, until=until, orders=orders, offset=offset)
        for after, until, offset in zip([None, *ids], [*ids, None], [0, *bounds.values()], strict=True)
    ]


async def _find_bounds(source: ExportSource, order: IdOrder, *, partitions: int) -> dict[Identity, int]:
    """Return the ids between the ranges with their offsets; none if the list cannot be split."""
    params = id_sort(source)
    if params is None or partitions < 2:
        return {}
    fetcher = RawPageFetcher(source)
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

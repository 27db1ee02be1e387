"""Ranges of ids: a list in the order of its ids, split into parts that can be read independently.

    ranges = await find_ranges(source, partitions=8)
    await RangeScan(source, ranges[0], accept=write).read()

Each range begins after an id and ends with one, so it means the same however the list changes. It is read by sweeps
that begin with a page that shows a record before it, and end with the first page that reaches its end. The ranges are
disjoint and cover every id, so each record that is in the list all the time is in exactly one of them.

If the server does not sort by id, or the orders that fit the ids found disagree, there is one range that holds
everything, `IdRange()`. It is read by a scan, not by a `RangeScan`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from carecloud_async._base.runtime.threads import run_in_thread, run_in_thread_regardless
from carecloud_async._lists.export.reading.order import ORDERS, Evidence, comes_before
from carecloud_async._lists.export.reading.pages import Identity, RawPage, RawPageReader
from carecloud_async._lists.export.reading.scan import MOST_SWEEPS, SWEEPS, id_sort
from carecloud_async._lists.export.reading.seen import TemporarySeen
from carecloud_async._lists.export.reading.sweep import Sweep
from carecloud_async._lists.export.reasons import InexactReason
from carecloud_async._lists.export.storage.checkpoint import SweepState
from carecloud_async._lists.paging.auto import Auto
from carecloud_async._lists.paging.list_source import ListSource

__all__ = ["IdRange", "NotInOrderError", "RangeScan", "find_ranges"]


class NotInOrderError(Exception):
    """The server does not keep the order of ids any more: find new ranges."""


@frozen(kw_only=True)
class IdRange:
    """The records whose id comes after one id, up to and including another, in the order of the list.

    Attributes:
        after: the id before the first of the range; `None` for the beginning of the list.
        until: the last id that may be in the range; `None` for the end of the list.
        orders: the orders of ids that all pages agreed with, by name; see `Evidence`.
        offset: where the range began when the bounds were found: a hint for where to look first.
    """

    after: str | None = None
    until: str | None = None
    orders: tuple[str, ...] = ()
    offset: int = 0

    @property
    def is_whole_list(self) -> bool:
        """Whether there are no bounds."""
        return self.after is None and self.until is None

    def begins_before(self, key: Identity) -> bool:
        """Return whether an id comes after the beginning of the range."""
        return self.after is None or self._is_before(self.after, key)

    def ends_before(self, key: Identity) -> bool:
        """Return whether an id comes after the end of the range."""
        return self.until is not None and self._is_before(self.until, key)

    def _is_before(self, key: Identity, other: Identity) -> bool:
        verdicts = {comes_before(name, key, other) for name in self.orders}
        if key != other and len(verdicts) > 1:
            raise NotInOrderError
        return True in verdicts


async def find_ranges(source: ListSource[Any], *, partitions: int) -> list[IdRange]:
    """Split a list into disjoint ranges of about equal size, which cover every id; see the module's text.

    Args:
        source: the list.
        partitions: the number of ranges; fewer come back for a short list, one for a list without an order of ids.

    Raises:
        CareCloudError: a page could not be read.
    """
    reader, evidence = RawPageReader(source), Evidence(orders=ORDERS)
    sort = id_sort(source)
    bounds: dict[Identity, int] = {}
    if sort is not None and partitions > 1:
        first = await reader.fetch(0, source.fixed_count, sort)
        evidence = evidence.with_order(first.ids)
        for number in range(1, partitions) if first.total_items else ():
            page = await reader.fetch((first.total_items or 0) * number // partitions, 2, sort)
            evidence = evidence.with_order(page.ids)
            for key in page.ids[:1]:
                bounds.setdefault(key, page.offset)
        evidence = evidence.with_order([*first.ids[:1], *(key for key in bounds if key != first.ids[0])])
    ids = [key for key in bounds if isinstance(key, str)] if evidence.orders else []
    orders = tuple(evidence.orders or ()) if ids else ()
    offsets = [bounds[key] for key in ids]
    return [
        IdRange(after=after, until=until, orders=orders, offset=offset)
        for after, until, offset in zip([None, *ids], [*ids, None], [0, *offsets], strict=True)
    ]


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
        reasons: why a record that was in the range all the time may not have been accepted.
    """

    def __init__(
        self,
        source: ListSource[Any],
        id_range: IdRange,
        *,
        accept: Callable[[list[bytes]], Awaitable[None]],
        width: int | Auto = 1,
    ) -> None:
        self._source, self._range, self._accept = source, id_range, accept
        self._reader = RawPageReader(source, width)
        self._sweep: Sweep
        self.records: int = 0
        self.list_changed: bool = False
        self.reasons: Sequence[InexactReason] = (InexactReason.GAP,)  # until it is read

    async def read(self) -> None:
        """Read the range.

        Raises:
            NotInOrderError: the server no longer keeps the order of ids: find new ranges.
            CareCloudError: a page could not be read.
        """
        sort = id_sort(self._source)
        if sort is None:
            raise NotInOrderError
        seen = await run_in_thread(TemporarySeen)
        try:
            state = await self._find_start(sort)
            for number in range(1, MOST_SWEEPS + 1):
                reason = await self._read(sort, evolve(state, number=number), seen)
                self.reasons = () if reason is None else (reason,)
                if reason is None or (number >= SWEEPS and reason is not InexactReason.NO_STABLE_ORDER):
                    break
                last = self._sweep.evidence  # the pages of a short range are little evidence
                evidence = Evidence(bits=last.bits, agreed=last.agreed, is_broken=last.is_broken, largest=last.largest)
                state = evolve(state, evidence=evidence)
        finally:
            await run_in_thread_regardless(seen.close)

    async def _read(self, sort: Mapping[str, Any], state: SweepState, seen: TemporarySeen) -> InexactReason | None:
        async def record(page: RawPage) -> None:
            orders = sweep.evidence.orders or ()
            if not set(self._range.orders or orders) & {*orders}:
                raise NotInOrderError
            wanted = [self._range.begins_before(key) and not self._range.ends_before(key) for key in page.ids]
            shown = evolve(page, wanted=wanted)
            lines = await run_in_thread(lambda: seen.select_lines([shown], sweep=sweep.state))
            self.records += len(lines)
            if lines:
                await self._accept(lines)

        def is_over(page: RawPage) -> bool:
            return bool(page.ids) and (page.ids[-1] == self._range.until or self._range.ends_before(page.ids[-1]))

        sweep = self._sweep = Sweep(self._reader, sort=sort, by_id=True, state=state, record=record, stop=is_over)
        await sweep.run()
        evidence = sweep.evidence
        self.list_changed |= evidence.has_changed
        if evidence.reason is None and not self._range.is_whole_list and not evidence.last and self._reader.is_empty:
            return InexactReason.EMPTIED
        return evidence.reason or (None if sweep.is_stable else InexactReason.NO_STABLE_ORDER)

    async def _find_start(self, sort: Mapping[str, Any]) -> SweepState:
        """Find a record before the range; without one, the start of the list."""
        at, back = max(self._range.offset, 0), max(self._source.fixed_count, 2)
        while at > 0 and self._range.after is not None:
            page = await self._reader.fetch(at, 2, sort)
            if (page.total_items or 0) <= self._source.fixed_count:
                break  # one page holds the whole list
            first = page.ids[0] if page.ids else None
            if isinstance(first, str) and not self._range.begins_before(first):
                return SweepState(last=at, tail=(first,))
            at, back = max(at - back, 0), 2 * back
        return SweepState()

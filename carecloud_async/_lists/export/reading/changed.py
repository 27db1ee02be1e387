"""Reading what changed since a time: the list by `last_change`, latest first, up to the records that are older.

The other end of the list holds the records without a time, which may have changed. Counting shows whether all were
found: as many different records as places. If not, after three tries, or if the server does not sort, the whole list is
read, and what is older is dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise

from carecloud_async._lists.export.reading.pages import Identity, RawPage, RawPageReader
from carecloud_async._lists.export.reading.since import Since
from carecloud_async._lists.export.reading.sweep import Sweep
from carecloud_async._lists.export.reading.times import FIELD, ChangeTime, NoTime, TimelessRecords, known_times
from carecloud_async._lists.export.reasons import InexactReason
from carecloud_async.errors import BadRequestError

__all__ = ["FAR_END", "NEAR_END", "ChangedReader", "End", "NotByChangeError", "is_sorted_by_change"]

_log = logging.getLogger("carecloud_async.export")

#: The records that are compared at an end of the list.
_ROWS = 20

#: This many falling times in a row are not a coincidence.
_FALLS = 8

#: The sort that begins with the latest changes, and the one that begins with the records without a time.
NEAR_END = {"sort_field": FIELD, "sort_direction": "DESC"}
FAR_END = {"sort_field": FIELD, "sort_direction": "ASC"}


class NotByChangeError(Exception):
    """The server does not sort by the time of change."""


class End:
    """What a sweep shows of one end of a list.

    Args:
        sort: the sort that begins with it.
        is_over: returns whether a record with a time is not wanted any more.

    Attributes:
        sort: see above.
        sweep: the sweep; set when it begins.
        first: its first page.
        last: its last page.
        places: the places before the first record that is not wanted.
        shown: the different records in them.
        is_whole: whether there is no such record.
    """

    def __init__(self, *, sort: Mapping[str, str], is_over: Callable[[ChangeTime], bool]) -> None:
        self.sort: Mapping[str, str] = sort
        self._is_over = is_over
        self.sweep: Sweep
        self.first: RawPage | None = None
        self.last: RawPage | None = None
        self.places: int = 0
        self.shown: int = 0
        self.is_whole: bool = True

    def take(self, page: RawPage, times: Sequence[ChangeTime]) -> int | None:
        """Take a page; return the index after its last wanted record, `None` for all.

        Raises:
            NotByChangeError: its times are not in order, or cannot be read.
        """
        known = known_times(times)
        is_rising = any(later > earlier for earlier, later in pairwise(known))
        if NoTime.FOREIGN in times or (self.sort is NEAR_END and is_rising):
            raise NotByChangeError
        self.first = page if page.offset == 0 else self.first
        self.last = page
        first_over = next((index for index, time in enumerate(times) if self._is_over(time)), None)
        self.places = page.end if first_over is None else page.offset + first_over
        self.is_whole = first_over is None
        return first_over

    def reason(self) -> InexactReason | None:
        """Return why it may lack records; `None` if it has all."""
        if self.sweep.evidence.reason is None and self.shown < self.places:
            return InexactReason.KEPT_CHANGING
        return self.sweep.evidence.reason


class ChangedReader:
    """Reads both ends of a list in the order of change.

    Args:
        reader: reads pages.
        since: the start of the wanted changes.
        timeless: the records without a readable time that the last run handed out.
    """

    def __init__(self, reader: RawPageReader, since: Since, timeless: TimelessRecords) -> None:
        self._reader = reader
        self._since = since
        self._timeless = timeless
        self._is_sorted = False

    def wants(self, line: bytes, time: ChangeTime) -> bool:
        """Return whether a record may have changed since."""
        return time >= self._since.local if isinstance(time, datetime) else self._timeless.is_new(line)

    async def read(
        self, read_end: Callable[[End], Awaitable[None]], *, has_new: Callable[[], bool]
    ) -> InexactReason | None:
        """Read both ends; return why something may be missing, `None` if nothing is.

        Args:
            read_end: reads an end by a sweep.
            has_new: returns whether a record was not shown by an earlier sweep.

        Raises:
            NotByChangeError: the server does not sort by change.
        """
        far = End(sort=FAR_END, is_over=lambda time: isinstance(time, datetime))
        await read_end(far)
        near = End(sort=NEAR_END, is_over=lambda time: isinstance(time, datetime) and time < self._since.local)
        ends = [far]
        if not far.is_whole:
            await read_end(near)
            await self._require_order(near, far)
            ends = [near] if near.is_whole else [near, far]
        reasons = [end.reason() for end in ends]
        if any(reasons):
            return next(reason for reason in reasons if reason is not None)
        totals = {end.sweep.evidence.last for end in ends}
        if (any(end.sweep.evidence.has_changed for end in ends) or len(totals) > 1) and has_new():
            return InexactReason.KEPT_CHANGING
        if not await self._is_whole(ends[0]):
            return InexactReason.SHORT_OF_TOTAL
        return None

    async def _require_order(self, near: End, far: End) -> None:
        """Check once that the server applies the sort: records between the two ends were not read."""
        if not self._is_sorted and near.first is not None and far.first is not None:
            self._is_sorted = await is_sorted_by_change(self._reader, near.first, far.first)
        if not self._is_sorted:
            raise NotByChangeError

    async def _is_whole(self, end: End) -> bool:
        """Return whether the last page leaves nothing out, and there is a record at the last place that it counts.

        A page shorter than asked is the same again if the server caps its pages. An index that lags behind leaves
        records out, and the total counts them. A server that refuses so large an offset shows nothing.
        """
        page = end.last
        if page is None or not page.total_items or page.end >= page.total_items:
            return True
        if end.sort is NEAR_END and page.received < page.asked:
            again = await self._reader.fetch(page.offset, page.asked, NEAR_END)
            if again.ids != page.ids:
                return False
        try:
            return not (await self._reader.fetch(page.total_items - 1, 1, FAR_END)).ends_early
        except BadRequestError:
            return True


async def is_sorted_by_change(reader: RawPageReader, near: RawPage, far: RawPage) -> bool:
    """Return whether a server sorts by the time of change; takes a small request, in doubtful cases two.

    A page in order does not prove it: the records of one import have the same time, and a list in the order of creation
    is almost in the order of change. The proof needs three things: the times of both ends of the list are in order;
    without the sort, the list begins with other records; and the times fall within a page, or the other end of the list
    is older.

    Args:
        reader: reads pages.
        near: the first page of the list, the latest change first.
        far: the first page, the latest change last.

    Raises:
        CareCloudError: a page could not be read.
    """
    if not _fit(await reader.times.read(near.items), await reader.times.read(far.items)):
        return False
    return await _differs(reader, near.ids, "DESC") or await _differs(reader, far.ids, "ASC")


async def _differs(reader: RawPageReader, shown: Sequence[Identity], direction: str) -> bool:
    """Return whether the list without the sort begins with other records; a few may be new ones."""
    try:
        plain = await reader.fetch(0, _ROWS, {"sort_direction": direction})
    except BadRequestError:  # a direction without a field
        plain = await reader.fetch(0, _ROWS, {})
    first = list(shown[:_ROWS])
    same = len(set(first) & set(plain.ids[: len(first)]))
    return bool(first) and 2 * same < len(first)


def _fit(near: Sequence[ChangeTime], far: Sequence[ChangeTime]) -> bool:
    """Return whether two ends of a list are in the order of change, and the far one is older."""
    falling, rising = known_times(near), known_times(far)
    if not falling or not far or any(earlier > later for earlier, later in pairwise(rising)):
        return False
    falls = sum(later < earlier for earlier, later in pairwise(falling))
    if falls != sum(later != earlier for earlier, later in pairwise(falling)):
        return False
    return falls >= _FALLS or not isinstance(far[0], datetime) or far[0] < falling[0]

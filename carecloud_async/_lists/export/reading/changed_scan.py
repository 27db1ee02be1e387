"""Reading the records changed since a time: by `last_change`, the latest first, until the records are older.

Counting shows whether all were found: the number of different records that a pass shows must equal the number of
positions that it passes. Records of earlier passes and runs do not count: they may be deleted by now. If the list
changes too much, or if the server shuffles ties for every page, the numbers differ: the list is read again, and
finally as a whole, in the order of its ids. If nothing shows that the server applies the sort, or if a `last_change` is
no time, so that its place in the sort is unknown, it is read as a whole at once.

A record without a time (null, missing, a zero date) may have changed, and counts as changed. Servers sort these before
all others or after them: both ends of the list are looked at.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from itertools import pairwise

from carecloud_async._base.runtime.threads import run_in_thread
from carecloud_async._lists.export.reading.boundary import Boundary
from carecloud_async._lists.export.reading.full_scan import FullScan
from carecloud_async._lists.export.reading.list_pass import Accept, ListPass
from carecloud_async._lists.export.reading.pages import Identity, RawPage, RawPageFetcher
from carecloud_async._lists.export.reading.seen_ids import Deduplicator, SeenIds, TemporarySeenIds
from carecloud_async._lists.export.reading.since import Since
from carecloud_async._lists.export.reading.times import (
    FIELD,
    ChangeTime,
    NoTime,
    TimelessRecords,
    ZoneFit,
    judge_zone,
    known_times,
    utc_lag,
)
from carecloud_async._lists.export.storage.checkpoint import Strategy
from carecloud_async.errors import BadRequestError

__all__ = ["FAR_END", "NEAR_END", "ChangedScan", "SortProbe"]

_log = logging.getLogger("carecloud_async.export")

#: Passes over the changes before the whole list is read.
_MAX_PASSES = 3
#: The records that are compared at an end of the list.
_ROWS = 20

#: This many falling times in a row are not a coincidence.
_FALLS = 8

#: The sort that begins with the latest changes, and the one that begins with the records without a time.
NEAR_END = {"sort_field": FIELD, "sort_direction": "DESC"}
FAR_END = {"sort_field": FIELD, "sort_direction": "ASC"}


class ChangedScan:
    """Reads the records of a list that changed at or after a time.

    Args:
        full_scan: reads the whole list, if necessary; this reads with its parts.
        deduplicator: knows what was written, and selects only what is wanted.
        since: the start of the wanted changes.
        timeless: the records without a readable time that the last run handed out.
    """

    def __init__(
        self, *, full_scan: FullScan, deduplicator: Deduplicator, since: Since, timeless: TimelessRecords
    ) -> None:
        self._full_scan = full_scan
        self._deduplicator = deduplicator
        self._since = since
        self._timeless = timeless
        self._near: RawPage | None = None  # the first page, the latest changes first
        self._far: RawPage | None = None  # the first page, the latest changes last
        self._last_page: RawPage | None = None
        self._positions: int | None = None  # those before the first record that is not wanted
        self._is_sorted = False
        self._is_looked_at = False
        self._is_warned = False

    def wants(self, line: bytes) -> bool:
        """Return whether a record may have changed since."""
        return self._wants(line, self._full_scan.fetcher.times.of(line))

    def _wants(self, line: bytes, time: ChangeTime) -> bool:
        return time >= self._since.local if isinstance(time, datetime) else self._timeless.is_new(line)

    async def read(self) -> None:
        """Read the changes.

        Raises:
            CareCloudError: a page could not be read.
        """
        operation, recorder = self._full_scan.source.operation, self._full_scan.recorder
        if not operation.paged:
            await self._read_one_page()
            return
        first = recorder.start.counts.passes if recorder.start.strategy is Strategy.CHANGED else 1
        for number in range(first, max(first, _MAX_PASSES) + 1) if "sort_field" in operation.parameters else ():
            try:
                if await self._read_counting(number):
                    return
            except (_NotByChangeError, BadRequestError) as error:
                if isinstance(error, BadRequestError) and self._deduplicator.known:
                    raise
                break
        await self._full_scan.read_through(self._deduplicator, strategy=Strategy.CHANGED)

    async def _read_one_page(self) -> None:
        page = await self._full_scan.fetcher.fetch(0, self._full_scan.source.fixed_count, {})
        await self._look_at_start(page)
        lines = await self._deduplicator.select_new(page)
        await self._full_scan.recorder.record_whole(page, lines, strategy=Strategy.CHANGED)

    async def _read_counting(self, number: int) -> bool:
        """Read both ends of the list, counting the different records that they show; see `_read_both_ends`."""
        with ExitStack() as opened:
            seen = await run_in_thread(lambda: opened.enter_context(TemporarySeenIds()))
            return await self._read_both_ends(number, _Shown(seen))

    async def _read_both_ends(self, number: int, shown: _Shown) -> bool:
        """Read the records without a time at one end, and the changes at the other; return whether all were found.

        Args:
            shown: what this pass shows.

        Raises:
            _NotByChangeError: the server does not sort by change.
        """
        before = self._deduplicator.known
        list_pass, boundary = await self._read_pass(FAR_END, partial(self._accept_blanks, shown))
        passes, boundaries, positions = [list_pass], [boundary], self._positions
        # Before the latest changes are read: a search index that lagged behind then may have caught up afterwards.
        is_whole = await self._reaches_total(self._last_page or self._far)
        if positions is not None:
            list_pass, boundary = await self._read_pass(NEAR_END, partial(self._accept_newest, shown))
            is_whole = await self._is_whole(self._last_page) and is_whole
            is_all = self._positions is None  # no record is older
            passes = [list_pass] if is_all else [*passes, list_pass]
            boundaries = [boundary] if is_all else [*boundaries, boundary]
            positions = None if is_all else positions + (self._positions or 0)
        elif self._far is not None:
            await self._look_at_start(self._far)
        if positions is None:  # one of the passes showed the whole list
            positions = list_pass.position.end + 1
            is_whole = is_whole and not list_pass.falls_short(shown.count)
        else:
            await self._require_order()
        # A pass with a lower total than the other one may lack records, or some were created meanwhile.
        has_changed = any(one.list_changed for one in passes) or len({one.position.total for one in passes}) > 1
        is_stable = not has_changed or (number > 1 and self._deduplicator.known == before)
        is_done = all(one.is_whole for one in passes) and shown.count >= positions and is_stable and is_whole
        exact = is_done and not any(one.ambiguous for one in boundaries)
        for one in passes:
            self._full_scan.recorder.end_pass(one, exact=exact, passes=number)
        return is_done

    async def _is_whole(self, page: RawPage | None) -> bool:
        """Return whether the page that ended a pass is the same again, if it is shorter than was asked for.

        Servers that cap their pages send the same; those that leave out rows do not, and no page after it shows that.
        """
        if page is None or page.received >= page.asked or page.ends_list:
            return True
        again = await self._full_scan.fetcher.fetch(page.offset, page.asked, NEAR_END)
        return again.ids == page.ids

    async def _reaches_total(self, page: RawPage | None) -> bool:
        """Return whether there is a record at the last position that the total of a page counts.

        A search index that lags behind leaves records out of the pages, and the total counts them: no position before
        the last one shows that. A server that refuses so large an offset shows nothing.
        """
        if page is None or not page.total or page.end >= page.total:
            return True
        try:
            last = await self._full_scan.fetcher.fetch(page.total - 1, 1, FAR_END)
        except BadRequestError:
            return True
        return not last.ends_early

    async def _read_pass(self, order: Mapping[str, str], accept: Accept) -> tuple[ListPass, Boundary]:
        self._positions = self._last_page = None
        boundary = Boundary()
        list_pass = self._full_scan.make_pass(order, boundary, accept, stop_after=lambda page: page is self._last_page)
        await list_pass.run()
        return list_pass, boundary

    async def _accept_newest(self, shown: _Shown, page: RawPage, _: list[int], list_pass: ListPass) -> None:
        """Take a page of the latest changes, up to the first record that is older."""
        if page.offset == 0:
            self._near = page
            await self._look_at_start(page)
        times = await self._read_times(page)
        if any(later > earlier for earlier, later in pairwise(known_times(times))):
            raise _NotByChangeError
        end = next((index for index, time in enumerate(times) if self._is_older(time)), None)
        await self._record(page, times, end, list_pass, shown)

    async def _accept_blanks(self, shown: _Shown, page: RawPage, _: list[int], list_pass: ListPass) -> None:
        """Take a page of the other end, up to the first record that has a time."""
        if page.offset == 0:
            self._far = page
        times = await self._read_times(page)
        end = next((index for index, time in enumerate(times) if isinstance(time, datetime)), None)
        await self._record(page, times, end, list_pass, shown)

    def _is_older(self, time: ChangeTime) -> bool:
        return isinstance(time, datetime) and time < self._since.local

    async def _read_times(self, page: RawPage) -> Sequence[ChangeTime]:
        times = await self._full_scan.fetcher.times.read(page.lines)
        if NoTime.FOREIGN in times:
            self._warn_unreadable()
            raise _NotByChangeError
        return times

    async def _record(
        self, page: RawPage, times: Sequence[ChangeTime], end: int | None, list_pass: ListPass, shown: _Shown
    ) -> None:
        """Hand over the records of a page before an index; they end the pass if there is one."""
        if end is not None:
            self._positions, self._last_page = page.offset + end, page
        await shown.add(page.ids[:end])
        wanted = [self._wants(line, time) for line, time in zip(page.lines[:end], times, strict=False)]
        lines = await self._deduplicator.select_new(page, end=end, wanted=wanted)
        await self._full_scan.recorder.record(
            lines,
            strategy=Strategy.CHANGED,
            position=list_pass.position,
            list_changed=list_pass.list_changed,
            **self._deduplicator.checkpoint_fields,
        )

    async def _require_order(self) -> None:
        """Check once that the server applies the sort: records between the two ends were not read.

        Raises:
            _NotByChangeError: it does not, or there is no proof.
        """
        if not self._is_sorted and self._near is not None and self._far is not None:
            self._is_sorted = await SortProbe(self._full_scan.fetcher).is_applied(self._near, self._far)
        if not self._is_sorted:
            raise _NotByChangeError

    async def _look_at_start(self, page: RawPage) -> None:
        """Look once whether the times at the start of a list can be read, and are those of the project's zone."""
        if self._is_looked_at:
            return
        self._is_looked_at = True
        fetcher, source = self._full_scan.fetcher, self._full_scan.source
        times, date, zone = await fetcher.times.read(page.lines), fetcher.date, source.project.timezone
        if page.lines and not known_times(times):
            self._warn_unreadable()
        fit = ZoneFit.UNKNOWN if date is None else judge_zone(times, date=date, zone=zone)
        if fit is ZoneFit.UTC and date is not None:
            self._since = self._since.earlier(utc_lag(date, zone))
        if fit in {ZoneFit.UTC, ZoneFit.AHEAD}:
            _log.warning(
                "%s: the latest changes lie %s, read as %s: set timezone= (CARECLOUD_TIMEZONE) to the zone of the "
                "project's times, or more records than have changed are read",
                source.name,
                "after the server's now" if fit is ZoneFit.AHEAD else "as far before the server's now as UTC does",
                zone.key,
            )

    def _warn_unreadable(self) -> None:
        if not self._is_warned:
            self._is_warned = True
            _log.warning(
                "%s: last_change is not a time such as 2026-11-24 12:00:00: records whose time cannot be read count as "
                "changed, and the whole list is read",
                self._full_scan.source.name,
            )


class _Shown:
    """The number of different records that a pass shows.

    Args:
        seen: remembers them.

    Attributes:
        count: see above.
    """

    def __init__(self, seen: SeenIds) -> None:
        self._seen = seen
        self.count: int = 0

    async def add(self, ids: Sequence[Identity]) -> None:
        """Count records, each once."""
        new, _ = await run_in_thread(lambda: self._seen.add(ids, step=0))
        self.count += len(new)


class _NotByChangeError(Exception):
    """The server does not sort by the time of change."""


class SortProbe:
    """Finds out whether a server sorts by the time of change.

    A page in order does not prove it: the records of one import have the same time, and a list in the order of creation
    is almost in the order of change. The proof needs three things: the times of both ends of the list are in order;
    without the sort, the list begins with other records; and the times fall within a page, or the other end of the list
    is older.

    Args:
        fetcher: fetches pages.
    """

    def __init__(self, fetcher: RawPageFetcher) -> None:
        self._fetcher = fetcher

    async def is_applied(self, near: RawPage, far: RawPage) -> bool:
        """Return whether the server applies the sort; takes a small request, in doubtful cases two.

        Args:
            near: the first page of the list, the latest change first.
            far: the first page, the latest change last.

        Raises:
            CareCloudError: a page could not be read.
        """
        times = [await self._fetcher.times.read(page.lines) for page in (near, far)]
        if not _fit(*times):
            return False
        return await self._differs(near.ids, "DESC") or await self._differs(far.ids, "ASC")

    async def _differs(self, shown: Sequence[Identity], direction: str) -> bool:
        """Return whether the list without the sort begins with other records; a few may be new ones."""
        try:
            plain = await self._fetcher.fetch(0, _ROWS, {"sort_direction": direction})
        except BadRequestError:  # a direction without a field
            plain = await self._fetcher.fetch(0, _ROWS, {})
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

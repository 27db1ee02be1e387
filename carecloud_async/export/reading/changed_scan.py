"""Reading the records changed since a time: by `last_change`, the latest first, until the records are older.

Counting shows whether all were found: the number of different records must equal the number of positions passed. If the
list changes too much, or if the server shuffles ties for every page, the numbers differ: the list is read again, and
finally as a whole, in the order of its ids. If nothing shows that the server applies the sort, it is read as a whole
at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise

from carecloud_async.codec.fields import field_types, is_model
from carecloud_async.errors import BadRequestError
from carecloud_async.export.errors import BadExportError
from carecloud_async.export.reading.boundary import Boundary
from carecloud_async.export.reading.change_times import ChangeTimes
from carecloud_async.export.reading.deduplicator import Deduplicator, SeenIds
from carecloud_async.export.reading.full_scan import FullScan
from carecloud_async.export.reading.page_sweep import PageSweep
from carecloud_async.export.reading.pages import RawPage, RawPageFetcher
from carecloud_async.export.reading.recorder import Recorder
from carecloud_async.export.reading.since import FIELD, Since
from carecloud_async.export.reading.sort_probe import SortProbe
from carecloud_async.export.source import ExportSource
from carecloud_async.export.storage.checkpoint import Strategy
from carecloud_async.fixes import Fix
from carecloud_async.paging.page_plan import PagePlan

__all__ = ["ChangedScan", "deduplicator_since", "has_changes"]

_ALL = Fix("leave {changed_since} out")
_NO_ORDER = Fix("leave {sort_field} out")

#: Passes over the changes before the whole list is read.
_SWEEPS = 3


def has_changes(source: ExportSource) -> bool:
    """Return whether the records of a list say when they changed."""
    return is_model(source.into) and FIELD in field_types(source.into)


class ChangedScan:
    """Reads the records of a list that changed at or after a time.

    Args:
        source: the list.
        fetcher: fetches its pages.
        recorder: takes the records.
        plan: the number of requests at once, and their size.
        deduplicator: knows what was written, and selects only what is wanted.
        since: the time.
        full_scan: reads the whole list, if necessary.
    """

    def __init__(
        self,
        source: ExportSource,
        *,
        fetcher: RawPageFetcher,
        recorder: Recorder,
        plan: PagePlan,
        deduplicator: Deduplicator,
        since: Since,
        full_scan: FullScan,
    ) -> None:
        self._source = source
        self._fetcher = fetcher
        self._recorder = recorder
        self._plan = plan
        self._deduplicator = deduplicator
        self._since = since
        self._full_scan = full_scan
        self._times = ChangeTimes()
        self._passed: int | None = None
        self._first: RawPage | None = None
        self._ends: RawPage | None = None
        self._ordered = False

    @staticmethod
    def check(source: ExportSource) -> None:
        """Raise unless a list can be read by change.

        Raises:
            BadExportError: its records do not say when they changed, or it has a sort of the user's own.
        """
        if not has_changes(source):
            raise BadExportError(f"the records of {source.name} have no {FIELD}", fix=_ALL)
        if source.params.get("sort_field") is not None:
            raise BadExportError("changes are read in the order of their time", fix=_NO_ORDER)

    async def read(self) -> None:
        """Read the changes.

        Raises:
            CareCloudError: a page could not be read.
        """
        if not self._source.operation.paged:
            await self._read_one_page()
            return
        start = self._recorder.start
        first = start.counts.passes if start.strategy is Strategy.CHANGED else 1
        sorts = "sort_field" in self._source.operation.parameters
        for number in range(first, max(first, _SWEEPS) + 1) if sorts else ():
            before = self._deduplicator.known
            try:
                sweep, boundary = await self._sweep()
            except (_NotByChangeError, BadRequestError) as error:
                if isinstance(error, BadRequestError) and self._deduplicator.known:
                    raise
                break
            met = self._passed is not None and self._deduplicator.known >= self._passed
            quiet = not sweep.list_changed or (number > 1 and self._deduplicator.known == before)
            done = sweep.exact and met and quiet
            self._recorder.note(sweep, exact=done and not boundary.ambiguous, passes=number)
            if done:
                return
        await self._full_scan.read_through(self._deduplicator, strategy=Strategy.CHANGED)

    async def _read_one_page(self) -> None:
        page = await self._fetcher.fetch(0, self._source.fixed_count, {})
        lines = await self._deduplicator.select_new(page)
        await self._recorder.record_whole(page, lines, strategy=Strategy.CHANGED)

    async def _sweep(self) -> tuple[PageSweep, Boundary]:
        self._passed = None
        boundary = Boundary()
        sweep = PageSweep(
            self._fetcher,
            params={"sort_field": FIELD, "sort_direction": "DESC"},
            boundary=boundary,
            accept=self._accept,
            plan=self._plan,
            is_last=lambda page: page is self._ends,
        )
        await sweep.run()
        if self._passed is None:
            self._passed = sweep.position.end + 1
        return sweep, boundary

    async def _accept(self, page: RawPage, _: list[int], sweep: PageSweep) -> None:
        times = await self._times.read(page)
        known = [time for time in times if time is not None]
        if any(later > earlier for earlier, later in pairwise(known)):
            raise _NotByChangeError
        if page.offset == 0:
            self._first = page
        older = self._find_older(times)
        if older is not None:
            await self._require_order()
            self._passed = page.offset + older
        self._ends = page if older is not None else None
        lines = await self._deduplicator.select_new(
            page, end=older, wanted=[time is not None and time >= self._since.local for time in times]
        )
        await self._recorder.record(
            lines,
            strategy=Strategy.CHANGED,
            position=sweep.position,
            list_changed=sweep.list_changed,
            step=self._deduplicator.step,
            known=self._deduplicator.known,
        )

    def _find_older(self, times: Sequence[datetime | None]) -> int | None:
        """Return the index of the first record older than the time; a record without a time does not count as older."""
        return next((index for index, time in enumerate(times) if time is not None and time < self._since.local), None)

    async def _require_order(self) -> None:
        """Check once that the server applies the sort: records after an older one are assumed to be older and not read.

        Raises:
            _NotByChangeError: it does not, or there is no proof.
        """
        if not self._ordered:
            first, probe = self._first, SortProbe(self._fetcher, self._times)
            self._ordered = first is not None and await probe.is_heeded(first)
        if not self._ordered:
            raise _NotByChangeError


def deduplicator_since(seen: SeenIds, since: Since | None, *, step: int = 0, known: int = 0) -> Deduplicator:
    """Return the memory of seen records that selects those changed at or after a time, or all if there is no time.

    Args:
        seen: the ids.
        since: the time.
        step: the last step in them.
        known: their number.
    """
    return Deduplicator(seen, step=step, known=known, wanted=None if since is None else _is_wanted(since))


def _is_wanted(since: Since) -> Callable[[bytes], bool]:
    times = ChangeTimes()

    def wanted(line: bytes) -> bool:
        time = times.of(line)
        return time is not None and time >= since.local

    return wanted


class _NotByChangeError(Exception):
    """The server does not sort by the time of change."""

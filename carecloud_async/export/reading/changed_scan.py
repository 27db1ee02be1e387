"""Reading the records changed since a time: by `last_change`, the latest first, until the records are older.

Counting shows whether all were found: the number of different records must equal the number of positions passed. If the
list changes too much, or if the server shuffles ties for every page, the numbers differ: the list is read again, and
finally as a whole, in the order of its ids. If nothing shows that the server applies the sort, it is read as a whole
at once.
"""

from __future__ import annotations

from itertools import pairwise

from attrs import define, field

from carecloud_async.errors import BadRequestError
from carecloud_async.export.reading.boundary import Boundary
from carecloud_async.export.reading.change_times import ChangeTimes, SortProbe
from carecloud_async.export.reading.deduplicator import Deduplicator
from carecloud_async.export.reading.full_scan import FullScan
from carecloud_async.export.reading.list_pass import ListPass
from carecloud_async.export.reading.page_chain import PageChain
from carecloud_async.export.reading.pages import RawPage
from carecloud_async.export.reading.since import FIELD, Since
from carecloud_async.export.storage.checkpoint import Strategy

__all__ = ["ChangedScan"]

#: Passes over the changes before the whole list is read.
_MAX_PASSES = 3


@define(eq=False, repr=False, kw_only=True)
class ChangedScan:
    """Reads the records of a list that changed at or after a time.

    Attributes:
        full_scan: reads the whole list, if necessary; this reads with its parts.
        deduplicator: knows what was written, and selects only what is wanted.
        since: the time.
    """

    _full_scan: FullScan = field(alias="full_scan")
    _deduplicator: Deduplicator = field(alias="deduplicator")
    _since: Since = field(alias="since")
    _times: ChangeTimes = field(factory=ChangeTimes, init=False)
    _first_page: RawPage | None = field(default=None, init=False)
    _last_page: RawPage | None = field(default=None, init=False)
    _changed_positions: int | None = field(default=None, init=False)  # those before the first older record
    _is_sorted: bool = field(default=False, init=False)

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
            before = self._deduplicator.known
            try:
                list_pass, boundary = await self._read_pass()
            except (_NotByChangeError, BadRequestError) as error:
                if isinstance(error, BadRequestError) and self._deduplicator.known:
                    raise
                break
            known, positions = self._deduplicator.known, self._changed_positions
            found_all = positions is not None and known >= positions
            is_stable = not list_pass.list_changed or (number > 1 and known == before)
            is_done = list_pass.exact and found_all and is_stable
            recorder.end_pass(list_pass, exact=is_done and not boundary.ambiguous, passes=number)
            if is_done:
                return
        await self._full_scan.read_through(self._deduplicator, strategy=Strategy.CHANGED)

    async def _read_one_page(self) -> None:
        page = await self._full_scan.fetcher.fetch(0, self._full_scan.source.fixed_count, {})
        lines = await self._deduplicator.select_new(page)
        await self._full_scan.recorder.record_whole(page, lines, strategy=Strategy.CHANGED)

    async def _read_pass(self) -> tuple[ListPass, Boundary]:
        self._changed_positions = None
        boundary = Boundary()
        order = {"sort_field": FIELD, "sort_direction": "DESC"}
        list_pass = self._full_scan.make_pass(
            order, boundary, self._accept, is_last=lambda page: page is self._last_page
        )
        await list_pass.run()
        if self._changed_positions is None:  # no record is older
            self._changed_positions = list_pass.position.end + 1
        return list_pass, boundary

    async def _accept(self, page: RawPage, _: list[int], chain: PageChain) -> None:
        times = await self._times.read(page)
        known = [time for time in times if time is not None]
        if any(later > earlier for earlier, later in pairwise(known)):
            raise _NotByChangeError
        if page.offset == 0:
            self._first_page = page
        # A record without a time does not count as older.
        older = next((index for index, time in enumerate(times) if time is not None and time < self._since.local), None)
        if older is not None:
            await self._require_order()
            self._changed_positions = page.offset + older
            self._last_page = page
        lines = await self._deduplicator.select_new(
            page, end=older, wanted=[time is not None and time >= self._since.local for time in times]
        )
        await self._full_scan.recorder.record(
            lines,
            strategy=Strategy.CHANGED,
            position=chain.position,
            list_changed=chain.list_changed,
            step=self._deduplicator.step,
            known=self._deduplicator.known,
        )

    async def _require_order(self) -> None:
        """Check once that the server applies the sort: records after an older one are assumed to be older and not read.

        Raises:
            _NotByChangeError: it does not, or there is no proof.
        """
        if not self._is_sorted:
            first, probe = self._first_page, SortProbe(self._full_scan.fetcher, self._times)
            self._is_sorted = first is not None and await probe.is_applied(first)
        if not self._is_sorted:
            raise _NotByChangeError


class _NotByChangeError(Exception):
    """The server does not sort by the time of change."""

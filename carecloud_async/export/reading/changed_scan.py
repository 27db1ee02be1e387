"""Reading what changed since a mark: by `last_change`, the latest first, until the records are older.

Whether that was everything is counted: so many places of the list were passed, so many different records must have
been met. A list that moves too much, or whose ties are dealt anew for every page, does not add up: it is read again,
and in the end in the order of its ids, whole.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import pairwise

import msgspec

from carecloud_async.codec.fields import field_types, is_model
from carecloud_async.errors import BadRequestError
from carecloud_async.export.errors import BadExportError
from carecloud_async.export.reading.boundary import RecentFrontier
from carecloud_async.export.reading.deduplicator import Deduplicator
from carecloud_async.export.reading.full_scan import FullScan
from carecloud_async.export.reading.page_sweep import PageSweep
from carecloud_async.export.reading.query import Query
from carecloud_async.export.reading.recorder import Recorder
from carecloud_async.export.reading.since import Since, read_time
from carecloud_async.export.reading.source import RawPage, Source, id_decoder
from carecloud_async.export.storage.checkpoint import Place

__all__ = ["FIELD", "ChangedScan", "has_changes", "is_wanted"]

#: The field that says when a record changed.
FIELD = "last_change"

#: How often the changes are read before the whole list is.
_SWEEPS = 3


def has_changes(query: Query) -> bool:
    """Tell whether the records of a list say when they changed."""
    return is_model(query.into) and FIELD in field_types(query.into)


class ChangedScan:
    """Reads the records of a list that changed at or after a mark.

    Args:
        query: the list.
        source: where its pages come from.
        book: where the records go.
        width: how many requests at once.
        keeper: knows what was written, and writes only what is wanted.
        mark: the mark.
        whole: reads the whole list, if it comes to that.

    Raises:
        BadExportError: the list cannot be read by change.
    """

    def __init__(
        self,
        query: Query,
        *,
        source: Source,
        book: Recorder,
        width: int,
        keeper: Deduplicator,
        mark: Since,
        whole: FullScan,
    ) -> None:
        self._query = query
        self._source = source
        self._book = book
        self._width = width
        self._keeper = keeper
        self._mark = mark
        self._whole = whole
        self._times = _Times()
        self._passed: int | None = None

    @staticmethod
    def check(query: Query) -> None:
        """Refuse a list that cannot be read by change.

        Raises:
            BadExportError: its records do not say when they changed, or it has a sort of the user's own.
        """
        if not has_changes(query):
            raise BadExportError(f"changed_since: the records of {query.name} have no {FIELD}")
        if query.params.get("sort_field") is not None:
            raise BadExportError("changed_since sorts by itself: leave sort_field out")

    async def read(self) -> None:
        """Read.

        Raises:
            CareCloudError: a page could not be read.
        """
        if not self._query.operation.paged:
            await self._read_one_page()
            return
        first = self._book.start.counts.sweeps if self._book.start.way == "changed" else 1
        for number in range(first, max(first, _SWEEPS) + 1):
            before = self._keeper.known
            try:
                sweep = await self._sweep()
            except (_NotByChangeError, BadRequestError) as error:
                if isinstance(error, BadRequestError) and self._keeper.known:
                    raise
                break
            met = self._passed is not None and self._keeper.known >= self._passed
            quiet = not sweep.drifted or (number > 1 and self._keeper.known == before)
            done = sweep.settled and met and quiet
            self._book.note(sweep, settled=done, sweeps=number)
            if done:
                return
        await self._whole.read_through(self._keeper, way="changed")

    async def _read_one_page(self) -> None:
        page = await self._source.fetch(0, self._query.count, {})
        lines = await self._keeper.sort_out(page, 0)
        await self._book.keep(lines, way="changed", place=Place(total=page.total), drifted=False)

    async def _sweep(self) -> PageSweep:
        self._passed = None
        sweep = PageSweep(
            self._source,
            params={"sort_field": FIELD, "sort_direction": "DESC"},
            frontier=RecentFrontier(),
            accept=self._accept,
            count=self._query.count,
            width=self._width,
            is_last=lambda page: self._edge(page) is not None,
        )
        await sweep.run()
        if self._passed is None:
            self._passed = sweep.place.end + 1
        return sweep

    async def _accept(self, page: RawPage, start: int, sweep: PageSweep) -> None:
        times = self._times.of(page.lines)
        known = [time for time in times if time is not None]
        if any(later > earlier for earlier, later in pairwise(known)):
            raise _NotByChangeError
        edge = self._edge(page)
        if edge is not None:
            self._passed = page.offset + edge
        lines = await self._keeper.sort_out(page, start, end=edge)
        await self._book.keep(
            lines,
            way="changed",
            place=sweep.place,
            drifted=sweep.drifted,
            step=self._keeper.step,
            known=self._keeper.known,
        )

    def _edge(self, page: RawPage) -> int | None:
        """Return the index of the first record that is older than the mark; what bears no time is not older."""
        times = self._times.of(page.lines)
        return next((index for index, time in enumerate(times) if time is not None and time < self._mark.local), None)


def is_wanted(mark: Since) -> Callable[[bytes], bool]:
    """Return what tells whether a record changed at or after a mark."""
    times = _Times()

    def wanted(line: bytes) -> bool:
        time = times.of([line])[0]
        return time is not None and time >= mark.local

    return wanted


class _NotByChangeError(Exception):
    """The server does not sort by the time of change."""


class _Times:
    """Reads when records changed."""

    def __init__(self) -> None:
        self._decoder = id_decoder(FIELD)

    def of(self, lines: list[bytes]) -> list[datetime | None]:
        return [self._one(line) for line in lines]

    def _one(self, line: bytes) -> datetime | None:
        if self._decoder is None:  # pragma: no cover  (there is a field)
            return None
        try:
            return read_time(self._decoder.decode(line).id)
        except (msgspec.MsgspecError, RecursionError):
            return None

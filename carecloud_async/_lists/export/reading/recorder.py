"""Counts the records of an export and hands them to the writer with the checkpoint that includes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from attrs import evolve

from carecloud_async._lists.export.reading.boundary import Boundary
from carecloud_async._lists.export.reading.list_pass import ListPass
from carecloud_async._lists.export.reading.pages import RawPage, RawPageFetcher
from carecloud_async._lists.export.reading.times import TimelessRecords
from carecloud_async._lists.export.report import Counts, Reporter
from carecloud_async._lists.export.storage.checkpoint import Checkpoint, Position, Strategy
from carecloud_async._lists.export.storage.writer import RecordWriter

__all__ = ["Recorder", "boundary_fields"]


class Recorder:
    """Counts and writes, over all runs of an export.

    Args:
        start: the checkpoint to continue from; an empty one for a new export.
        count: the page size that is requested; 0 if it is found.
        fetcher: fetches the pages, and counts its requests.
        writer: writes the records.
        reporter: reports progress.
        restart: drops the records written so far.
        timeless: takes the records without a readable `last_change`; `None` if they need not be remembered.

    Attributes:
        start, count: see above.
        counts: the counts so far.
    """

    def __init__(
        self,
        *,
        start: Checkpoint,
        count: int,
        fetcher: RawPageFetcher,
        writer: RecordWriter[Checkpoint],
        reporter: Reporter,
        restart: Callable[[], Awaitable[None]],
        timeless: TimelessRecords | None = None,
    ) -> None:
        self.start: Checkpoint = start
        self.count: int = count
        self.counts: Counts = start.counts
        self._fetcher = fetcher
        self._writer = writer
        self._reporter = reporter
        self._restart = restart
        self._timeless = timeless
        self._last = start

    async def record(
        self, lines: list[bytes], *, strategy: Strategy, position: Position, list_changed: bool, **more: Any
    ) -> None:
        """Write records and the checkpoint that includes them; waits while the disk is slower.

        Args:
            lines: the records.
            strategy: the way the list is read.
            position: the position of the pass.
            list_changed: whether the list was seen to change.
            **more: other fields of the checkpoint.
        """
        if self._timeless is not None:
            await self._remember_timeless(self._timeless, lines)
        self._count_up(
            records=self.counts.records + len(lines),
            pages=self.counts.pages + bool(lines),
            list_changed=self.counts.list_changed or list_changed,
            total=position.total,
        )
        self._last = Checkpoint(
            strategy=strategy,
            position=position,
            count=self.count,
            counts=self.counts,
            **more,
        )
        await self._writer.put(lines, self._last)
        await self._reporter.report(self.counts)

    async def _remember_timeless(self, timeless: TimelessRecords, lines: list[bytes]) -> None:
        times = await self._fetcher.times.read(lines)
        for line, time in zip(lines, times, strict=True):
            if not isinstance(time, datetime):
                timeless.remember(line)

    async def record_whole(self, page: RawPage, lines: list[bytes], *, strategy: Strategy) -> None:
        """Write the records of a list that is one page, with a checkpoint that ends it: no later run adds them again.

        Args:
            lines: the records.
            strategy: the way the list is read.
        """
        nulls = page.received - len(page.ids)
        self._count_up(exact=page.total is None or page.total <= page.received, nulls=nulls)
        position = Position(total=page.total)
        # An empty list may still be doubted, and is requested again.
        await self.record(lines, strategy=strategy, position=position, list_changed=False, complete=bool(lines))

    def end_pass(self, list_pass: ListPass, *, exact: bool, passes: int | None = None) -> None:
        """Count in the result of a pass."""
        self._count_up(
            list_changed=self.counts.list_changed or list_pass.list_changed,
            exact=exact,
            passes=self.counts.passes if passes is None else passes,
            total=list_pass.position.total,
            nulls=list_pass.nulls,
            is_total_wrong=list_pass.is_total_wrong,
        )

    def doubt(self) -> None:
        """Note that the reading is not exact after all."""
        self._count_up(exact=False)

    async def start_over(self) -> None:
        """Drop everything written so far: it cannot be relied on."""
        await self._writer.drain()
        await self._restart()
        self._count_up(records=0, pages=0)

    async def finish(self) -> None:
        """Commit the last checkpoint: everything was read."""
        self._count_up()
        self._last = evolve(self._last, counts=self.counts, complete=True)
        await self._writer.put([], self._last)
        await self._writer.drain()
        await self._reporter.report(self.counts, now=True)

    def _count_up(self, **changes: Any) -> None:
        before = self.start.counts
        self.counts = evolve(
            self.counts,
            requests=before.requests + self._fetcher.requests,
            retries=before.retries + self._fetcher.retries,
            seconds=before.seconds + self._reporter.seconds,
            began=before.began if before.requests else self._fetcher.began,
            **changes,
        )


def boundary_fields(boundary: Boundary) -> dict[str, Any]:
    """Return the fields of a checkpoint that hold a boundary."""
    recent = [one for one in boundary.recent_ids if isinstance(one, str)]
    if len(recent) != len(boundary.recent_ids):
        recent = []  # digests are not JSON: a list without ids is read again from the start
    if boundary.order is None:
        return {"recent_ids": recent}
    return {"recent_ids": recent, "orders": list(boundary.order.names), "last_id": boundary.last_id}

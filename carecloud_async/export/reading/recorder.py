"""The book of one export: counts what is accepted, hands it to the writer together with the checkpoint that says so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from attrs import evolve

from carecloud_async.export.progress import Reporter
from carecloud_async.export.reading.boundary import OrderedFrontier, RecentFrontier
from carecloud_async.export.reading.page_sweep import PageSweep
from carecloud_async.export.reading.source import Source
from carecloud_async.export.report import Counts
from carecloud_async.export.storage.checkpoint import Checkpoint, Place
from carecloud_async.export.storage.writer import Writer

__all__ = ["Recorder", "edge"]


class Recorder:
    """Counts, over all runs of an export.

    Args:
        start: the checkpoint that is gone on from; a fresh one with the marks for a new export.
        source: where the pages come from.
        writer: where the records go.
        reporter: who is told.
        restart: drops what was written.
        count: how many records are asked for at a time.

    Attributes:
        counts: what is counted.
    """

    def __init__(
        self,
        start: Checkpoint,
        *,
        source: Source,
        writer: Writer[Checkpoint],
        reporter: Reporter,
        restart: Callable[[], Awaitable[None]],
        count: int,
    ) -> None:
        self.start = start
        self.counts = start.counts
        self._source = source
        self._writer = writer
        self._reporter = reporter
        self._restart = restart
        self._count = count
        self._last = start

    async def keep(self, lines: list[bytes], *, way: str, place: Place, drifted: bool, **more: Any) -> None:
        """Write records and the checkpoint that includes them; waits while the disk is behind.

        Args:
            lines: the records.
            way: see `Checkpoint.way`.
            place: where the reading stands.
            drifted: whether the list was seen to change.
            **more: other fields of the checkpoint.
        """
        self._count_up(
            records=self.counts.records + len(lines),
            pages=self.counts.pages + bool(lines),
            drifted=self.counts.drifted or drifted,
            total=place.total,
        )
        self._last = Checkpoint(
            marks=self.start.marks,
            way=way,
            place=place,
            count=self._count,
            counts=self.counts,
            **more,
        )
        await self._writer.put(lines, self._last)
        await self._reporter.tell(self.counts)

    def note(self, sweep: PageSweep, *, settled: bool | None = None, sweeps: int | None = None) -> None:
        """Note how a sweep ended."""
        self._count_up(
            drifted=self.counts.drifted or sweep.drifted,
            settled=sweep.settled if settled is None else settled,
            sweeps=self.counts.sweeps if sweeps is None else sweeps,
            total=sweep.place.total,
        )

    async def begin_anew(self) -> None:
        """Drop everything that was written: it cannot be relied on."""
        await self._writer.drain()
        await self._restart()
        self._count_up(records=0, pages=0)

    async def finish(self) -> None:
        """Commit the last checkpoint: everything was read."""
        self._count_up()
        self._last = evolve(self._last, marks=self.start.marks, counts=self.counts, whole=True)
        await self._writer.put([], self._last)
        await self._writer.drain()
        await self._reporter.tell(self.counts, now=True)

    def _count_up(self, **changes: Any) -> None:
        before: Counts = self.start.counts
        self.counts = evolve(
            self.counts,
            requests=before.requests + self._source.requests,
            retries=before.retries + self._source.retries,
            seconds=before.seconds + self._reporter.seconds,
            began=before.began or self._source.began,
            **changes,
        )


def edge(frontier: OrderedFrontier | RecentFrontier) -> dict[str, Any]:
    """Return the fields of a checkpoint that say what is known of the edge."""
    if isinstance(frontier, OrderedFrontier):
        return {"ways": list(frontier.order.ways), "last": frontier.last}
    ids = [one for one in frontier.recent if isinstance(one, str | int)]
    # Records without an id are known by their whole text, which has no place in a checkpoint.
    return {"recent": ids if len(ids) == len(frontier.recent) else []}

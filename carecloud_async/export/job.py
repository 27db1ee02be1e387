"""The job: everything that one export does, from its arguments to its report."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from attrs import evolve, frozen

from carecloud_async.errors import ExportError
from carecloud_async.export.errors import BadExportError, disk_error, nesting_errors
from carecloud_async.export.formats.compression import frame_maker
from carecloud_async.export.formats.jsonl import join_lines
from carecloud_async.export.formats.selection import Selection, read_fields
from carecloud_async.export.formats.sinks import Layout
from carecloud_async.export.progress import Reporter
from carecloud_async.export.reading.changed_scan import ChangedScan, has_changes, is_wanted
from carecloud_async.export.reading.deduplicator import Deduplicator
from carecloud_async.export.reading.full_scan import FullScan
from carecloud_async.export.reading.query import Query
from carecloud_async.export.reading.recorder import Recorder
from carecloud_async.export.reading.seen_ids import SeenIds
from carecloud_async.export.reading.since import OVERLAP, Since, read_mark
from carecloud_async.export.reading.source import Source
from carecloud_async.export.report import Counts, ExportReport, OnProgress
from carecloud_async.export.storage.checkpoint import Checkpoint, read_checkpoint
from carecloud_async.export.storage.direct import DirectFile
from carecloud_async.export.storage.journal import Journal
from carecloud_async.export.storage.output import Output
from carecloud_async.export.storage.target import Target, read_target
from carecloud_async.export.storage.upload import upload
from carecloud_async.export.storage.workspace import Workspace
from carecloud_async.export.storage.writer import Writer
from carecloud_async.runtime.background_tasks import BackgroundTasks

__all__ = ["run"]


@frozen(kw_only=True)
class Job:
    """What was asked for, checked.

    Attributes:
        query: the list.
        target: where it goes.
        fields: the wanted fields; empty for all.
        mark: since when; `None` for everything.
        width: how many requests at once.
        resume, overwrite, on_progress: as they came.
    """

    query: Query
    target: Target
    fields: Selection
    mark: Since | None
    width: int
    resume: bool
    overwrite: bool
    on_progress: OnProgress | None

    @property
    def marks(self) -> dict[str, str]:
        """What a checkpoint is bound to."""
        kind = self.target.format
        # Records are kept whole for sinks, so that fields and format could change; but nobody expects them to.
        return self.query.marks(
            fields=_names(self.fields),
            changed_since=None if self.mark is None else self.mark.moment.isoformat(),
            format=kind.suffix + kind.compression,
        )

    @property
    def layout(self) -> Layout:
        """What a sink is told."""
        return Layout(into=self.query.into, fields=self.fields, timezone=self.query.caller.context.project.timezone)


def _names(fields: Selection) -> list[Any]:
    return [[name, _names(inner)] for name, inner in fields.items()]


async def run(
    query: Query,
    target: str | os.PathLike[str],
    *,
    concurrency: int,
    resume: bool,
    overwrite: bool,
    changed_since: datetime | str | None,
    fields: Sequence[str] | None,
    on_progress: OnProgress | None,
) -> ExportReport:
    """Export a list; see `Listing.export`.

    Raises:
        ExportError: it cannot start or go on.
        CareCloudError: the server cannot be read.
    """
    if not isinstance(concurrency, int) or isinstance(concurrency, bool) or concurrency < 1:
        raise BadExportError("concurrency must be a whole number from 1 up")
    if query.offset:
        raise BadExportError("an export holds the whole list: leave offset out")
    mark = None
    if changed_since is not None:
        mark = read_mark(changed_since, query.caller.context.project)
        ChangedScan.check(query)
    job = Job(
        query=query,
        target=await anyio.to_thread.run_sync(read_target, target),
        fields=read_fields(fields, query.into),
        mark=mark,
        width=concurrency,
        resume=resume,
        overwrite=overwrite,
        on_progress=on_progress,
    )
    try:
        return await (_run_direct(job) if job.target.direct else _run_file(job))
    except OSError as error:
        if error.errno is None:  # not the system's: a user's own, or a timeout of the SDK
            raise
        raise disk_error(job.target.shown, error) from error


async def _run_direct(job: Job) -> ExportReport:
    if job.resume:
        raise BadExportError(f"{job.target.shown} is no regular file: what was written to it cannot be resumed")
    file = DirectFile(job.target, layout=job.layout, shape=_shape(job))

    async def refuse() -> None:
        raise ExportError(
            f"the server does not keep {job.query.name} in the order of ids, and what was written to "
            f"{job.target.shown} cannot be taken back: export to a file"
        )

    await anyio.to_thread.run_sync(file.open, abandon_on_cancel=True)
    try:
        with SeenIds() as seen:
            keeper = partial(_fresh_keeper, job, seen)
            book = await _read(job, Checkpoint(), commit=file.commit, restart=refuse, keeper=keeper, abort=True)
        await anyio.to_thread.run_sync(file.finish, abandon_on_cancel=True)
    finally:
        file.close()
    return _report(job, book.counts, resumed=False)


def _fresh_keeper(job: Job, seen: SeenIds, resumed: bool) -> Deduplicator:  # noqa: ARG001  (nothing is resumed here)
    return Deduplicator(seen, wanted=None if job.mark is None else is_wanted(job.mark))


async def _run_file(job: Job) -> ExportReport:
    run_sync = anyio.to_thread.run_sync
    place = Workspace(job.target)
    marks = job.marks
    taken = await run_sync(job.target.exists)
    if taken and not job.overwrite:
        remembered = await run_sync(place.finished, marks) if job.resume else None
        if remembered is not None:
            await run_sync(place.tidy)
            return evolve(remembered, resumed=True, finished_before=True)
        raise ExportError(f"{job.target.shown} exists already: pass overwrite=True to replace it")
    await run_sync(place.__enter__)
    try:
        return await _run_in(job, place, marks)
    finally:
        with anyio.CancelScope(shield=True):
            await run_sync(place.__exit__)


async def _run_in(job: Job, place: Workspace, marks: dict[str, str]) -> ExportReport:
    run_sync = anyio.to_thread.run_sync
    clock = job.query.caller.context.clock
    began = clock.monotonic()
    journal = Journal(place, shape=_shape(job))
    start = await run_sync(_resumed, place, journal, marks) if job.resume else None
    output = Output(place, job.target, job.layout, live=start is None)
    seen: list[SeenIds] = []

    def commit(lines: list[bytes], checkpoint: Checkpoint) -> None:
        journal.commit(lines, checkpoint)
        output.write(lines)

    def keeper(resumed: bool) -> Deduplicator:
        known = start if resumed else None
        if known is None:
            place.clear_seen()
        ids = SeenIds(place.seen)
        seen.append(ids)
        return _keeper(job, ids, known, place)

    async def restart() -> None:
        await run_sync(output.restart)
        await run_sync(journal.restart)

    try:
        if start is not None and start.whole:
            counts = start.counts
        else:
            book = await _read(job, start or Checkpoint(marks=marks), commit=commit, restart=restart, keeper=keeper)
            counts = book.counts
    except BaseException:
        output.close()
        raise
    finally:
        for ids in seen:
            ids.close()
        journal.close()
    report = _report(job, counts, resumed=start is not None)
    reporter = Reporter(job.on_progress, clock=clock, before=counts, bounded=False)
    file = await output.finish(partial(reporter.tell, counts, stage="writing"))
    earlier = 0.0 if start is None else start.counts.seconds
    report = evolve(report, seconds=earlier + clock.monotonic() - began, nulls=dict(output.nulls))
    await run_sync(_publish, job, place, file, marks, report)
    return report


def _publish(job: Job, place: Workspace, file: Path, marks: dict[str, str], report: ExportReport) -> None:
    place.forget()
    if job.resume:
        place.remember(file, marks, report)
    if job.target.url is not None:
        upload(file, job.target, overwrite=job.overwrite)
    else:
        place.publish(file, overwrite=job.overwrite)
    place.clear()


def _resumed(place: Workspace, journal: Journal, marks: dict[str, str]) -> Checkpoint | None:
    checkpoint = read_checkpoint(place.checkpoint)
    if checkpoint is not None:
        checkpoint.require(marks, where=place.directory)
        journal.restore(checkpoint)
    return checkpoint


def _keeper(job: Job, seen: SeenIds, start: Checkpoint | None, place: Workspace) -> Deduplicator:
    wanted = None if job.mark is None else is_wanted(job.mark)
    if start is None:
        return Deduplicator(seen, wanted=wanted)
    seen.forget_after(start.step)
    if len(seen) != start.known:
        raise ExportError(f"cannot resume: {place.seen} was changed since; export with resume=False to begin anew")
    return Deduplicator(seen, step=start.step, known=start.known, wanted=wanted)


def _shape(job: Job) -> Callable[[Sequence[bytes]], bytes]:
    """Return what turns records into the bytes of their file: lines, and what the format makes of them."""
    native = job.target.format.sink is None
    fields = job.fields if native else {}
    frame = frame_maker(job.target.format.compression if native else "")

    def shape(lines: Sequence[bytes]) -> bytes:
        with nesting_errors():
            return frame(join_lines(lines, fields))

    return shape


async def _read(
    job: Job,
    start: Checkpoint,
    *,
    commit: Callable[[list[bytes], Checkpoint], None],
    restart: Callable[[], Awaitable[None]],
    keeper: Callable[[bool], Deduplicator],
    abort: bool = False,
) -> Recorder:
    query = job.query
    source = Source(query)
    reporter = Reporter(
        job.on_progress, clock=query.caller.context.clock, before=start.counts, bounded=job.mark is None
    )
    async with BackgroundTasks() as tasks:
        writer = Writer(commit, tasks=tasks, clock=query.caller.context.clock, abort=abort)
        book = Recorder(start, source=source, writer=writer, reporter=reporter, restart=restart, count=query.count)
        try:
            whole = FullScan(query, source=source, book=book, width=job.width, keeper=keeper)
            if job.mark is None:
                await whole.read()
            else:
                made = await anyio.to_thread.run_sync(keeper, start.way == "changed")
                changed = ChangedScan(
                    query, source=source, book=book, width=job.width, keeper=made, mark=job.mark, whole=whole
                )
                await changed.read()
            await book.finish()
        except BaseException:
            if not abort:
                # What was accepted is kept for a resume, also when the user has lost patience.
                with anyio.CancelScope(shield=True):
                    await writer.leave()
            raise
    return book


def _report(job: Job, counts: Counts, *, resumed: bool) -> ExportReport:
    began = counts.began
    zone = job.query.caller.context.project.timezone
    following = None if began is None or not has_changes(job.query) else (began - OVERLAP).astimezone(zone)
    return ExportReport(
        target=job.target.shown,
        records=counts.records,
        pages=counts.pages,
        requests=counts.requests,
        retries=counts.retries,
        seconds=counts.seconds,
        drifted=counts.drifted,
        settled=counts.settled,
        sweeps=counts.sweeps,
        resumed=resumed,
        total=counts.total,
        next_changed_since=following,
    )

"""One export, from its options to its report."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from attrs import evolve, frozen

from carecloud_async.errors import ExportError
from carecloud_async.export.errors import BadExportError, disk_error
from carecloud_async.export.formats.jsonl import line_encoder
from carecloud_async.export.formats.rows import UNKNOWN_FIELDS
from carecloud_async.export.formats.selection import Selection, field_names, read_fields
from carecloud_async.export.formats.sinks import Layout
from carecloud_async.export.options import ExportOptions
from carecloud_async.export.progress import ProgressCallback, Reporter
from carecloud_async.export.reading.scan import make_report, scan
from carecloud_async.export.reading.seen_ids import SeenIds
from carecloud_async.export.reading.since import Since, parse_since, require_changes
from carecloud_async.export.report import Counts, ExportReport
from carecloud_async.export.source import ExportSource
from carecloud_async.export.storage.checkpoint import Checkpoint, read_checkpoint
from carecloud_async.export.storage.direct import DirectFile
from carecloud_async.export.storage.journal import Journal
from carecloud_async.export.storage.output import Output
from carecloud_async.export.storage.state import read_state, write_state
from carecloud_async.export.storage.target import Target, read_target
from carecloud_async.export.storage.workspace import Workspace
from carecloud_async.export.storage.writer import INTERVAL, Writer
from carecloud_async.fixes import OVERWRITE
from carecloud_async.runtime.background_tasks import BackgroundTasks
from carecloud_async.runtime.threads import (
    run_in_thread,
    run_in_thread_regardless,
    run_in_thread_until_stopped,
    run_with,
)

__all__ = ["run"]


@frozen(kw_only=True)
class Job:
    """A checked request for an export.

    Attributes:
        source: the list.
        target: the destination.
        options: the options that the user gave.
        fields: the wanted fields; empty for all.
        since: the time that changes are wanted from; `None` for everything.
    """

    source: ExportSource
    target: Target
    options: ExportOptions
    fields: Selection
    since: Since | None

    @property
    def fingerprints(self) -> dict[str, str]:
        """Digests of everything that a checkpoint is bound to."""
        kind = self.target.format
        # Sinks get whole records, so a resumed run could use other fields or another format; users do not expect that.
        return self.source.fingerprints(
            fields=field_names(self.fields),
            changed_since=None if self.since is None else self.since.moment.isoformat(),
            format=[kind.suffix + kind.compression, *self.options.content_options],
        )

    @property
    def encode(self) -> Callable[[Sequence[bytes]], Iterable[bytes]]:
        """Turns records into the bytes of the journal: of the file itself where the format is JSON Lines."""
        kind = self.target.format
        return line_encoder(self.fields, kind.compression) if kind.sink is None else line_encoder({}, "")

    @property
    def layout(self) -> Layout:
        """The layout that a sink is given."""
        options = self.options
        return Layout(
            into=self.source.into,
            fields=self.fields,
            timezone=self.source.project.timezone,
            columns=options.columns,
            timestamps=options.timestamps,
            csv=options.csv,
        )


async def run(source: ExportSource, target: str | os.PathLike[str], options: ExportOptions) -> ExportReport:
    """Export a list; see `Listing.export`.

    Raises:
        ExportError: the export cannot start or continue.
        CareCloudError: the server cannot be read.
    """
    if source.offset:
        raise BadExportError("an export holds the whole list: leave offset out")
    destination = await run_in_thread(partial(read_target, target, format=options.format))
    if options.state is None:
        return await _run(source, destination, options)
    require_changes(source)
    state, fingerprints = Path(options.state), source.fingerprints()
    if await run_in_thread(lambda: destination.is_file(state)):
        raise BadExportError(f"the target and state are the same file, {state}: give each a file of its own")
    changed_since = await run_in_thread(lambda: read_state(state, fingerprints))
    report = await _run(source, destination, evolve(options, state=None, changed_since=changed_since))
    mark = report.next_changed_since
    if report.exact and mark is not None:
        try:
            await run_in_thread(lambda: write_state(state, fingerprints, mark))
        except OSError as error:
            raise disk_error(state, error) from error
    return report


async def _run(source: ExportSource, target: Target, options: ExportOptions) -> ExportReport:
    since = None
    if options.changed_since is not None:
        since = parse_since(options.changed_since, source.project)
        require_changes(source)
    special = (UNKNOWN_FIELDS,) if target.format.suffix == ".parquet" else ()
    callback = None if options.on_progress is None else ProgressCallback(options.on_progress)
    job = Job(
        source=source,
        target=target,
        options=evolve(options, on_progress=callback),
        fields=read_fields(options.fields, source.into, also=special),
        since=since,
    )
    try:
        return await (_run_direct(job) if job.target.direct else _run_file(job))
    except OSError as error:
        if error.errno is None:  # not the system's: a user's own, or a timeout of the SDK
            raise
        if callback is not None and error is callback.error:
            raise
        raise disk_error(job.target.shown, error) from error


async def _run_direct(job: Job) -> ExportReport:
    if job.options.resume:
        raise BadExportError(f"{job.target.shown} is not a regular file: an export to it cannot be resumed")
    file = DirectFile(job.target, layout=job.layout, encode=job.encode)

    async def refuse() -> None:
        raise ExportError(
            f"the server does not keep {job.source.name} in the order of ids, and what was written to "
            f"{job.target.shown} cannot be taken back: export to a file"
        )

    try:
        await run_in_thread_until_stopped(file.open, stop=file.stop)
        counts = await _read(job, Checkpoint(), commit=file.commit, restart=refuse, interval=0.0, stop=file.stop)
        await run_in_thread_until_stopped(file.finish, stop=file.stop)
    finally:
        file.close()
    report = make_report(job.source, counts, target=job.target.shown, resumed=False)
    return evolve(report, nulls=dict(file.nulls))


async def _run_file(job: Job) -> ExportReport:
    workspace = Workspace(job.target)
    fingerprints = job.fingerprints
    finished = await run_in_thread(partial(workspace.finished, fingerprints))
    if not job.options.overwrite and (finished is not None or await run_in_thread(job.target.exists)):
        if finished is not None and job.options.resume:
            await run_in_thread(workspace.tidy)
            return evolve(finished, resumed=True, finished_before=True)
        raise ExportError(f"{job.target.shown} exists already", fix=OVERWRITE)
    try:
        await run_in_thread(workspace.open)
        if finished is not None:
            # The process was killed after its file got the final name: there is nothing to continue.
            await run_in_thread(workspace.clear)
        return await _run_in(job, workspace, fingerprints)
    finally:
        await run_in_thread_regardless(workspace.close)


async def _run_in(job: Job, workspace: Workspace, fingerprints: dict[str, str]) -> ExportReport:
    clock = job.source.clock
    began = clock.monotonic()
    start, counts, output = await _read_file(job, workspace, fingerprints)
    report = make_report(job.source, counts, target=job.target.shown, resumed=start is not None)
    reporter = Reporter(job.options.on_progress, clock=clock, before=counts, bounded=False)
    file = await output.finish(partial(reporter.report, counts, stage="writing"))
    earlier = 0.0 if start is None else start.counts.seconds
    report = evolve(report, seconds=earlier + clock.monotonic() - began, nulls=dict(output.nulls))
    await run_in_thread(partial(_publish, job, workspace, file, fingerprints, report))
    return report


async def _read_file(
    job: Job, workspace: Workspace, fingerprints: dict[str, str]
) -> tuple[Checkpoint | None, Counts, Output]:
    """Read the list into the journal, continuing from the checkpoint of an earlier run with `resume`."""
    journal = Journal(workspace, encode=job.encode)
    output: Output | None = None
    try:
        start = None
        if job.options.resume:
            start = await run_in_thread(partial(_load_checkpoint, workspace, journal, fingerprints))
        output = Output(workspace, job.target, job.layout, live=start is None)
        if start is not None and start.complete:
            return start, start.counts, output
        begun = start or Checkpoint(fingerprints=fingerprints)
        return start, await _read_into(job, begun, workspace, journal, output), output
    except BaseException:
        if output is not None:
            await run_in_thread_regardless(output.close)
        raise
    finally:
        journal.close()


async def _read_into(job: Job, start: Checkpoint, workspace: Workspace, journal: Journal, output: Output) -> Counts:
    """Read the list into the journal and the output; the seen ids are kept in the workspace meanwhile."""

    def commit(lines: list[bytes], checkpoint: Checkpoint) -> None:
        journal.begin()  # which removes an earlier run's output, before a new one is opened
        secure = partial(journal.commit, lines, checkpoint)
        if output.is_live:
            # In two threads, because the journal mostly waits for the disk. What the journal lacks does not count.
            run_with(secure, partial(output.write, lines))
        else:
            secure()

    def open_seen(continued: bool) -> SeenIds:
        if continued:
            return SeenIds.resume(workspace.seen, step=start.step, known=start.known)
        workspace.clear_seen()
        return SeenIds(workspace.seen)

    async def restart() -> None:
        await run_in_thread(output.close)
        await run_in_thread(journal.restart)

    return await _read(job, start, commit=commit, restart=restart, open_seen=open_seen)


def _publish(job: Job, workspace: Workspace, file: Path, fingerprints: dict[str, str], report: ExportReport) -> None:
    # Always remembered: if the process is killed after the rename, a new run must not continue from the leftovers.
    workspace.remember(file, fingerprints, report)
    if job.target.url is not None:
        job.target.upload(file, overwrite=job.options.overwrite)
    else:
        workspace.publish(file, overwrite=job.options.overwrite, mode=job.options.mode)
    workspace.clear()
    if not job.options.resume:
        workspace.forget()


def _load_checkpoint(workspace: Workspace, journal: Journal, fingerprints: dict[str, str]) -> Checkpoint | None:
    checkpoint = read_checkpoint(workspace.checkpoint)
    if checkpoint is not None:
        checkpoint.require(fingerprints, where=workspace.directory)
        journal.restore(checkpoint)
    return checkpoint


async def _read(
    job: Job,
    start: Checkpoint,
    *,
    commit: Callable[[list[bytes], Checkpoint], None],
    restart: Callable[[], Awaitable[None]],
    open_seen: Callable[[bool], SeenIds] = lambda _: SeenIds(),
    interval: float = INTERVAL,
    stop: Callable[[], None] | None = None,
) -> Counts:
    source, options = job.source, job.options
    tasks = BackgroundTasks()
    writer = Writer(commit, tasks=tasks, clock=source.clock, interval=interval, stop=stop)
    try:
        async with tasks:
            return await scan(
                source,
                start,
                since=job.since,
                concurrency=options.concurrency,
                on_progress=options.on_progress,
                writer=writer,
                restart=restart,
                open_seen=open_seen,
            )
    except BaseException:
        if stop is None:
            await writer.leave()  # keeps what was accepted for a resume
        raise

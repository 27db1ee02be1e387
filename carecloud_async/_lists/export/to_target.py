"""The two ways of an export: to a file, or to a pipe, a terminal or another target that is not a regular file.

To a file, the list is read into a journal and an output next to the target. The output gets the target's name when it
is whole. A killed export continues from its checkpoint with `resume=True`.

    workspace   the folder next to the target with the run file, which an export keeps locked
    journal     the records, durable before the checkpoint that includes them
    output      the same records in the target's format

What is written to a pipe cannot be taken back: the records are written as they arrive, and nothing is resumed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from attrs import evolve, frozen

from carecloud_async._base.runtime.task_groups import BackgroundTasks
from carecloud_async._base.runtime.threads import (
    run_in_thread,
    run_in_thread_regardless,
    run_in_thread_until_stopped,
)
from carecloud_async._lists.export.errors import BadExportError, CannotStartOverError
from carecloud_async._lists.export.reading.scan import scan
from carecloud_async._lists.export.reading.seen import Rows, Seen, TemporarySeen
from carecloud_async._lists.export.report import ExportReport, Reporter
from carecloud_async._lists.export.request import ExportRequest
from carecloud_async._lists.export.storage.checkpoint import Checkpoint
from carecloud_async._lists.export.storage.direct import DirectFile
from carecloud_async._lists.export.storage.journal import Journal
from carecloud_async._lists.export.storage.output import Output
from carecloud_async._lists.export.storage.workspace import Ended, Workspace
from carecloud_async._lists.export.storage.writer import INTERVAL, Writer
from carecloud_async.errors import ExportError
from carecloud_async.fixes import OVERWRITE

__all__ = ["export_to_file", "export_to_stream", "find_end"]


async def export_to_file(request: ExportRequest) -> Ended:
    """Export to a file, which appears when it is whole; return its end, perhaps that of an earlier run.

    Raises:
        ExportError: the export cannot start or continue.
        CareCloudError: the server cannot be read.
        OSError: the disk refuses.
    """
    workspace = Workspace(request.target)
    try:
        earlier = await run_in_thread(partial(_open, workspace, request))
        if earlier is not None:
            return _as_found(earlier)
        return await _FileExport(request, workspace).run()
    finally:
        await run_in_thread_regardless(workspace.close)


def find_end(request: ExportRequest) -> Ended | None:
    """Return the end of the export that a request describes, if it is done and its file untouched. Blocks."""
    workspace = Workspace(request.target)
    try:
        ended = _end_of(workspace, request) if workspace.directory.is_dir() else None
        return None if ended is None else _as_found(ended)
    except ExportError:  # it is another export's
        return None
    finally:
        workspace.close()


def _open(workspace: Workspace, request: ExportRequest) -> Ended | None:
    """Open the workspace; return the end of the same export, if it is done and its file untouched.

    Raises:
        ExportError: the target exists and must not be replaced, or the workspace cannot be opened.
    """
    target, options = request.target, request.options
    is_taken = not options.overwrite and target.exists()
    exists = ExportError(f"{target.shown} exists already", fix=OVERWRITE)
    if is_taken and not workspace.directory.is_dir():
        raise exists
    if is_taken and not options.resume:
        # The file may be that of this very export, which was killed before it returned its report.
        with suppress(ExportError):
            ended = _end_of(workspace, request)
            if ended is not None and workspace.run.continues:
                workspace.finish(ended, resume=False, keep=request.moves_mark)
                return ended
        raise exists
    workspace.open(request.fingerprints, resume=options.resume)
    ended = workspace.ended
    if ended is not None and not options.overwrite:
        workspace.finish(ended, resume=True)
        return ended
    if is_taken:
        raise exists
    if ended is not None:
        workspace.run.begin()  # there is nothing to continue
    return None


def _end_of(workspace: Workspace, request: ExportRequest) -> Ended | None:
    workspace.open(request.fingerprints, resume=True)
    return workspace.ended


def _as_found(ended: Ended) -> Ended:
    return evolve(ended, report=evolve(ended.report, resumed=True, finished_before=True))


@frozen
class _FileExport:
    """An export into an open workspace."""

    request: ExportRequest
    workspace: Workspace

    async def run(self) -> Ended:
        """Read the list, finish the file, and publish it under the target's name."""
        request, clock = self.request, self.request.source.clock
        began = clock.monotonic()
        start, report, output = await self._read()
        report = evolve(report, target=request.target.shown, resumed=start is not None)
        reporter = Reporter(request.options.on_progress, clock=clock, before=report, bounded=False)
        file = await output.finish(partial(reporter.report, report, stage="writing"))
        earlier = 0.0 if start is None else start.report.seconds
        report = evolve(report, seconds=earlier + clock.monotonic() - began, nulls=dict(output.nulls))
        return await run_in_thread(partial(self._publish, file, report))

    async def _read(self) -> tuple[Checkpoint | None, ExportReport, Output]:
        """Read the list into the journal and the output.

        Returns:
            the checkpoint of an earlier run, if this one continues it; the report; the output, which is not finished.
        """
        request = self.request
        journal = Journal(self.workspace, encode=request.encode)
        output: Output | None = None
        try:
            start = await run_in_thread(journal.restore)
            output = Output(self.workspace, request.target, request.layout, live=start is None)
            if start is not None and start.complete:
                return start, start.report, output
            return start, await self._read_into(journal, output, start or _beginning(request)), output
        except BaseException:
            if output is not None:
                await run_in_thread_regardless(output.close)
            raise
        finally:
            journal.close()

    async def _read_into(self, journal: Journal, output: Output, start: Checkpoint) -> ExportReport:
        def commit(pages: list[Rows], checkpoint: Checkpoint) -> None:
            journal.begin()  # removes an earlier run's output, before a new one is opened
            # Records count only if the journal has them.
            journal.commit(pages, checkpoint, write=output.write if output.is_live else None)

        def restart() -> None:
            output.close()
            journal.restart()

        return await _read_list(self.request, start, commit=commit, restart=restart, seen=lambda: journal.seen)

    def _publish(self, file: Path, report: ExportReport) -> Ended:
        """Give the finished file the target's name, and clear the workspace."""
        options = self.request.options
        # A continued run does not know with which text the earlier one wrote a record: the next export has all of them.
        timeless = () if report.resumed else self.request.found_timeless
        ended = self.workspace.publish(file, report, overwrite=options.overwrite, mode=options.mode, timeless=timeless)
        self.workspace.finish(ended, resume=options.resume, keep=self.request.moves_mark)
        return ended


def _beginning(request: ExportRequest) -> Checkpoint:
    return Checkpoint(report=ExportReport(target=request.target.shown))


async def _read_list(
    request: ExportRequest,
    start: Checkpoint,
    *,
    commit: Callable[[list[Rows], Checkpoint], None],
    restart: Callable[[], None],
    seen: Callable[[], Seen],
    interval: float = INTERVAL,
    stop: Callable[[], None] | None = None,
) -> ExportReport:
    """Read a list, from a checkpoint on, into a commit function, which a writer calls in the background.

    Args:
        request: what is wanted, from which list.
        start: where to begin; an empty checkpoint for the start of the list.
        commit: makes what is new durable, then the checkpoint that names it. Runs in a worker thread.
        restart: drops what was committed, or raises if that cannot be taken back.
        seen: returns the ids that were committed.
        interval: the seconds between commits.
        stop: ends a commit that blocks forever, when the export fails; without it, the last records are committed.

    Raises:
        CareCloudError: the list cannot be read or written.
    """
    source, options = request.source, request.options
    tasks = BackgroundTasks()
    writer = Writer(commit, restart=restart, seen=seen, tasks=tasks, clock=source.clock, interval=interval, stop=stop)
    try:
        async with tasks:
            return await scan(
                source,
                start,
                since=request.since,
                concurrency=options.concurrency,
                on_progress=options.on_progress,
                writer=writer,
                timeless=request.timeless,
                expects_records=not options.allow_shrink and (request.expects_records or start.report.records > 0),
            )
    except BaseException:
        if stop is None:
            await writer.leave()  # keeps what was accepted for a resume
        raise


async def export_to_stream(request: ExportRequest) -> ExportReport:
    """Export to a target that is not a regular file: what was written cannot be taken back, and nothing is resumed.

    Raises:
        ExportError: the export cannot start or continue.
        CareCloudError: the server cannot be read.
        OSError: the target cannot be written.
    """
    source, target = request.source, request.target
    if request.options.resume:
        raise BadExportError(f"{target.shown} is not a regular file: an export to it cannot be resumed")
    file = DirectFile(target, layout=request.layout, encode=request.encode)

    def refuse() -> None:
        raise CannotStartOverError(
            f"several records of {source.name} have one id, and what was written to {target.shown} cannot be taken "
            "back: export to a file"
        )

    seen = await run_in_thread(TemporarySeen)

    def commit(pages: list[Rows], checkpoint: Checkpoint) -> None:
        file.commit(seen.select_lines(pages, sweep=checkpoint.sweep))

    try:
        await run_in_thread_until_stopped(file.open, stop=file.stop)
        report = await _read_list(
            request, _beginning(request), commit=commit, restart=refuse, seen=lambda: seen, interval=0.0, stop=file.stop
        )
        await run_in_thread_until_stopped(file.finish, stop=file.stop)
    finally:
        file.close()
        await run_in_thread_regardless(seen.close)
    return evolve(report, nulls=dict(file.nulls))

"""An export to a file: read into a journal and an output next to the target, which get its name when they are whole.

    workspace   the folder next to the target, locked while an export uses it
    journal     the records, durable before the checkpoint that names them
    output      the same records in the target's format

A killed export continues from its checkpoint with `resume=True`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from attrs import evolve, frozen

from carecloud_async.errors import ExportError
from carecloud_async.export.progress import Reporter
from carecloud_async.export.read_list import read_list
from carecloud_async.export.reading.scan import make_report
from carecloud_async.export.reading.seen_ids import SeenIds
from carecloud_async.export.report import Counts, ExportReport
from carecloud_async.export.request import ExportRequest
from carecloud_async.export.storage.checkpoint import Checkpoint, read_checkpoint
from carecloud_async.export.storage.journal import Journal
from carecloud_async.export.storage.output import Output
from carecloud_async.export.storage.workspace import Workspace
from carecloud_async.fixes import OVERWRITE
from carecloud_async.runtime.threads import run_in_thread, run_in_thread_regardless, run_with

__all__ = ["export_to_file"]


async def export_to_file(request: ExportRequest) -> ExportReport:
    """Export to a file, which appears when it is whole.

    Raises:
        ExportError: the export cannot start or continue.
        CareCloudError: the server cannot be read.
        OSError: the disk refuses.
    """
    workspace, target = Workspace(request.target), request.target
    fingerprints = request.fingerprints
    finished = await run_in_thread(partial(workspace.finished, fingerprints))
    if not request.options.overwrite and (finished is not None or await run_in_thread(target.exists)):
        if finished is not None and request.options.resume:
            await run_in_thread(workspace.tidy)
            return evolve(finished, resumed=True, finished_before=True)
        raise ExportError(f"{target.shown} exists already", fix=OVERWRITE)
    try:
        await run_in_thread(workspace.open)
        if finished is not None:
            # The process was killed after its file got the final name: there is nothing to continue.
            await run_in_thread(workspace.clear)
        return await _FileExport(request, workspace, fingerprints).run()
    finally:
        await run_in_thread_regardless(workspace.close)


@frozen
class _FileExport:
    """An export into an open workspace.

    Attributes:
        request: what is wanted.
        workspace: the folder.
        fingerprints: what its checkpoints are bound to.
    """

    request: ExportRequest
    workspace: Workspace
    fingerprints: dict[str, str]

    async def run(self) -> ExportReport:
        """Read the list, finish the file, and publish it under the target's name."""
        request, clock = self.request, self.request.source.clock
        began = clock.monotonic()
        start, counts, output = await self._read()
        report = make_report(request.source, counts, target=request.target.shown, resumed=start is not None)
        reporter = Reporter(request.options.on_progress, clock=clock, before=counts, bounded=False)
        file = await output.finish(partial(reporter.report, counts, stage="writing"))
        earlier = 0.0 if start is None else start.counts.seconds
        report = evolve(report, seconds=earlier + clock.monotonic() - began, nulls=dict(output.nulls))
        await run_in_thread(partial(self._publish, file, report))
        return report

    async def _read(self) -> tuple[Checkpoint | None, Counts, Output]:
        """Read the list into the journal and the output.

        Returns:
            the checkpoint of an earlier run, if this one continues it; the counts; the output, which is not finished.
        """
        request = self.request
        journal = Journal(self.workspace, encode=request.encode)
        output: Output | None = None
        try:
            start = None
            if request.options.resume:
                start = await run_in_thread(partial(self._load_checkpoint, journal))
            output = Output(self.workspace, request.target, request.layout, live=start is None)
            if start is not None and start.complete:
                return start, start.counts, output
            begun = start or Checkpoint(fingerprints=self.fingerprints)
            return start, await self._read_into(journal, output, begun), output
        except BaseException:
            if output is not None:
                await run_in_thread_regardless(output.close)
            raise
        finally:
            journal.close()

    def _load_checkpoint(self, journal: Journal) -> Checkpoint | None:
        checkpoint = read_checkpoint(self.workspace.checkpoint)
        if checkpoint is not None:
            checkpoint.require(self.fingerprints, where=self.workspace.directory)
            journal.restore(checkpoint)
        return checkpoint

    async def _read_into(self, journal: Journal, output: Output, start: Checkpoint) -> Counts:
        workspace = self.workspace

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

        return await read_list(self.request, start, commit=commit, restart=restart, open_seen=open_seen)

    def _publish(self, file: Path, report: ExportReport) -> None:
        """Give the finished file the target's name, and clear the workspace."""
        workspace, target, options = self.workspace, self.request.target, self.request.options
        # Always remembered: if the process is killed after the rename, a new run must not continue from the leftovers.
        workspace.remember(file, self.fingerprints, report)
        if target.url is not None:
            target.upload(file, overwrite=options.overwrite)
        else:
            workspace.publish(file, overwrite=options.overwrite, mode=options.mode)
        workspace.clear()
        if not options.resume:
            workspace.forget()

"""One export, from the call to its report: to a file, or to a pipe or another target that is not a regular file.

To a file, the list is read into the folder next to it, and the file appears when it is whole; a killed export continues
from its checkpoint with `resume=True`. What is written to a pipe cannot be taken back: the records are written as they
arrive, and nothing is resumed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any, TypeVar

from attrs import evolve

from carecloud_async._base.runtime.threads import (
    run_in_thread,
    run_in_thread_regardless,
    run_in_thread_until_stopped,
)
from carecloud_async._lists.export.errors import BadExportError
from carecloud_async._lists.export.nightly import LastRun, NightlyState
from carecloud_async._lists.export.reading.scan import Scan
from carecloud_async._lists.export.reading.times import TimelessRecords
from carecloud_async._lists.export.report import ExportReport, Reporter, Written
from carecloud_async._lists.export.request import ExportRequest
from carecloud_async._lists.export.storage.checkpoint import Checkpoint
from carecloud_async._lists.export.storage.direct import DirectFile
from carecloud_async._lists.export.storage.export_file import Ended, ExportFile
from carecloud_async._lists.export.storage.target import read_target
from carecloud_async._lists.paging.list_source import ListSource

__all__ = ["run", "write_export"]

T = TypeVar("T")


async def run(source: ListSource[Any], target: str | os.PathLike[str], **options: Any) -> ExportReport:
    """Export a list; see `Listing.export`.

    Args:
        source: the list.
        target: the destination.
        options: see `Listing.export`.

    Raises:
        ExportError: the export cannot start or continue.
        CareCloudError: the server cannot be read.
    """
    return await (await write_export(source, target, **options)).confirmed()


async def write_export(
    source: ListSource[Any],
    target: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002  (as users call it)
    state: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Written[ExportReport]:
    """Export a list, for a caller that confirms it later; see `run`.

    Until then the state file keeps the watermark of the run before. If it is never confirmed, the same call finds the
    file and ends with its report; with `overwrite` it exports again.
    """
    destination = await run_in_thread(partial(read_target, target, format=format))
    request = ExportRequest(source=source, target=destination, **options)
    had_records = request.overwrite and await run_in_thread(destination.has_lines)
    request = evolve(request, expects_records=had_records)
    if state is None:
        return Written((await _export(request)).report)
    if request.changed_since is not None:
        raise BadExportError("give either state or changed_since: the state file holds the time to begin from")
    return await _export_since(request, NightlyState(state, source))


async def _export_since(request: ExportRequest, state: NightlyState) -> Written[ExportReport]:
    """Export what changed since the run that wrote the state file."""
    try:
        await run_in_thread(partial(state.open, request.target))
        last = state.last
        request = evolve(
            request,
            changed_since=last.changed_since,
            timeless=TimelessRecords(last.timeless),
            expects_records=last.has_records or request.expects_records,
        )
        done = await run_in_thread(partial(_find_done, request, last))
        ended = done or await _export(request)
    except BaseException:
        await run_in_thread_regardless(state.close)
        raise

    def confirm() -> None:
        if done is not None:
            return
        following = last.following(ended)
        if following is not None:
            state.store(following)
        if not (request.resume or request.target.direct):
            ExportFile(request).discard()

    return Written(ended.report, confirm=confirm, close=state.close, is_remote=state.is_remote)


def _find_done(request: ExportRequest, last: LastRun) -> Ended | None:
    """Return the end of the last run if this call repeats it: it was killed after the watermark had moved."""
    if not request.resume or request.overwrite or last.changed_since is None or not request.target.exists():
        return None
    return ExportFile(evolve(request, changed_since=last.began_from)).find_end()


async def _export(request: ExportRequest) -> Ended:
    """Export; return the end, perhaps that of an earlier run."""
    clock = request.source.clock
    file = DirectFile(request) if request.target.direct else ExportFile(request)
    try:
        earlier = await _in_thread(request, file, file.open)
        if earlier is not None:
            return earlier
        began = clock.monotonic()
        start = await _in_thread(request, file, file.restore)
        report = await _read(request, file, start or Checkpoint(report=ExportReport(target="")))
        report = evolve(report, target=request.target.shown, resumed=start is not None)
        reporter = Reporter(request.on_progress, clock=clock, before=report, bounded=False)
        with closing(file.finish()) as steps:
            while await _in_thread(request, file, lambda: next(steps, _DONE)) is not _DONE:
                await reporter.report(report, stage="writing")
        earlier_seconds = 0.0 if start is None else start.report.seconds
        seconds = earlier_seconds + clock.monotonic() - began
        return await _in_thread(
            request, file, partial(file.publish, evolve(report, seconds=seconds, nulls=dict(file.nulls)))
        )
    finally:
        await run_in_thread_regardless(file.close)


_DONE = object()


async def _in_thread(request: ExportRequest, file: ExportFile | DirectFile, work: Callable[[], T]) -> T:
    with request.target.disk_errors():
        if file.stop is None:
            result = await run_in_thread(work)
        else:
            result = await run_in_thread_until_stopped(work, stop=file.stop)
    return result


async def _read(request: ExportRequest, file: ExportFile | DirectFile, start: Checkpoint) -> ExportReport:
    """Read the list from a checkpoint on into the file."""
    if start.complete:
        return start.report
    try:
        return await Scan(
            request.source,
            file,
            start,
            since=request.since,
            concurrency=request.concurrency,
            on_progress=request.on_progress,
            timeless=request.timeless,
            expects_records=not request.allow_shrink and (request.expects_records or start.report.records > 0),
        ).run()
    except BaseException:
        if file.stop is None:
            await file.leave()  # keeps what was accepted for a resume
        raise

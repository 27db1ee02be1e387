"""One export, from its options to its report, and the state file from which the next one knows when this one began."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from attrs import evolve, frozen

from carecloud_async._base.runs import RunFile, RunKind
from carecloud_async._base.runtime.threads import run_in_thread, run_in_thread_regardless
from carecloud_async._lists.export.errors import BadExportError, disk_error
from carecloud_async._lists.export.reading.since import require_changes
from carecloud_async._lists.export.reading.times import TimelessRecords
from carecloud_async._lists.export.report import ExportReport
from carecloud_async._lists.export.request import ExportOptions, ExportRequest, check_request
from carecloud_async._lists.export.source import ExportSource
from carecloud_async._lists.export.storage.remote_state import RemoteState, local_state, remote_state
from carecloud_async._lists.export.storage.target import Target, read_target
from carecloud_async._lists.export.storage.workspace import Workspace
from carecloud_async._lists.export.to_target import export_to_file, export_to_stream, find_end
from carecloud_async._lists.export.written import Written
from carecloud_async.errors import ExportError
from carecloud_async.fixes import DELETE, RESUME, ROOM

__all__ = ["LastRun", "open_state", "read_last", "run", "write_export", "write_last"]

_KIND: Final = RunKind(
    name="nightly export",
    file="a state file of an export",
    each="list",
    own="a state file",
    version=1,
    tables=(),
    error=ExportError,
    begin_again=DELETE,
    full=ROOM,
)
_LAST = "last"


async def run(source: ExportSource, target: str | os.PathLike[str], options: ExportOptions) -> ExportReport:
    """Export a list; see `Listing.export`.

    Args:
        source: the list.
        target: the destination.
        options: see `Listing.export`.

    Raises:
        ExportError: the export cannot start or continue.
        CareCloudError: the server cannot be read.
    """
    return await (await write_export(source, target, options)).confirmed()


async def write_export(
    source: ExportSource, target: str | os.PathLike[str], options: ExportOptions
) -> Written[ExportReport]:
    """Export a list, for a caller that confirms it later; see `run`.

    Until then the state file keeps the watermark of the run before. If it is never confirmed, the same call finds the
    file and ends with its report; with `overwrite` it exports again.
    """
    if source.offset:
        raise BadExportError("an export holds the whole list: leave offset out")
    destination = await run_in_thread(partial(read_target, target, format=options.format))
    if options.state is None:
        had_records = options.overwrite and await run_in_thread(destination.has_lines)
        request = check_request(source, destination, options, expects_records=had_records)
        report, _ = await _export(request)
        return Written(report)
    remote = remote_state(options.state)
    if remote is None:
        return await _export_since_state(source, destination, options, local_state(options.state))
    try:
        await run_in_thread(remote.fetch)
        return await _export_since_state(source, destination, options, remote.path, remote=remote)
    except BaseException:
        await run_in_thread_regardless(remote.close)
        raise


async def _export_since_state(
    source: ExportSource, target: Target, options: ExportOptions, state: Path, *, remote: RemoteState | None = None
) -> Written[ExportReport]:
    """Export what changed since the run that wrote the state file."""
    require_changes(source)
    fingerprints = source.fingerprints()
    if await run_in_thread(lambda: target.is_file(state)):
        raise BadExportError(f"the target and state are the same file, {state}: give each a file of its own")
    opened: list[RunFile] = []  # where a cancelled wait finds it
    try:
        shown = None if remote is None else remote.shown
        await run_in_thread(lambda: opened.append(open_state(state, fingerprints, shown=shown)))
        run_file = opened[0]
        last = read_last(run_file)
        since = evolve(options, state=None, changed_since=last.changed_since)
        had_records = last.has_records or (options.overwrite and await run_in_thread(target.has_lines))
        timeless = TimelessRecords(last.timeless)
        request = check_request(source, target, since, timeless=timeless, expects_records=had_records)
        done, following = await run_in_thread(partial(_find_done, request, last)), None
        if done is not None:
            report = done
        else:
            report, found_timeless = await _export(request)
            following = _following(report, last, found_timeless)
    except BaseException:
        for state_file in opened:
            await run_in_thread_regardless(state_file.close)
        raise

    def note() -> None:
        if following is not None:
            write_last(run_file, following)
            if remote is not None:
                remote.store(run_file.db)
        if done is None and not (options.resume or target.direct):
            Workspace(target).discard()

    def close() -> None:
        try:
            run_file.close()
        finally:
            if remote is not None:
                remote.close()

    return Written(report, note=note, close=close, is_remote=remote is not None)


def _following(report: ExportReport, last: LastRun, timeless: Sequence[str]) -> LastRun | None:
    """Return what the next run must know; `None` if the watermark must not move."""
    watermark = report.next_changed_since
    if not report.exact or watermark is None:
        return None
    has_records = bool(report.total if report.total is not None else report.records or last.has_records)
    return LastRun(changed_since=watermark, timeless=timeless, has_records=has_records, began_from=last.changed_since)


def _find_done(request: ExportRequest, last: LastRun) -> ExportReport | None:
    """Return the report of the last run if this call repeats it: it was killed after the mark had moved."""
    options = request.options
    if not options.resume or options.overwrite or last.changed_since is None or not request.target.exists():
        return None
    before = evolve(options, changed_since=last.began_from)
    ended = find_end(check_request(request.source, request.target, before))
    return None if ended is None else ended.report


async def _export(request: ExportRequest) -> tuple[ExportReport, Sequence[str]]:
    """Export; return the report, and the records without a readable `last_change`, for the next run."""
    target = request.target
    try:
        if not target.direct:
            ended = await export_to_file(request)
            return ended.report, ended.timeless
        return await export_to_stream(request), request.found_timeless
    except OSError as error:
        if error.errno is None:  # not the system's: a user's own, or a timeout of the SDK
            raise
        if request.callback is not None and error is request.callback.error:
            raise
        raise disk_error(target.shown, error, full=ROOM if target.direct else RESUME) from error


@frozen(kw_only=True)
class LastRun:
    """The last complete export.

    Attributes:
        changed_since: the time to begin from; `None` before the first one.
        timeless: the records without a readable `last_change`; see `TimelessRecords`.
        has_records: whether the list had records.
        began_from: the time from which it began; `None` if it had everything.
    """

    changed_since: datetime | None = None
    timeless: Sequence[str] = ()
    has_records: bool = False
    began_from: datetime | None = None


def open_state(path: Path, fingerprints: Mapping[str, str], *, shown: str | None = None) -> RunFile:
    """Open the state of a nightly job, or begin one; no other export uses it until it is closed.

    Args:
        path: the state file.
        fingerprints: digests of the list that is exported.
        shown: what messages call it; its path if left out.

    Raises:
        ExportError: the file is in use, cannot be read, is damaged, or belongs to another list, or its folder cannot be
            written.
    """
    folder = path.parent
    if not folder.is_dir():
        raise BadExportError(f"{path}: there is no folder {folder}: make it first, or choose another place")
    if not os.access(folder, os.W_OK):
        raise BadExportError(f"{path}: you may not write in {folder}: choose another place")
    state = RunFile.open(path, kind=_KIND, binding=fingerprints, resume=True, shown=shown)
    try:
        if not state.continues:
            state.begin()
    except BaseException:
        state.close()
        raise
    return state


def read_last(state: RunFile) -> LastRun:
    """Return what is known of the last complete export."""
    return state.get(_LAST, LastRun) or LastRun()


def write_last(state: RunFile, last: LastRun) -> None:
    """Store what the next export must know.

    Raises:
        ExportError: the disk refuses; what was stored before still holds.
    """
    with state.transaction():
        state.set(_LAST, last)

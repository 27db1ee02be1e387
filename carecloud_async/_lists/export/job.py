"""One export, from its options to its report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from attrs import evolve, field, frozen

from carecloud_async._base.runs import RunFile
from carecloud_async._base.runtime.threads import run_in_thread, run_in_thread_regardless
from carecloud_async._lists.export.errors import BadExportError, disk_error
from carecloud_async._lists.export.file_export import export_to_file, find_end
from carecloud_async._lists.export.options import ExportOptions
from carecloud_async._lists.export.reading.since import require_changes
from carecloud_async._lists.export.reading.times import TimelessRecords
from carecloud_async._lists.export.report import ExportReport
from carecloud_async._lists.export.request import ExportRequest, check_request
from carecloud_async._lists.export.source import ExportSource
from carecloud_async._lists.export.storage.remote_state import RemoteState, local_state, remote_state
from carecloud_async._lists.export.storage.state import LastRun, open_state, read_last, write_last
from carecloud_async._lists.export.storage.target import Target, read_target
from carecloud_async._lists.export.storage.workspace import Workspace
from carecloud_async._lists.export.stream_export import export_to_stream
from carecloud_async.fixes import RESUME, ROOM

__all__ = ["WrittenExport", "run", "write_export"]


@frozen(kw_only=True)
class _Ended:
    """What an export leaves.

    Attributes:
        report: the report.
        timeless: see `LastRun`.
        is_confirmed: whether the mark has moved already.
    """

    report: ExportReport
    timeless: Sequence[str] = ()
    is_confirmed: bool = False


@frozen(repr=False)
class WrittenExport:
    """A finished export. Until it is confirmed, its state is that of the run before.

    The same call finds the file and finishes the export; one that overwrites brings all of it again.

    Attributes:
        report: the report.
    """

    report: ExportReport
    _state: RunFile | None = field(default=None, alias="state")
    _following: LastRun | None = field(default=None, alias="following")
    _remote: RemoteState | None = field(default=None, alias="remote")
    _kept: Workspace | None = field(default=None, alias="kept")

    @property
    def is_remote(self) -> bool:
        """Whether the state lives in a storage service."""
        return self._remote is not None

    def confirm(self) -> None:
        """Move the mark of the state: the report was received. Blocks: a local one for a few milliseconds.

        Raises:
            ExportError: the disk refuses.
        """
        if self._state is not None and self._following is not None:
            write_last(self._state, self._following)
            if self._remote is not None:
                self._remote.store(self._state.db)
        if self._kept is not None:
            self._kept.discard()

    def close(self) -> None:
        """Close the state."""
        try:
            if self._state is not None:
                self._state.close()
        finally:
            if self._remote is not None:
                self._remote.close()


async def run(
    source: ExportSource,
    target: str | os.PathLike[str],
    options: ExportOptions,
    *,
    timeless: TimelessRecords | None = None,
    expects_records: bool = False,
) -> ExportReport:
    """Export a list; see `Listing.export`.

    Args:
        source: the list.
        target: the destination.
        options: see `Listing.export`.
        timeless: the records without a readable `last_change`, where the caller remembers them instead of a state file.
        expects_records: whether the list is known to have had records; an empty one is doubted then.

    Raises:
        ExportError: the export cannot start or continue.
        CareCloudError: the server cannot be read.
    """
    written = await write_export(source, target, options, timeless=timeless, expects_records=expects_records)
    try:
        if written.is_remote:
            await run_in_thread_regardless(written.confirm)
        else:
            # Without awaiting: after a cancellation the caller would repeat an export whose mark has moved.
            written.confirm()
    finally:
        written.close()
    return written.report


async def write_export(
    source: ExportSource,
    target: str | os.PathLike[str],
    options: ExportOptions,
    *,
    timeless: TimelessRecords | None = None,
    expects_records: bool = False,
) -> WrittenExport:
    """Export a list, for a caller that confirms it later; see `run`."""
    if source.offset:
        raise BadExportError("an export holds the whole list: leave offset out")
    destination = await run_in_thread(partial(read_target, target, format=options.format))
    if options.state is None:
        request = await _check(source, destination, options, timeless=timeless, expects_records=expects_records)
        return WrittenExport((await _export(request)).report)
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
) -> WrittenExport:
    """Export what changed since the run that wrote the state file."""
    require_changes(source)
    fingerprints = source.fingerprints()
    if await run_in_thread(lambda: target.is_file(state)):
        raise BadExportError(f"the target and state are the same file, {state}: give each a file of its own")
    opened: list[RunFile] = []  # where a cancelled wait finds it
    try:
        shown = None if remote is None else remote.shown
        await run_in_thread(lambda: opened.append(open_state(state, fingerprints, shown=shown)))
        last = read_last(opened[0])
        timeless = TimelessRecords(last.timeless)
        since = evolve(options, state=None, changed_since=last.changed_since)
        request = await _check(
            source, target, since, timeless=timeless, expects_records=last.has_records, moves_mark=True
        )
        ended = await run_in_thread(partial(_reported, request, last)) or await _export(request)
    except BaseException:
        for one in opened:
            await run_in_thread_regardless(one.close)
        raise
    report, following = ended.report, None
    mark = report.next_changed_since
    if report.exact and mark is not None and not ended.is_confirmed:
        has_records = bool(report.total if report.total is not None else report.records or last.has_records)
        following = LastRun(
            changed_since=mark, timeless=ended.timeless, has_records=has_records, began_from=last.changed_since
        )
    kept = None if options.resume or target.direct else Workspace(target)
    return WrittenExport(report, opened[0], following, remote, kept)


def _reported(request: ExportRequest, last: LastRun) -> _Ended | None:
    """Return the end of the last run if it is the same with `resume=True`: it was killed after the mark moved."""
    options = request.options
    if not options.resume or options.overwrite or last.changed_since is None or not request.target.exists():
        return None
    before = evolve(options, changed_since=last.began_from)
    found = find_end(check_request(request.source, request.target, before))
    return None if found is None else _Ended(report=found.report, is_confirmed=True)


async def _check(
    source: ExportSource,
    target: Target,
    options: ExportOptions,
    *,
    timeless: TimelessRecords | None,
    expects_records: bool,
    moves_mark: bool = False,
) -> ExportRequest:
    if options.overwrite and not expects_records:
        expects_records = await run_in_thread(target.has_lines)
    return check_request(
        source, target, options, timeless=timeless, expects_records=expects_records, moves_mark=moves_mark
    )


async def _export(request: ExportRequest) -> _Ended:
    target = request.target
    try:
        if not target.direct:
            ended = await export_to_file(request)
            return _Ended(report=ended.report, timeless=ended.timeless)
        report = await export_to_stream(request)
        return _Ended(report=report, timeless=() if request.timeless is None else request.timeless.found)
    except OSError as error:
        if error.errno is None:  # not the system's: a user's own, or a timeout of the SDK
            raise
        if request.callback is not None and error is request.callback.error:
            raise
        raise disk_error(target.shown, error, full=ROOM if target.direct else RESUME) from error

"""One export, from its options to its report."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from attrs import evolve

from carecloud_async._base.runs import RunFile
from carecloud_async._base.runtime.threads import run_in_thread, run_in_thread_regardless
from carecloud_async._lists.export.errors import BadExportError, disk_error
from carecloud_async._lists.export.file_export import export_to_file
from carecloud_async._lists.export.options import ExportOptions
from carecloud_async._lists.export.reading.since import require_changes
from carecloud_async._lists.export.reading.timeless import TimelessRecords
from carecloud_async._lists.export.report import ExportReport
from carecloud_async._lists.export.request import check_request
from carecloud_async._lists.export.source import ExportSource
from carecloud_async._lists.export.storage.remote_state import RemoteState, local_state, remote_state
from carecloud_async._lists.export.storage.state import LastRun, open_state, read_last, write_last
from carecloud_async._lists.export.storage.target import Target, read_target
from carecloud_async._lists.export.stream_export import export_to_stream
from carecloud_async.fixes import RESUME, ROOM

__all__ = ["run"]


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
    if source.offset:
        raise BadExportError("an export holds the whole list: leave offset out")
    destination = await run_in_thread(partial(read_target, target, format=options.format))
    if options.state is None:
        return await _export(source, destination, options, timeless=timeless, expects_records=expects_records)
    remote = remote_state(options.state)
    if remote is None:
        return await _export_since_state(source, destination, options, local_state(options.state))
    try:
        await run_in_thread(remote.fetch)
        return await _export_since_state(source, destination, options, remote.path, remote=remote)
    finally:
        await run_in_thread_regardless(remote.close)


async def _export_since_state(
    source: ExportSource, target: Target, options: ExportOptions, state: Path, *, remote: RemoteState | None = None
) -> ExportReport:
    """Export what changed since the run that wrote the state file, and write the file for the next run."""
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
        report = await _export(source, target, since, timeless=timeless, expects_records=last.has_records)
        mark = report.next_changed_since
        if report.exact and mark is not None and not report.finished_before:
            has_records = bool(report.total if report.total is not None else report.records or last.has_records)
            following = LastRun(changed_since=mark, timeless=timeless.found, has_records=has_records)
            await run_in_thread(lambda: write_last(opened[0], following))
            if remote is not None:
                await run_in_thread(lambda: remote.store(opened[0].db))
    finally:
        for one in opened:
            await run_in_thread_regardless(one.close)
    return report


async def _export(
    source: ExportSource,
    target: Target,
    options: ExportOptions,
    *,
    timeless: TimelessRecords | None = None,
    expects_records: bool = False,
) -> ExportReport:
    if options.overwrite and not expects_records:
        expects_records = await run_in_thread(target.has_lines)
    request = check_request(source, target, options, timeless=timeless, expects_records=expects_records)
    try:
        return await (export_to_stream(request) if target.direct else export_to_file(request))
    except OSError as error:
        if error.errno is None:  # not the system's: a user's own, or a timeout of the SDK
            raise
        if request.callback is not None and error is request.callback.error:
            raise
        raise disk_error(target.shown, error, full=ROOM if target.direct else RESUME) from error

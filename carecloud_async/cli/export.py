"""`carecloud export`: a whole list into a file."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime

import anyio

from carecloud_async._lists.export.formats.schema import UNKNOWN_FIELDS, read_fields
from carecloud_async._lists.export.job import write_export
from carecloud_async._lists.export.report import ExportReport, Written
from carecloud_async.cli.connect import Connection, require_token
from carecloud_async.cli.console import ReaderGoneError, exits_at_once, say
from carecloud_async.cli.failures import FAILED, StoppedError, UsageError
from carecloud_async.cli.list_to_file import FileOptions, ListToFile, confirming
from carecloud_async.cli.lists import RESOURCE, split_fields
from carecloud_async.cli.parameters import ALLOW_UNKNOWN, FIELDS, RESUME, expands_options, flag, option
from carecloud_async.cli.reports import report_text, show_progress, summary, write_report
from carecloud_async.errors import CareCloudError


@expands_options
def export(
    connection: Connection,
    file: FileOptions,
    source: ListToFile,
    resource: str = RESOURCE,
    fields: str | None = FIELDS,
    allow_unknown: bool = ALLOW_UNKNOWN,
    changed_since: str | None = option(
        "TIME", "Only records that changed since TIME, such as 2026-11-01T00:00, in the project's time zone."
    ),
    state: str | None = option(
        "FILE",
        "Remember in FILE, or at a URL such as s3://bucket/name, when a run began: the first run writes "
        "all records, each later one those that changed since.",
    ),
    allow_shrink: bool = flag("Accept an empty list that had records in the last run.", "--allow-shrink"),
    resume: bool = RESUME,
) -> int:
    """Write all records of a list to a file.

    Each record that exists from start to end is in the file once, even if the list changes meanwhile. The file appears
    when it is complete. A run that was stopped, also by Ctrl-C or SIGTERM, continues with --resume. -o - is stdout.

    For example:

    - carecloud export customers -o customers.jsonl --sandbox 1000

    - carecloud export customers -o smiths.csv --filter last_name=Smith --fields customer_id,last_change

    - carecloud export customers -o changed.parquet --overwrite --state customers.state

    - carecloud export cards -o - --sandbox 1000 | head -3
    """
    operation, target, arguments = source.prepare(resource, file, state)
    if state is not None and changed_since is not None:
        raise UsageError("give either --state or --changed-since: the state file holds the time to begin from")
    since = None if changed_since is None else _moment(changed_since)
    wanted = None if fields is None else split_fields(fields)

    written: list[Written[ExportReport]] = []

    async def work() -> None:
        async with source.open(connection, operation, allow_unknown=allow_unknown) as (client, listing):
            also = (UNKNOWN_FIELDS,) if target.suffix == ".parquet" else ()
            read_fields(wanted, listing.export_source().into, also=also, allow_unknown=allow_unknown)
            await require_token(client)  # credentials are checked before the export creates a file
            if not resume:
                target.warn_of_discarding(overwrite=source.overwrite)
            with show_progress(resource, quiet=target.is_direct) as on_progress:
                exported = await write_export(
                    listing.export_source(),
                    target.name,
                    concurrency=source.width,
                    resume=resume,
                    overwrite=source.overwrite,
                    changed_since=since,
                    state=state,
                    allow_shrink=allow_shrink,
                    fields=wanted,
                    allow_unknown=allow_unknown,
                    on_progress=on_progress,
                    **arguments,
                )
                written.append(exported)

    def interrupted() -> str:
        return f"interrupted: {state} is left as it was" if written and state else target.interrupted()

    with confirming(written, interrupted):
        try:
            with exits_at_once("interrupted: the output is not complete") if target.is_direct else nullcontext():
                anyio.run(work)
        except CareCloudError as error:
            if target.is_stdout and isinstance(error.__cause__, BrokenPipeError):
                raise ReaderGoneError from None
            if not isinstance(error, UsageError) and target.has_partial():
                raise StoppedError from error
            raise
        done = written[0].report
        say(summary(resource, done, state=state))
        write_report(source.report, report_text(resource, done))
    return 0 if done.exact else FAILED


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--changed-since {text!r} is no time: write it as 2026-11-01T00:00") from None

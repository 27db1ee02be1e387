"""`carecloud changes`: what was created, updated and deleted in a list since the last run, in a file."""

from __future__ import annotations

from datetime import timedelta

import anyio

from carecloud_async._lists.changes.file import ChangesFileOptions, publish_changes
from carecloud_async._lists.changes.run import ChangesRun
from carecloud_async._lists.changes.values import ChangesOptions
from carecloud_async._lists.export.report import Written
from carecloud_async.changes import ChangesReport
from carecloud_async.cli.connect import Connection, require_token
from carecloud_async.cli.console import say
from carecloud_async.cli.failures import UsageError, inexact, warn_of_values
from carecloud_async.cli.list_to_file import FileOptions, ListToFile, confirming
from carecloud_async.cli.lists import RESOURCE
from carecloud_async.cli.parameters import expands_options, flag, option
from carecloud_async.cli.reports import report_text, show_progress, write_report

#: The most days for `--compare-every`: a century.
_MOST_DAYS = 36_500


@expands_options
def changes(
    connection: Connection,
    file: FileOptions,
    source: ListToFile,
    resource: str = RESOURCE,
    state: str = option(
        "FILE",
        "Remember the list in FILE, or at a URL such as s3://bucket/name. The first run makes it, and "
        "writes every record as created.",
        default=...,
    ),
    keep_records: bool = flag(
        "Keep the records in the state file, so that an update names its changed fields.", "--keep-records"
    ),
    compare_every: float | None = option(
        "DAYS", "Compare the whole list, which finds deletions, every DAYS days; otherwise read what changed."
    ),
    allow_shrink: bool = flag("Accept that more than half of the records are gone.", "--allow-shrink"),
) -> None:
    """Write what was created, updated and deleted since the last run.

    Each line is a JSON object with change, id and record; tables have a first column _change. The file appears when it
    is complete, and the state file is updated with it: after a run that was killed, no change is lost or written twice.

    For example:

    - carecloud changes cards -o changes.jsonl --overwrite --state cards.state

    - carecloud changes customers -o changes.csv --overwrite --state customers.state --compare-every 7
    """
    operation, target, arguments = source.prepare(resource, file, state)
    if target.is_stdout:
        raise UsageError("-o must be a file: the state is updated when it is complete")
    if compare_every is not None and not 0 < compare_every <= _MOST_DAYS:
        raise UsageError(f"--compare-every must be above 0 and at most {_MOST_DAYS:,} days, not {compare_every:g}")
    warn_of_values()

    written: list[Written[ChangesReport]] = []

    async def work() -> None:
        async with source.open(connection, operation) as (client, listing):
            await require_token(client)
            with show_progress(resource) as on_progress:
                options = ChangesOptions(
                    keep="records" if keep_records else "digests",
                    compare_every=None if compare_every is None else timedelta(days=compare_every),
                    allow_shrink=allow_shrink,
                    concurrency=source.width,
                    on_progress=on_progress,
                )
                run = ChangesRun(listing.export_source(), state, options)
                file_options = ChangesFileOptions(overwrite=source.overwrite, **arguments)
                written.append(await publish_changes(run, target.name, file_options))

    with confirming(written, lambda: f"interrupted: no change is lost; the same command goes on to {source.output}"):
        anyio.run(work)
        done = written[0].report
        say(_summary(resource, done, source.output))
        write_report(source.report, report_text(resource, done, target=source.output))


def _summary(resource: str, report: ChangesReport, output: str) -> str:
    counts = ", ".join(f"{count:,} {kind}" for kind, count in report.counts.items())
    words = [f"{resource}: {counts}, {report.unchanged:,} unchanged in {output} ({report.seconds:.1f} s)"]
    if report.finished_before:
        words.append("an earlier run had been stopped before it could report this file")
    if not report.exact:
        words.append(f"{inexact(report.reasons, may_shrink=True)}; deletions wait for the next run")
    elif not report.compared:
        words.append("only what changed was read: deletions wait for the next comparison")
    return "; ".join(words)

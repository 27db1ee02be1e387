"""`carecloud changes`: what was created, updated and deleted in a list since the last run, into a file."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Annotated

import anyio
import attrs
import typer

from carecloud_async.changes import ChangesReport
from carecloud_async.changes.file import ChangesFileOptions, write_changes
from carecloud_async.changes.values import ChangesOptions
from carecloud_async.cli.connect import Connection
from carecloud_async.cli.console import say
from carecloud_async.cli.failures import UsageError
from carecloud_async.cli.file_options import FileOptions
from carecloud_async.cli.list_to_file import ListToFile
from carecloud_async.cli.options import expands_options
from carecloud_async.cli.output import Output
from carecloud_async.cli.progress import show_progress
from carecloud_async.cli.records import Resource
from carecloud_async.cli.resources import find_list
from carecloud_async.cli.summary import write_report
from carecloud_async.cli.warnings import tell_of_values

__all__ = ["changes"]


@expands_options
def changes(
    connection: Connection,
    file: FileOptions,
    source: ListToFile,
    resource: Resource,
    state: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="Keeps what the list held; the first run makes it, and every record is created.",
            show_default=False,
        ),
    ],
    keep_records: Annotated[
        bool, typer.Option("--keep-records", help="Keep the records in the state too: changed fields are named.")
    ] = False,
    compare_every: Annotated[
        float | None,
        typer.Option(
            metavar="DAYS",
            help="Compare the whole list, and find deletions, so often; in between read what changed.",
            show_default=False,
        ),
    ] = None,
    allow_shrink: Annotated[
        bool, typer.Option("--allow-shrink", help="Take it that more than half of the records are gone.")
    ] = False,
) -> int:
    """Write what was created, updated and deleted since the last run.

    Lines are {"change": …, "id": …, "record": …}; tables have a first column _change. The file appears when it is
    whole, and the state moves with it: a run that was killed loses nothing and brings nothing twice.

    For example:

    - carecloud changes cards -o changes.jsonl --overwrite --state cards.state

    - carecloud changes customers -o changes.csv --overwrite --state customers.state --compare-every 7
    """
    operation, target = find_list(resource), Output(source.output, file.format)
    source.check(operation, target, state)
    arguments = file.arguments(target)
    if target.is_stdout:
        raise UsageError("-o needs a file: the state moves when it is whole")
    if compare_every is not None and not compare_every > 0:
        raise UsageError(f"--compare-every must be greater than 0 days, not {compare_every:g}")
    tell_of_values()

    async def work() -> ChangesReport:
        async with source.open(connection, operation) as (client, listing):
            await client.login()
            with show_progress(resource, quiet=False) as on_progress:
                return await write_changes(
                    listing.export_source(),
                    target.name,
                    state,
                    ChangesOptions(
                        keep="records" if keep_records else "digests",
                        compare_every=None if compare_every is None else timedelta(days=compare_every),
                        allow_shrink=allow_shrink,
                        concurrency=source.width,
                        on_progress=on_progress,
                    ),
                    ChangesFileOptions(overwrite=source.overwrite, **arguments),
                )

    done = anyio.run(work)
    say(_summary(resource, done, source.output))
    if source.report is not None:
        values = {"resource": resource, "target": source.output, **attrs.asdict(done)}
        write_report(source.report, json.dumps(values, ensure_ascii=False, indent=2) + "\n")
    return 0


def _summary(resource: str, report: ChangesReport, output: str) -> str:
    counts = ", ".join(f"{count:,} {kind}" for kind, count in report.counts.items())
    words = [f"{resource}: {counts}, {report.unchanged:,} unchanged in {output} ({report.seconds:.1f} s)"]
    if report.finished_before:
        words.append("an earlier run had been stopped before it could report this file")
    if not report.exact:
        words.append("the reading was not exact: deletions wait for the next run")
    elif not report.compared:
        words.append("only what changed was read: deletions wait for the next comparison")
    return "; ".join(words)

"""`carecloud duplicates`: records of a list that share a value, as a file."""

from __future__ import annotations

from typing import Annotated

import anyio
import typer

from carecloud_async.cli.connect import Connection
from carecloud_async.cli.console import say
from carecloud_async.cli.failures import FAILED, inexact
from carecloud_async.cli.parameters import Filters, Of, Rate, Report, Resource, expands_options
from carecloud_async.cli.progress import counted
from carecloud_async.cli.report_file import prepare_report, report_text, write_last_report
from carecloud_async.cli.resources import find_list, list_path_values, open_listing
from carecloud_async.workflows.duplicates import DuplicatesReport, find_duplicates

__all__ = ["duplicates"]


@expands_options
def duplicates(
    connection: Connection,
    resource: Resource,
    by: Annotated[
        str,
        typer.Option(
            metavar="FIELDS", help="Values that records share, separated by commas: email,phone,name+birthdate."
        ),
    ],
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE", help="The file of the groups: .csv or .jsonl.")
    ],
    filters: Filters = None,
    of: Of = None,
    most_shared: Annotated[
        int,
        typer.Option("--most-shared", metavar="N", help="A value that more records share joins nothing.", min=2),
    ] = 100,
    no_plan: Annotated[
        bool, typer.Option("--no-plan", help="Do not read what each customer has: fewer requests.")
    ] = False,
    rate: Rate = None,
    report: Report = None,
) -> int:
    """Find records of a list that share a value, and write them to a file; nothing is written to the project.

    For customers the file says what could be moved to one of each group. It is for a person to decide.

    For example:

    - carecloud duplicates customers --by email,phone,name+birthdate -o duplicates.csv
    """
    operation = find_list(resource)
    list_path_values(operation, of or [])
    fields = [one.strip() for one in by.split(",") if one.strip()]
    prepare_report(report, output=output)

    async def work() -> DuplicatesReport:
        async with connection.open(rate=rate) as client:
            listing = open_listing(client, operation, of=of or [], filters=filters or [])
            return await find_duplicates(
                client, listing=listing, by=fields, file=output, most_shared=most_shared, plan=not no_plan
            )

    done = anyio.run(work)
    say(describe(resource, done))
    write_last_report(report, report_text(resource, done))
    return 0 if done.exact else FAILED


def describe(resource: str, report: DuplicatesReport) -> str:
    """Return what was found as one line."""
    words = [
        f"{counted(report.records, 'record', 'records')} of {resource}: {counted(report.groups, 'group', 'groups')} of "
        f"{counted(report.duplicates, 'record', 'records')} in {report.file} "
        f"({report.seconds:.1f} s, {counted(report.requests, 'request', 'requests')})"
    ]
    if report.crowded:
        values = counted(report.crowded, "value", "values")
        words.append(f"{values} of too many records joined nothing (--most-shared)")
    if not report.exact:
        words.append(inexact(report.reasons))
    return "; ".join(words)

"""`carecloud segment`: the customers of a file into a segment, or out of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import anyio
import typer

from carecloud_async._calls.call.events import CallRecord
from carecloud_async.bulk.segment_sync import SegmentSyncReport
from carecloud_async.cli.connect import Connection
from carecloud_async.cli.console import INTERRUPTED, say
from carecloud_async.cli.failures import FAILED
from carecloud_async.cli.import_rows import split_pair
from carecloud_async.cli.parameters import ColumnFields, Encoding, Rate, Report, expands_options
from carecloud_async.cli.progress import counted
from carecloud_async.cli.report_file import prepare_report, report_text, write_last_report

__all__ = ["segment"]

#: The calls that write, and what the line says of them.
_WRITES = {"segments.add_customer": "added", "segments.remove_customer": "removed"}


@expands_options
def segment(
    connection: Connection,
    segment_id: Annotated[str, typer.Argument(metavar="SEGMENT", help="Id of the segment.")],
    file: Annotated[
        str, typer.Argument(metavar="FILE", help=".csv, .jsonl or .parquet; the first two also .gz, .zst.")
    ],
    mode: Annotated[
        Literal["add", "remove", "mirror"],
        typer.Option(metavar="NAME", help="add or remove the customers of FILE; mirror: leave exactly them."),
    ],
    match: Annotated[
        str, typer.Option(metavar="KEY", help="The column that identifies a customer, such as email.")
    ] = "customer_id",
    encoding: Encoding = None,
    column: ColumnFields = None,
    allow_shrink: Annotated[
        bool, typer.Option("--allow-shrink", help="Let a mirror remove more than half of the members.")
    ] = False,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Let a mirror of a file without rows remove all members.")
    ] = False,
    allow_unreadable: Annotated[
        bool,
        typer.Option("--allow-unreadable", help="Let a mirror remove members although rows of FILE have no key."),
    ] = False,
    results: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write each row, with what became of its customer, to FILE.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Find the difference, but write nothing.")] = False,
    rate: Rate = None,
    report: Report = None,
) -> int:
    """Bring the members of a segment in line with a file of customers.

    Example: carecloud segment 8fd73167342d06899c4c015320 members.csv --mode mirror --match email
    """
    columns = dict(split_pair("--column", one) for one in column or [])
    prepare_report(report, file=file, results=results)

    written = dict.fromkeys(_WRITES.values(), 0)

    def on_call(call: CallRecord) -> None:
        if call.error is None and call.operation in _WRITES:
            written[_WRITES[call.operation]] += 1

    async def work() -> SegmentSyncReport:
        async with connection.open(rate=rate, on_call=on_call) as client:
            return await client.segments.sync(
                segment_id,
                file,
                mode=mode,
                match=match,
                encoding=encoding,
                columns=columns,
                allow_shrink=allow_shrink,
                allow_empty=allow_empty,
                allow_unreadable=allow_unreadable,
                results=results,
                dry_run=dry_run,
            )

    try:
        done = anyio.run(work)
    except KeyboardInterrupt:
        say(_interrupted(written))
        return INTERRUPTED
    say(describe(done))
    write_last_report(report, report_text("segments", done))
    return 0 if done.complete else FAILED


def _interrupted(written: Mapping[str, int]) -> str:
    """Return how many customers were added and removed before an interruption, and how it goes on."""
    some = ", ".join(f"{count:,} {what}" for what, count in written.items() if count)
    if not some:
        return "interrupted before any call that writes was answered; the same command goes on"
    return f"interrupted: {some} so far, calls under way aside; the same command goes on"


def describe(report: SegmentSyncReport) -> str:
    """Return the outcome as one line."""
    named = ("added", "removed", "unchanged", "unknown", "refused")
    found = [f"{getattr(report, name):,} {name}" for name in named if getattr(report, name)]
    would = " (dry run: nothing was written)" if report.dry_run else ""
    members = counted(report.members, "member", "members")
    words = [f"{counted(report.rows, 'row', 'rows')}: {', '.join(found) or 'none'}{would}; {members} now"]
    if report.unknown or report.refused:
        words.append(f"see {report.results}" if report.results else "--results FILE names the rows")
    if report.reasons:
        words.append("refused for " + ", ".join(f"{why} ({count:,})" for why, count in report.reasons.items()))
    if not report.exact:
        words.append("the segment's list contradicts its own total: compare again")
    return "; ".join(words)

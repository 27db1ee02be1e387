"""`carecloud segment`: the customers of a file into a segment, or out of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from carecloud_async._calls.call.events import CallRecord
from carecloud_async.bulk.segment_sync import SegmentSyncReport
from carecloud_async.cli.connect import Connection
from carecloud_async.cli.lists import split_pair
from carecloud_async.cli.parameters import (
    COLUMN_FIELDS,
    ENCODING,
    RATE,
    REPORT,
    ROWS,
    argument,
    expands_options,
    flag,
    option,
)
from carecloud_async.cli.reports import counted, finish, prepare_report
from carecloud_async.client import CareCloud

#: The calls that write, and what the line says of them.
_WRITES = {"segments.add_customer": "added", "segments.remove_customer": "removed"}

#: Lines of rows that the line names for a reason.
_LINES = 5


@expands_options
def segment(
    connection: Connection,
    segment_id: str = argument("SEGMENT", "Id of the segment."),
    file: str = ROWS,
    mode: Literal["add", "remove", "mirror"] = option(
        "NAME", "add or remove the customers of FILE; mirror: leave exactly them.", default=...
    ),
    match: str = option("KEY", "The column that identifies a customer, such as email.", default="customer_id"),
    encoding: str | None = ENCODING,
    column: list[str] | None = COLUMN_FIELDS,
    allow_shrink: bool = flag("Let a mirror remove members although FILE may be wrong.", "--allow-shrink"),
    dry_run: bool = flag("Find the difference, but write nothing.", "--dry-run"),
    rate: float | None = RATE,
    report: str | None = REPORT,
) -> int:
    """Bring the members of a segment in line with a file of customers.

    Example: carecloud segment 8fd73167342d06899c4c015320 members.csv --mode mirror --match email
    """
    columns = dict(split_pair("--column", text, example="E-mail=email") for text in column or [])
    prepare_report(report, file=file)

    written = dict.fromkeys(_WRITES.values(), 0)

    def on_call(call: CallRecord) -> None:
        if call.error is None and call.operation in _WRITES:
            written[_WRITES[call.operation]] += 1

    async def work(client: CareCloud) -> SegmentSyncReport:
        return await client.segments.sync(
            segment_id,
            file,
            mode=mode,
            match=match,
            encoding=encoding,
            columns=columns,
            allow_shrink=allow_shrink,
            dry_run=dry_run,
        )

    done = connection.run(work, interrupted=lambda: _interrupted(written), rate=rate, on_call=on_call)
    return finish("segments", done, describe(done), file=report, ok=done.complete)


def _interrupted(written: Mapping[str, int]) -> str:
    """Return how many customers were added and removed before an interruption, and how it goes on."""
    some = ", ".join(f"{count:,} {what}" for what, count in written.items() if count)
    if not some:
        return "interrupted before any call that writes was answered; the same command goes on"
    return f"interrupted: {some} so far, calls under way aside; the same command goes on"


def describe(report: SegmentSyncReport) -> str:
    """Return the outcome as one line."""
    named = ("added", "removed", "unchanged", "unknown", "refused")
    counts = [f"{getattr(report, name):,} {name}" for name in named if getattr(report, name)]
    would = " (dry run: nothing was written)" if report.dry_run else ""
    members = counted(report.members, "member", "members")
    words = [f"{counted(report.rows, 'row', 'rows')}: {', '.join(counts) or 'none'}{would}; {members} now"]
    for reason, lines in report.reasons.items():
        more = ", …" if len(lines) > _LINES else ""
        where = f"line {', '.join(map(str, lines[:_LINES]))}{more}" if lines else "members without a row"
        words.append(f"{reason} ({where})")
    if not report.exact:
        words.append("the segment's list contradicts its own total: compare again")
    return "; ".join(words)

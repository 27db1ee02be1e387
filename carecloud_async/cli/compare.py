"""`carecloud compare`: a list held against a file."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Annotated

import anyio
import typer

from carecloud_async._lists.listings.compare_report import CompareReport
from carecloud_async.cli.connect import Connection
from carecloud_async.cli.console import say
from carecloud_async.cli.failures import FAILED, inexact
from carecloud_async.cli.import_rows import columns_of
from carecloud_async.cli.parameters import (
    ColumnFields,
    ColumnsFile,
    DateFormat,
    Decimal,
    Encoding,
    Filters,
    Of,
    PhonePrefix,
    Rate,
    Report,
    Resource,
    expands_options,
)
from carecloud_async.cli.progress import counted
from carecloud_async.cli.report_file import prepare_report, report_text, write_last_report
from carecloud_async.cli.resources import find_list, list_path_values, open_listing

__all__ = ["compare"]

#: What the line says of each verdict.
_WORDS = {
    "same": "the same",
    "different": "different",
    "missing_there": "missing there",
    "missing_here": "missing here",
    "twice": "twice",
    "unreadable": "unreadable",
}
#: The columns that were not compared and are named.
_SHOWN = 10


@expands_options
def compare(
    connection: Connection,
    resource: Resource,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help=".csv, .jsonl or .parquet; the first two also .gz, .zst.")
    ],
    match: Annotated[
        str, typer.Option(metavar="KEY", help="The column that identifies a record, such as external_purchase_id.")
    ],
    filters: Filters = None,
    of: Of = None,
    encoding: Encoding = None,
    decimal: Decimal = None,
    date_format: DateFormat = None,
    phone_prefix: PhonePrefix = None,
    columns: ColumnsFile = None,
    column: ColumnFields = None,
    ignore_column: Annotated[
        list[str] | None,
        typer.Option("--ignore-column", metavar="COLUMN", help="A column that is not compared; may be repeated."),
    ] = None,
    only_file: Annotated[
        bool, typer.Option("--only-file", help="Pass over records that FILE lacks: it holds a part of the list.")
    ] = False,
    results: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write each row, and each record that no row has, to FILE."),
    ] = None,
    rate: Rate = None,
    report: Report = None,
) -> int:
    """Compare a list with a file, and write nothing to the project.

    Each row and each record is the same, different, missing there (no record has the row's key), missing here (no row
    has the record's key) or twice. Exit code 0 only if everything is the same; with --only-file the list may have more.

    For example:

    - carecloud compare purchases bills.csv --match external_purchase_id --results missing.csv

    - carecloud compare customers crm.csv --match email --filter customer_source_id=86e05affc7a7abefcd513ab400
    """
    operation = find_list(resource)
    list_path_values(operation, of or [])
    fields = columns_of(columns, column)
    prepare_report(report, file=file, results=results, columns=columns)

    async def work() -> CompareReport:
        async with connection.open(rate=rate) as client:
            listing = open_listing(client, operation, of=of or [], filters=filters or [])
            return await listing.compare(
                file,
                match=match,
                encoding=encoding,
                decimal=decimal,
                date_format=date_format,
                phone_prefix=phone_prefix,
                columns=fields,
                ignore_columns=ignore_column or [],
                only_file=only_file,
                results=results,
            )

    done = anyio.run(work)
    say(describe(resource, done))
    write_last_report(report, report_text(resource, done))
    return 0 if done.all_same else FAILED


def describe(resource: str, report: CompareReport) -> str:
    """Return the outcome of a comparison as one line."""
    found = [f"{getattr(report, name):,} {word}" for name, word in _WORDS.items() if getattr(report, name)]
    rows, records = counted(report.rows, "row", "rows"), counted(report.records, "record", "records")
    requests = counted(report.requests, "request", "requests")
    words = [f"{rows} and {records} of {resource}: {', '.join(found) or 'none'} ({report.seconds:.1f} s, {requests})"]
    if not report.exact:
        words.append(f"records that seem to be missing may be there: {inexact(report.reasons)}")
    if not report.all_same:
        words.append(f"see {report.results}" if report.results else "--results FILE names the rows and records")
    if report.not_compared:
        words.append(f"not compared, since the list does not show them: {_columns(report.not_compared)}")
    return "; ".join(words)


def _columns(not_compared: Mapping[str, str]) -> str:
    """Return the first columns that were not compared, and where cards are."""
    shown = [name if name == path else f"{name} ({path})" for name, path in islice(not_compared.items(), _SHOWN)]
    more = len(not_compared) - len(shown)
    text = ", ".join(shown) + (f" and {more} more" if more else "")
    is_card = "card_number" in not_compared.values()
    return f"{text}; carecloud compare cards compares the numbers of cards" if is_card else text

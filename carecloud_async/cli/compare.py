"""`carecloud compare`: a list and a file; `carecloud duplicates`: records of a list that share a value."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from carecloud_async._lists.listings.compare_report import CompareReport
from carecloud_async.cli.connect import Connection
from carecloud_async.cli.failures import inexact
from carecloud_async.cli.import_rows import RowsOptions
from carecloud_async.cli.lists import RESOURCE, ListOptions
from carecloud_async.cli.parameters import RATE, REPORT, ROWS, expands_options, flag, option
from carecloud_async.cli.reports import counted, finish, prepare_report
from carecloud_async.workflows.duplicates import DuplicatesReport, find_duplicates

#: The verdicts that are not `same`.
_NOT_SAME = ("different", "missing_there", "missing_here", "twice", "unreadable")
#: Most columns that are named because they were not compared.
_MOST_NAMED = 10


@expands_options
def compare(
    connection: Connection,
    source: ListOptions,
    rows: RowsOptions,
    resource: str = RESOURCE,
    file: str = ROWS,
    match: str = option("KEY", "The column that identifies a record, such as external_purchase_id.", default=...),
    only_file: bool = flag("Pass over records that FILE lacks: it holds a part of the list.", "--only-file"),
    results: str | None = option("FILE", "Write each row, and each record that no row has, to FILE."),
    rate: float | None = RATE,
    report: str | None = REPORT,
) -> int:
    """Compare a list with a file, and write nothing to the project.

    Each row and each record is the same, different, missing there (no record has the row's key), missing here (no row
    has the record's key) or twice. Exit code 0 only if everything is the same; with --only-file the list may have more.

    For example:

    - carecloud compare purchases bills.csv --match external_purchase_id --results missing.csv

    - carecloud compare customers crm.csv --match email --filter customer_source_id=86e05affc7a7abefcd513ab400
    """
    operation, arguments = source.find(resource), rows.arguments()
    prepare_report(report, file=file, results=results, columns=rows.columns)
    arguments |= {"match": match, "only_file": only_file, "results": results}
    done = connection.run(lambda client: source.listing(client, operation).compare(file, **arguments), rate=rate)
    return finish(resource, done, describe_comparison(resource, done), file=report, ok=done.all_same)


def describe_comparison(resource: str, report: CompareReport) -> str:
    """Return the outcome of a comparison as one line."""
    verdicts = {"the same": report.same} | {name.replace("_", " "): getattr(report, name) for name in _NOT_SAME}
    counts = [f"{count:,} {verdict}" for verdict, count in verdicts.items() if count]
    rows, records = counted(report.rows, "row", "rows"), counted(report.records, "record", "records")
    requests = counted(report.requests, "request", "requests")
    words = [f"{rows} and {records} of {resource}: {', '.join(counts) or 'none'} ({report.seconds:.1f} s, {requests})"]
    if not report.exact:
        words.append(f"records that seem to be missing may be there: {inexact(report.reasons)}")
    if not report.all_same:
        words.append(f"see {report.results}" if report.results else "--results FILE names the rows and records")
    if report.not_compared:
        words.append(f"not compared, since the list does not show them: {_columns(report.not_compared)}")
    return "; ".join(words)


def _columns(not_compared: Mapping[str, str]) -> str:
    """Return the first columns that were not compared, and the command that compares cards if they are among them.

    Args:
        not_compared: the columns, and the field of each.
    """
    named = [
        name if name == field else f"{name} ({field})" for name, field in islice(not_compared.items(), _MOST_NAMED)
    ]
    more = len(not_compared) - len(named)
    text = ", ".join(named) + (f" and {more} more" if more else "")
    has_cards = "card_number" in not_compared.values()
    return f"{text}; carecloud compare cards compares the numbers of cards" if has_cards else text


@expands_options
def duplicates(
    connection: Connection,
    source: ListOptions,
    resource: str = RESOURCE,
    by: str = option(
        "FIELDS", "Values that records share, separated by commas: email,phone,name+birthdate.", default=...
    ),
    output: str = option("FILE", "The file of the groups: .csv or .jsonl.", "-o", "--output", default=...),
    most_shared: int = option("N", "A value that more records share joins nothing.", min=2, default=100),
    no_plan: bool = flag("Do not read what each customer has: fewer requests.", "--no-plan"),
    rate: float | None = RATE,
    report: str | None = REPORT,
) -> int:
    """Find records of a list that share a value, and write them to a file; nothing is written to the project.

    For customers the file says what could be moved to one of each group. It is for a person to decide.

    For example:

    - carecloud duplicates customers --by email,phone,name+birthdate -o duplicates.csv
    """
    operation = source.find(resource)
    fields = [name.strip() for name in by.split(",") if name.strip()]
    prepare_report(report, output=output)
    done = connection.run(
        lambda client: find_duplicates(
            client,
            listing=source.listing(client, operation),
            by=fields,
            file=output,
            most_shared=most_shared,
            plan=not no_plan,
        ),
        rate=rate,
    )
    return finish(resource, done, describe_duplicates(resource, done), file=report, ok=done.exact)


def describe_duplicates(resource: str, report: DuplicatesReport) -> str:
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

"""`carecloud export`: a whole list into a file."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import Annotated

import anyio
import typer

from carecloud_async.calls.retry import RetryPolicy
from carecloud_async.cli.connect import Connection
from carecloud_async.cli.console import INTERRUPTED, ReaderGoneError, say
from carecloud_async.cli.failures import StoppedExportError, UsageError
from carecloud_async.cli.file_options import FileOptions
from carecloud_async.cli.filters import check_fields
from carecloud_async.cli.options import expands_options
from carecloud_async.cli.output import Output
from carecloud_async.cli.progress import show_progress
from carecloud_async.cli.records import AllowUnknown, Filters, Of, Resource
from carecloud_async.cli.resources import find_list, list_path_values, open_listing
from carecloud_async.cli.signals import exits_at_once
from carecloud_async.cli.summary import report_json, summary, write_report
from carecloud_async.cli.warnings import tell_of_values
from carecloud_async.errors import CareCloudError
from carecloud_async.export import ExportReport
from carecloud_async.export.formats.rows import UNKNOWN_FIELDS
from carecloud_async.export.formats.schema import shape_of
from carecloud_async.export.formats.selection import read_fields
from carecloud_async.http.timeout import Timeout
from carecloud_async.paging.auto import AUTO, Auto
from carecloud_async.runtime.durable_files import is_same_file

__all__ = ["check_distinct", "check_report", "export", "read_number"]

#: The digits of the largest number that is taken.
_MOST_DIGITS = 9
#: The size of the connection pool.
_CONNECTIONS = 20


@expands_options
def export(
    connection: Connection,
    file: FileOptions,
    resource: Resource,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The suffix is the format: .jsonl (.ndjson), .csv, .parquet; .gz or .zst may follow the first two. "
            "- is stdout.",
            show_default=False,
        ),
    ],
    of: Of = None,
    filters: Filters = None,
    fields: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Only these fields; nested ones with a dot: customer_id,contact.email.",
            show_default=False,
        ),
    ] = None,
    allow_unknown: AllowUnknown = False,
    changed_since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Only what changed since then, such as 2026-11-01T00:00, in the project's time zone.",
            show_default=False,
        ),
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Keeps when the last run began: the first writes everything, each later one what changed.",
            show_default=False,
        ),
    ] = None,
    count: Annotated[
        str, typer.Option(metavar="N", help="Records per request; auto finds what is fastest, as far as 5000.")
    ] = AUTO,
    concurrency: Annotated[
        str, typer.Option(metavar="N", help="Requests under way at once; auto finds what is fastest, as far as 20.")
    ] = AUTO,
    rate: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            help="Requests per second at most. Without it the server's own limit is found.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an earlier run was stopped.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it exists.")] = False,
    report: Annotated[
        str | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="Write the outcome as JSON when it is done; - is stdout.",
            show_default=False,
        ),
    ] = None,
) -> int:
    """Write all records of a list to a file.

    Every record that exists from start to end is in the file once, whatever changes meanwhile. The file appears under
    its name when it is whole; a run that was stopped, by Ctrl-C or SIGTERM too, goes on with --resume.

    For example:

    - carecloud export customers -o customers.jsonl --sandbox 1000

    - carecloud export customers -o smiths.csv --filter last_name=Smith --fields customer_id,last_change

    - carecloud export customers -o changed.parquet --overwrite --state state.json

    - carecloud export cards -o - --sandbox 1000 | head -3
    """
    operation, target = find_list(resource), Output(output, file.format)
    list_path_values(operation, of or [])
    target.check()
    arguments = file.arguments(target)
    check_distinct(target, report, state)
    check_report(report)
    if state is not None and changed_since is not None:
        raise UsageError("give either --state or --changed-since: the state file holds the time to begin from")
    if rate is not None and not rate > 0:
        raise UsageError(f"--rate must be greater than 0, not {rate:g}")
    page_size, width = read_number("--count", count), read_number("--concurrency", concurrency)
    since = None if changed_since is None else _moment(changed_since)
    wanted = None if fields is None else _names(fields)
    tell_of_values()

    async def work() -> ExportReport:
        async with connection.open(
            rate=rate, connections=_CONNECTIONS if width == AUTO else max(width, _CONNECTIONS)
        ) as client:
            patient = client.with_options(retry=RetryPolicy(), timeout=Timeout())
            listing = open_listing(
                patient, operation, of=of or [], filters=filters or [], allow_unknown=allow_unknown, count=page_size
            )
            if wanted is not None and not allow_unknown:
                _check_fields(wanted, listing.export_source().into, target)
            await client.login()  # credentials are checked before the export puts anything beside the target
            if not resume:
                target.warn_of_discarding(overwrite=overwrite)
            with show_progress(resource, quiet=target.is_stdout) as on_progress:
                return await listing.export(
                    target.name,
                    concurrency=width,
                    resume=resume,
                    overwrite=overwrite,
                    changed_since=since,
                    state=state,
                    fields=wanted,
                    on_progress=on_progress,
                    **arguments,
                )

    try:
        with exits_at_once("interrupted: the output is not complete") if target.is_direct else nullcontext():
            done = anyio.run(work)
    except KeyboardInterrupt:
        say(target.interrupted())
        return INTERRUPTED
    except CareCloudError as error:
        if target.is_stdout and isinstance(error.__cause__, BrokenPipeError):
            raise ReaderGoneError from None
        if not isinstance(error, UsageError) and target.has_partial():
            raise StoppedExportError from error
        raise
    say(summary(resource, done, state=state))
    if report is not None:
        write_report(report, report_json(resource, done))
    return 0


def check_distinct(target: Output, report: str | None, state: str | None) -> None:
    """Refuse two files that are one: each would overwrite the other."""
    files: dict[str, str | int] = {"-o": 1 if target.is_stdout else target.name}
    if report is not None:
        files["--report"] = 1 if report == "-" else report
        if files["--report"] == files["-o"] == 1:
            raise UsageError("-o - and --report - would mix on stdout: give --report a file")
    if state is not None:
        files["--state"] = state
    for (first, one), (second, other) in combinations(files.items(), 2):
        if "://" not in str(one) and is_same_file(one, other):
            name = other if isinstance(other, str) else one
            raise UsageError(f"{first} and {second} are the same file, {name}: give each a file of its own")


def check_report(report: str | None) -> None:
    """Check where the report goes, and remove that of an earlier run: one that is there is of a run that succeeded."""
    if report is None or report == "-":
        return
    path = Path(report)
    if not path.parent.is_dir() or path.is_dir():
        raise UsageError(f"--report {report}: name a file in a folder that exists")
    if path.is_file() or path.is_symlink():  # a pipe or a device stays
        path.unlink()


def read_number(option: str, text: str) -> int | Auto:
    """Read `auto` or a whole number.

    Raises:
        UsageError: it is neither.
    """
    if text == AUTO:
        return AUTO
    if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS or not int(text):
        raise UsageError(f"{option} must be auto or a whole number from 1 up, not {text}")
    return int(text)


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--changed-since {text!r} is no time: write it as 2026-11-01T00:00") from None


def _check_fields(fields: list[str], model: type, target: Output) -> None:
    if target.suffix == ".parquet":  # its columns are the model's, so that the export itself refuses others
        read_fields(fields, model, also=(UNKNOWN_FIELDS,))
    else:
        check_fields(fields, shape_of(model).children)


def _names(fields: str) -> list[str]:
    names = [name.strip() for name in fields.split(",")]
    if not all(names):
        raise UsageError("--fields has an empty name: write them as customer_id,last_change")
    return names

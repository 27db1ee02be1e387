"""A list and the file that it is written to: the options that `export` and `changes` share, and their checks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import typer
from attrs import frozen

from carecloud_async._calls.call.operation import Operation
from carecloud_async._calls.call.retry import RetryPolicy
from carecloud_async._calls.http.timeout import Timeout
from carecloud_async._lists.listings.listing import Listing
from carecloud_async._lists.paging.page_plan import AUTO, Auto
from carecloud_async.cli.connect import MAX_CONNECTIONS, Connection
from carecloud_async.cli.failures import UsageError
from carecloud_async.cli.output import FileOptions, Output
from carecloud_async.cli.parameters import Filters, Of, Rate, Report
from carecloud_async.cli.report_file import check_distinct, prepare_report
from carecloud_async.cli.resources import find_list, list_path_values, open_listing
from carecloud_async.client import CareCloud

__all__ = ["ListToFile"]

#: The digits of the largest number that is taken.
_MOST_DIGITS = 9


@frozen(kw_only=True)
class ListToFile:
    """The options of a command that writes a whole list to a file.

    Attributes:
        output: the target: a path, a URL, or `-` for stdout.
        of: ids of the parents.
        filters: `NAME=VALUE` each.
        count, concurrency: records per request, and requests in flight; `auto` or a number.
        rate: requests per second at most.
        overwrite: whether a target that exists is replaced.
        report: the file for the report as JSON; `-` is stdout.
    """

    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The file to write. Its suffix gives the format: .jsonl (.ndjson), .csv, .parquet; .gz or .zst may "
            "follow the first two.",
        ),
    ]
    of: Of = None
    filters: Filters = None
    count: Annotated[
        str,
        typer.Option(
            metavar="N",
            help="Records per request; all records are written. auto asks for up to 1000.",
        ),
    ] = AUTO
    concurrency: Annotated[str, typer.Option(metavar="N", help="Requests in flight at once; auto sends up to 20.")] = (
        AUTO
    )
    rate: Rate = None
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it exists.")] = False
    report: Report = None

    @property
    def width(self) -> int | Auto:
        """Requests in flight at once."""
        return _read_number("--concurrency", self.concurrency)

    def prepare(self, resource: str, file: FileOptions, state: str | None) -> tuple[Operation, Output, dict[str, Any]]:
        """Check everything that needs no request, and remove the report of an earlier run.

        Args:
            resource: the name of the list.
            file: the format of the file.
            state: the file that keeps what the next run needs, if there is one.

        Returns:
            the list operation, the target, and the arguments of an export that describe its format.

        Raises:
            UsageError: an option cannot work, or two files are one.
            ExportError: nothing can be written to the target.
        """
        operation, target = find_list(resource), Output(self.output, file.format)
        list_path_values(operation, self.of or [])
        target.check()
        _check_files(target, self.report, state)
        _read_number("--count", self.count)
        _read_number("--concurrency", self.concurrency)
        return operation, target, file.arguments(target)

    @asynccontextmanager
    async def open(
        self, connection: Connection, operation: Operation, *, allow_unknown: bool = False
    ) -> AsyncIterator[tuple[CareCloud, Listing[Any]]]:
        """Open a client and the list, with the retries and timeouts of a job that runs unattended.

        Args:
            connection: the project.
            operation: the list operation.
            allow_unknown: whether filters that the SDK does not know are sent.

        Raises:
            UsageError: a setting is missing, or a filter unknown.
        """
        connections = MAX_CONNECTIONS if self.width == AUTO else max(self.width, MAX_CONNECTIONS)
        async with connection.open(rate=self.rate, connections=connections) as client:
            yield (
                client,
                open_listing(
                    client.with_options(retry=RetryPolicy(), timeout=Timeout()),
                    operation,
                    of=self.of or [],
                    filters=self.filters or [],
                    allow_unknown=allow_unknown,
                    count=_read_number("--count", self.count),
                ),
            )


def _check_files(target: Output, report: str | None, state: str | None) -> None:
    """Check the files of a command, and remove the report of an earlier run.

    Raises:
        UsageError: two of them are one, or no report can be written.
    """
    stdout = 1  # its descriptor
    output: str | int = stdout if target.is_stdout else target.name
    if output == stdout and report == "-":
        raise UsageError("-o - and --report - would mix on stdout: give --report a file")
    check_distinct({"-o": output, "--report": stdout if report == "-" else report, "--state": state})
    prepare_report(report)


def _read_number(option: str, text: str) -> int | Auto:
    """Read `auto` or a whole number.

    Raises:
        UsageError: it is neither.
    """
    if text == AUTO:
        return AUTO
    if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS or not int(text):
        raise UsageError(f"{option} must be auto or a whole number from 1 up, not {text}")
    return int(text)

"""A list and the file that it is written to: the options that `export` and `changes` share, and their checks."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import attrs
import typer
from attrs import frozen

from carecloud_async._calls.call.operation import Operation
from carecloud_async._calls.call.retry import RetryPolicy
from carecloud_async._calls.http.timeout import Timeout
from carecloud_async._lists.export.report import Written
from carecloud_async._lists.listings.listing import Listing
from carecloud_async._lists.paging.auto import AUTO, Auto
from carecloud_async.cli.connect import MAX_CONNECTIONS, Connection
from carecloud_async.cli.console import INTERRUPTED, ignores_signals, say
from carecloud_async.cli.failures import UsageError
from carecloud_async.cli.lists import ListOptions
from carecloud_async.cli.parameters import RATE, REPORT, flag, option
from carecloud_async.cli.reports import DESCRIPTORS, check_distinct, prepare_report
from carecloud_async.client import CareCloud
from carecloud_async.errors import ConfigurationError, ExportError
from carecloud_async.export import CsvOptions


@frozen
class Output:
    """The target of an export.

    Attributes:
        name: a path, a URL, or `-` for stdout.
        format: the format where the name does not say it.
    """

    name: str
    format: str | None = None

    @property
    def is_stdout(self) -> bool:
        """Whether records go to stdout, so that nothing else may be printed there."""
        return self.name in {"-", "/dev/stdout", "/dev/fd/1"}

    @property
    def is_direct(self) -> bool:
        """Whether records are written as they arrive, so that the export cannot be resumed."""
        path = Path(self.name)
        return self.is_stdout or self.name.startswith(DESCRIPTORS) or (path.exists() and not path.is_file())

    @property
    def suffix(self) -> str:
        """The suffix of the format, without that of a compression."""
        name = f".{self.format}" if self.format else self.name.lower()
        stem = name.removesuffix(".gz").removesuffix(".zst")
        return next(filter(stem.endswith, (".csv", ".parquet")), ".jsonl")

    def check(self) -> None:
        """Check, before any request, that the target can become a file. The export checks URLs.

        Raises:
            BadExportError: neither the name nor an option says the format.
            ExportError: nothing can be written there.
        """
        if Path(self.name).is_dir():
            raise ExportError(f"{self.name} is a folder: name a file")
        if self.is_direct:
            return
        if self.format is None:
            from carecloud_async._lists.export.formats.registry import format_of

            format_of(os.path.basename(self.name))
        if "://" in self.name:
            return
        folder = Path(self.name).parent
        if not folder.is_dir():
            raise ExportError(f"{self.name}: there is no folder {folder}: make it first, or choose another place")
        if not os.access(folder, os.W_OK):
            raise ExportError(f"{self.name}: you may not write in {folder}: choose another place")

    def has_partial(self) -> bool:
        """Return whether a run that was stopped left records that `--resume` can go on with."""
        from carecloud_async._lists.export.storage.export_file import has_records
        from carecloud_async._lists.export.storage.target import read_target

        return not self.is_direct and has_records(read_target(self.name, format=self.format))

    def warn_of_discarding(self, *, overwrite: bool) -> None:
        """Warn if this run discards what an earlier one has fetched."""
        if self.has_partial() and (overwrite or not os.path.exists(self.name)):
            say(f"warning: discarding what an earlier run fetched for {self.name}; --resume goes on with it")

    def interrupted(self) -> str:
        """Return the message for an interrupted export: whether a later run can resume it."""
        if self.has_partial():
            return f"interrupted: what was fetched for {self.name} is kept; the same command with --resume goes on"
        return f"interrupted before anything was fetched for {self.name}"


@contextmanager
def confirming(written: list[Written[Any]], interrupted: Callable[[], str]) -> Iterator[None]:
    """Run the block, which writes a file; confirm the file afterwards, as the last step of the command.

    After an interruption nothing is confirmed: a scheduler that repeats the command gets all records again, not only
    those that have changed since.

    Args:
        written: the block puts the finished file here.
        interrupted: returns the message for Ctrl-C and SIGTERM.

    Raises:
        typer.Exit: the block was interrupted.
    """
    with ExitStack() as stack:
        try:
            yield
        except KeyboardInterrupt:
            say(interrupted())
            raise typer.Exit(INTERRUPTED) from None
        finally:
            for file in written:
                stack.callback(file.close)
        stack.enter_context(ignores_signals())
        written[0].confirm()


#: What users write for a tab.
_TAB = {"tab", "\\t"}

_option, _flag = partial(option, rich_help_panel="File"), partial(flag, rich_help_panel="File")


@frozen(kw_only=True)
class FileOptions:
    """The format of an export and its dialect.

    Attributes:
        format: the format where the target's name does not say it.
        excel, delimiter, bom, escape_formulas, decimal: the dialect of CSV; see `CsvOptions`.
        columns, timestamps: the columns and timestamps of Parquet; see `Listing.export`.
    """

    format: Literal["jsonl", "csv", "jsonl.gz", "csv.gz", "jsonl.zst", "csv.zst", "parquet"] | None = _option(
        "NAME", "Format of FILE if its suffix does not name one, such as csv for stdout."
    )
    excel: bool = _flag("CSV for spreadsheets: --delimiter ';' --bom --escape-formulas.", "--excel")
    delimiter: str | None = _option("CHAR", "Character between the fields of CSV; the word tab for a tab.")
    bom: bool = _flag("Begin CSV with a byte order mark.", "--bom")
    escape_formulas: bool = _flag(
        "Write text such as =SUM(A1) to CSV so that no spreadsheet runs it; with --bom, imports read it back.",
        "--escape-formulas",
    )
    decimal: Literal[".", ","] | None = _option(
        "SIGN", "Decimal sign of numbers in CSV, such as ',', as carecloud import takes it."
    )
    columns: Literal["model", "found"] | None = _option(
        "NAME", "Columns of Parquet. model: the same in every file; found: those that the records have."
    )
    timestamps: Literal["utc", "project"] | None = _option(
        "NAME", "Timestamps of Parquet. utc, or project: local times, as the API sends them."
    )

    def arguments(self, output: Output) -> dict[str, Any]:
        """Return the arguments of `Listing.export` for a target.

        Raises:
            UsageError: an option is for another format, or cannot work.
        """
        of_csv = [name for name in ("excel", "delimiter", "bom", "escape_formulas", "decimal") if getattr(self, name)]
        of_parquet = [name for name in ("columns", "timestamps") if getattr(self, name)]
        for names, suffix in ((of_csv, ".csv"), (of_parquet, ".parquet")):
            if names and output.suffix != suffix:
                raise UsageError(f"--{names[0].replace('_', '-')} is for {suffix} alone: leave it out")
        arguments: dict[str, Any] = {name: getattr(self, name) for name in of_parquet}
        if self.format is not None:
            arguments["format"] = self.format
        if of_csv:
            arguments["csv"] = self._csv()
        return arguments

    def _csv(self) -> CsvOptions:
        dialect = CsvOptions.excel() if self.excel else CsvOptions()
        changes: dict[str, Any] = {name: True for name in ("bom", "escape_formulas") if getattr(self, name)}
        if self.decimal is not None:
            changes["decimal"] = self.decimal
        if self.delimiter is not None:
            changes["delimiter"] = "\t" if self.delimiter.lower() in _TAB else self.delimiter
        try:
            return attrs.evolve(dialect, **changes)
        except ConfigurationError:
            raise UsageError(
                f"--delimiter {self.delimiter!r} must be one character other than a quote or line end, such as ;"
            ) from None


#: The most digits of a number.
_MOST_DIGITS = 9


@frozen(kw_only=True)
class ListToFile(ListOptions):
    """The options of a command that writes a whole list to a file.

    Attributes:
        output: the target: a path, a URL, or `-` for stdout.
        count, concurrency: records per request, and requests in flight; `auto` or a number.
        rate: requests per second at most.
        overwrite: whether a target that exists is replaced.
        report: the file for the report as JSON; `-` is stdout.
    """

    output: str = option(
        "FILE",
        "The file to write. Its suffix gives the format: .jsonl (.ndjson), .csv, .parquet; .gz or .zst "
        "may follow the first two.",
        "--output",
        "-o",
        default=...,
    )
    count: str = option("N", "Records per request; all records are written. auto asks for up to 1000.", default=AUTO)
    concurrency: str = option("N", "Requests in flight at once; auto sends up to 20.", default=AUTO)
    rate: float | None = RATE
    overwrite: bool = flag("Replace FILE if it exists.", "--overwrite")
    report: str | None = REPORT

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
        operation, target = self.find(resource), Output(self.output, file.format)
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
            patient = client.with_options(retry=RetryPolicy(), timeout=Timeout())
            count = _read_number("--count", self.count)
            yield client, self.listing(patient, operation, allow_unknown=allow_unknown, count=count)


def _check_files(target: Output, report: str | None, state: str | None) -> None:
    """Check the files of a command, and remove the report of an earlier run.

    Raises:
        UsageError: two of them are one, or no report can be written.
    """
    stdout = 1  # its descriptor, by which `check_distinct` also finds a file that stdout is redirected to
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

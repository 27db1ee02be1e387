"""The target of an export and what its file looks like, checked before anything is sent, and its partial result."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import attrs
from attrs import frozen

from carecloud_async.cli.console import say
from carecloud_async.cli.failures import UsageError
from carecloud_async.cli.parameters import option_of
from carecloud_async.cli.report_file import DESCRIPTORS
from carecloud_async.errors import ConfigurationError, ExportError
from carecloud_async.export import CsvOptions

__all__ = ["SUFFIXES", "FileOptions", "Output"]

#: The formats, as the export knows them by the end of the file's name.
SUFFIXES = (
    *(".jsonl", ".ndjson", ".csv", ".parquet"),
    *(f"{suffix}{packed}" for suffix in (".jsonl", ".ndjson", ".csv") for packed in (".gz", ".zst")),
)


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
        known = f".{self.format}" if self.format else next(filter(self.name.lower().endswith, SUFFIXES), ".jsonl")
        return known.removesuffix(".gz").removesuffix(".zst")

    def check(self) -> None:
        """Raise for what cannot become a file, before anyone is asked; URLs are left to the export.

        Raises:
            UsageError: the name says no format.
            ExportError: nothing can be written there.
        """
        if Path(self.name).is_dir():
            raise ExportError(f"{self.name} is a folder: name a file")
        if self.is_direct:
            return
        if self.format is None and not self.name.lower().endswith(SUFFIXES):
            raise UsageError(
                f"{self.name}: the suffix names the format, and must be one of {', '.join(SUFFIXES)}; or say it with "
                "--format"
            )
        if "://" in self.name:
            return
        folder = Path(self.name).parent
        if not folder.is_dir():
            raise ExportError(f"{self.name}: there is no folder {folder}: make it first, or choose another place")
        if not os.access(folder, os.W_OK):
            raise ExportError(f"{self.name}: you may not write in {folder}: choose another place")

    def has_partial(self) -> bool:
        """Return whether a run that was stopped left records that `--resume` can go on with."""
        from carecloud_async._lists.export.storage.target import read_target
        from carecloud_async._lists.export.storage.workspace import Workspace

        return not self.is_direct and Workspace(read_target(self.name, format=self.format)).records.exists()

    def warn_of_discarding(self, *, overwrite: bool) -> None:
        """Say that what an earlier run has fetched is lost, if so."""
        if self.has_partial() and (overwrite or not os.path.exists(self.name)):
            say(f"warning: discarding what an earlier run fetched for {self.name}; --resume goes on with it")

    def interrupted(self) -> str:
        """Return what has become of an export to a file that was interrupted."""
        if self.has_partial():
            return f"interrupted: what was fetched for {self.name} is kept; the same command with --resume goes on"
        return f"interrupted before anything was fetched for {self.name}"


#: What users write for a tab.
_TAB = {"tab", "\\t"}

_option = partial(option_of, "File")


@frozen(kw_only=True)
class FileOptions:
    """The format of an export and its dialect.

    Attributes:
        format: the format where the target's name does not say it.
        excel, delimiter, bom, escape_formulas, decimal: the dialect of CSV; see `CsvOptions`.
        columns, timestamps: the columns and timestamps of Parquet; see `Listing.export`.
    """

    format: Annotated[
        Literal["jsonl", "csv", "jsonl.gz", "csv.gz", "jsonl.zst", "csv.zst", "parquet"] | None,
        _option("--format", "NAME", "Format of FILE if its suffix does not name one, such as csv for stdout."),
    ] = None
    excel: Annotated[bool, _option("--excel", "", "CSV for spreadsheets: --delimiter ';' --bom --escape-formulas.")] = (
        False
    )
    delimiter: Annotated[
        str | None, _option("--delimiter", "CHAR", "Character between the fields of CSV; the word tab for a tab.")
    ] = None
    bom: Annotated[bool, _option("--bom", "", "Begin CSV with a byte order mark.")] = False
    escape_formulas: Annotated[
        bool,
        _option(
            "--escape-formulas",
            "",
            "Write text such as =SUM(A1) to CSV so that no spreadsheet runs it; with --bom, imports read it back.",
        ),
    ] = False
    decimal: Annotated[
        Literal[".", ","] | None,
        _option("--decimal", "SIGN", "Decimal sign of numbers in CSV, such as ',', as carecloud import takes it."),
    ] = None
    columns: Annotated[
        Literal["model", "found"] | None,
        _option(
            "--columns",
            "NAME",
            "Columns of Parquet. model: the same in every file; found: those that the records have.",
        ),
    ] = None
    timestamps: Annotated[
        Literal["utc", "project"] | None,
        _option("--timestamps", "NAME", "Timestamps of Parquet. utc, or project: local times, as the API sends them."),
    ] = None

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

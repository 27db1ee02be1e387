"""The options of an export that say what its file looks like."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

import attrs
from attrs import frozen

from carecloud_async.cli.failures import UsageError
from carecloud_async.cli.output import Output
from carecloud_async.cli.parameters import option_of
from carecloud_async.errors import ConfigurationError
from carecloud_async.export import CsvOptions

__all__ = ["FileOptions"]

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
        _option("--escape-formulas", "", "Write text such as =SUM(A1) to CSV so that a spreadsheet does not run it."),
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

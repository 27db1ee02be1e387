"""`ExportOptions`: the options of one export, checked."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal

from attrs import field, frozen

from carecloud_async._base.runtime.durable_files import PRIVATE
from carecloud_async._lists.export.errors import BadExportError
from carecloud_async._lists.export.formats.sinks import CsvOptions
from carecloud_async._lists.export.report import OnProgress
from carecloud_async._lists.paging.auto import AUTO, Auto, problem_of

__all__ = ["ExportOptions"]


def _concurrency(_: object, __: object, value: object) -> None:
    problem = problem_of("concurrency", value)
    if problem is not None:
        raise BadExportError(problem)


def _one_of(name: str, *known: str) -> Callable[[object, object, object], None]:
    def check(_: object, __: object, value: object) -> None:
        if value not in known:
            raise BadExportError(f"{name} must be one of {', '.join(map(repr, known))}")

    return check


def _csv_options(_: object, __: object, value: object) -> None:
    if not isinstance(value, CsvOptions):
        raise BadExportError("csv must be a CsvOptions, such as CsvOptions(delimiter=';')")


def _permissions(_: object, __: object, value: object) -> None:
    if type(value) is not int or value & ~0o777 or value & PRIVATE != PRIVATE:
        raise BadExportError("mode must be permissions that let the owner read and write, such as 0o640")


@frozen(kw_only=True)
class ExportOptions:
    """The options of one export; see `Listing.export`.

    Attributes:
        concurrency: pages in flight; `auto` for the fastest.
        resume: continue an earlier run to the same target, if there is one.
        overwrite: replace the target if it exists.
        changed_since: write only what changed at or after this time; naive means project-local.
        state: a file, or a URL of a storage service, that stores the mark of the last complete run: the first run
            writes everything, each later run
            what changed since the previous one.
        allow_shrink: believe an empty list that had records in the last run.
        fields: the fields to write, nested ones dotted; `None` for all.
        on_progress: called with a `Progress`; may be async.
        format: the format of a target whose name does not say it, such as `csv`.
        columns: the columns of Parquet, see `Layout.columns`.
        timestamps: the timestamps of Parquet, see `Layout.timestamps`.
        csv: the dialect of CSV.
        mode: the permissions of the finished file.

    Raises:
        BadExportError: an option cannot work.
    """

    concurrency: int | Auto = field(default=AUTO, validator=_concurrency)
    resume: bool = False
    overwrite: bool = False
    changed_since: datetime | str | None = None
    state: str | os.PathLike[str] | None = None
    allow_shrink: bool = False
    fields: Sequence[str] | None = None
    on_progress: OnProgress | None = None
    format: str | None = None
    columns: Literal["model", "found"] = field(default="model", validator=_one_of("columns", "model", "found"))
    timestamps: Literal["utc", "project"] = field(default="utc", validator=_one_of("timestamps", "utc", "project"))
    csv: CsvOptions = field(factory=CsvOptions, validator=_csv_options)
    mode: int = field(default=PRIVATE, validator=_permissions)

    @property
    def content_options(self) -> list[object]:
        """The options of CSV and Parquet that change what a file holds; a resume is refused if they differ."""
        csv = self.csv
        return [self.columns, self.timestamps, csv.delimiter, csv.bom, csv.escape_formulas]

    def __attrs_post_init__(self) -> None:
        if self.state is not None and self.changed_since is not None:
            raise BadExportError("give either state or changed_since: the state file holds the time to begin from")

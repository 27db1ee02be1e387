"""What a user asked an export for, checked before anything is sent or written.

`ExportOptions` are checked by themselves, an `ExportRequest` together with its list and target.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Literal

from attrs import evolve, field, frozen

from carecloud_async._base.runtime.durable_files import PRIVATE
from carecloud_async._lists.export.errors import BadExportError
from carecloud_async._lists.export.formats.jsonl import line_encoder
from carecloud_async._lists.export.formats.schema import UNKNOWN_FIELDS, Selection, field_names, read_fields
from carecloud_async._lists.export.formats.sinks import CsvOptions, Layout
from carecloud_async._lists.export.reading.since import Since, parse_since, require_changes
from carecloud_async._lists.export.reading.times import TimelessRecords
from carecloud_async._lists.export.report import OnProgress, ProgressCallback
from carecloud_async._lists.export.source import ExportSource
from carecloud_async._lists.export.storage.target import Target
from carecloud_async._lists.paging.page_plan import AUTO, Auto, problem_of

__all__ = ["ExportOptions", "ExportRequest", "check_request"]


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
            writes everything, each later run what changed since the previous one.
        allow_shrink: believe an empty list that had records in the last run.
        fields: the fields to write, nested ones dotted; `None` for all.
        allow_unknown: accept fields that the model does not know.
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
    allow_unknown: bool = False
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
        return [self.columns, self.timestamps, csv.delimiter, csv.bom, csv.escape_formulas, csv.decimal]

    def __attrs_post_init__(self) -> None:
        if self.state is not None and self.changed_since is not None:
            raise BadExportError("give either state or changed_since: the state file holds the time to begin from")


@frozen(kw_only=True)
class ExportRequest:
    """A checked request.

    Attributes:
        source: the list.
        target: the destination.
        options: the options that the user gave.
        fields: the wanted fields; empty for all.
        since: the time that changes are wanted from; `None` for everything.
        callback: the user's function for progress; also among the options.
        timeless: the records without a readable `last_change`, if a state keeps them.
        expects_records: whether the list is known to have had records.
    """

    source: ExportSource
    target: Target
    options: ExportOptions
    fields: Selection
    since: Since | None
    callback: ProgressCallback | None
    timeless: TimelessRecords | None = None
    expects_records: bool = False

    @property
    def moves_mark(self) -> bool:
        """Whether a state's mark moves after the export: until then its end is kept."""
        return self.timeless is not None

    @property
    def found_timeless(self) -> Sequence[str]:
        """The records without a readable `last_change`, for the next run."""
        return () if self.timeless is None else self.timeless.found

    @property
    def fingerprints(self) -> dict[str, str]:
        """Digests of everything that a checkpoint is bound to."""
        kind = self.target.format
        # Sinks get whole records, so a resumed run could use other fields or another format; users do not expect that.
        return self.source.fingerprints(
            fields=field_names(self.fields),
            changed_since=None if self.since is None else self.since.moment.isoformat(),
            format=[kind.suffix + kind.compression, *self.options.content_options],
        )

    @property
    def encode(self) -> Callable[[Sequence[bytes]], Iterable[bytes]]:
        """Turns records into the bytes of the journal: of the file itself where the format is JSON Lines."""
        kind = self.target.format
        return line_encoder(self.fields, kind.compression) if kind.sink is None else line_encoder({}, "")

    @property
    def layout(self) -> Layout:
        """The layout that a sink is given."""
        options = self.options
        return Layout(
            into=self.source.into,
            fields=self.fields,
            timezone=self.source.project.timezone,
            columns=options.columns,
            timestamps=options.timestamps,
            csv=options.csv,
        )


def check_request(
    source: ExportSource,
    target: Target,
    options: ExportOptions,
    *,
    timeless: TimelessRecords | None = None,
    expects_records: bool = False,
) -> ExportRequest:
    """Check what a user asked for.

    Args:
        source: the list.
        target: the destination.
        options: what the user gave.
        timeless: see `ExportRequest`.
        expects_records: see `ExportRequest`.

    Raises:
        BadExportError: an option cannot work with this list or target.
    """
    since = None
    if options.changed_since is not None:
        since = parse_since(options.changed_since, source.project)
        require_changes(source)
    is_fixed = target.format.suffix == ".parquet" and options.columns == "model"
    callback = None if options.on_progress is None else ProgressCallback(options.on_progress)
    return ExportRequest(
        source=source,
        target=target,
        options=evolve(options, on_progress=callback),
        fields=read_fields(
            options.fields,
            source.into,
            also=(UNKNOWN_FIELDS,) if is_fixed else (),
            allow_unknown=options.allow_unknown,
        ),
        since=since,
        callback=callback,
        timeless=timeless,
        expects_records=expects_records,
    )

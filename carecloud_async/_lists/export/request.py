"""`ExportRequest`: what a user asked an export for, checked before anything is sent or written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Literal

from attrs import Factory, field, frozen

from carecloud_async._base.runtime.durable_files import PRIVATE
from carecloud_async._lists.export.errors import BadExportError
from carecloud_async._lists.export.formats.jsonl import line_encoder
from carecloud_async._lists.export.formats.schema import UNKNOWN_FIELDS, Selection, field_names, read_fields
from carecloud_async._lists.export.formats.sinks import CsvOptions, Layout
from carecloud_async._lists.export.reading.since import Since, parse_since, require_changes
from carecloud_async._lists.export.reading.times import TimelessRecords
from carecloud_async._lists.export.report import OnProgress
from carecloud_async._lists.export.storage.target import Target
from carecloud_async._lists.paging.auto import AUTO, Auto, problem_of
from carecloud_async._lists.paging.list_source import ListSource

__all__ = ["ExportRequest"]


def _source(_: object, __: object, value: ListSource[Any]) -> None:
    if value.offset:
        raise BadExportError("an export holds the whole list: leave offset out")


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


def _since(request: ExportRequest) -> Since | None:
    if request.changed_since is None:
        return None
    since = parse_since(request.changed_since, request.source.project)
    require_changes(request.source)
    return since


def _selection(request: ExportRequest) -> Selection:
    is_fixed = request.target.format.suffix == ".parquet" and request.columns == "model"
    also = (UNKNOWN_FIELDS,) if is_fixed else ()
    return read_fields(request.fields, request.source.into, also=also, allow_unknown=request.allow_unknown)


@frozen(kw_only=True)
class ExportRequest:
    """One export: its list, its target and its options, which `Listing.export` describes.

    Attributes:
        source: the list.
        target: the destination.
        timeless: the records without a readable `last_change`, if the export has a state. The state is stored after the
            export; until then the export's folder keeps how it ended.
        expects_records: whether the list is known to have had records.
        since: the time that changes are wanted from; `None` for everything.
        selection: the wanted fields; empty for all.

    Raises:
        BadExportError: an option cannot work, by itself or with this list or target.
    """

    source: ListSource[Any] = field(validator=_source, repr=False)
    target: Target
    concurrency: int | Auto = field(default=AUTO, validator=_concurrency)
    resume: bool = False
    overwrite: bool = False
    changed_since: datetime | str | None = None
    allow_shrink: bool = False
    fields: Sequence[str] | None = None
    allow_unknown: bool = False
    on_progress: OnProgress | None = None
    columns: Literal["model", "found"] = field(default="model", validator=_one_of("columns", "model", "found"))
    timestamps: Literal["utc", "project"] = field(default="utc", validator=_one_of("timestamps", "utc", "project"))
    csv: CsvOptions = field(factory=CsvOptions, validator=_csv_options)
    mode: int = field(default=PRIVATE, validator=_permissions)
    timeless: TimelessRecords | None = None
    expects_records: bool = False
    since: Since | None = field(init=False, default=Factory(_since, takes_self=True))
    selection: Selection = field(init=False, default=Factory(_selection, takes_self=True))

    @property
    def found_timeless(self) -> Sequence[str]:
        """The records without a readable `last_change`, for the next run."""
        return () if self.timeless is None else self.timeless.found

    @property
    def fingerprints(self) -> dict[str, str]:
        """Digests of everything that a checkpoint is bound to."""
        kind, csv = self.target.format, self.csv
        # The checkpoint has whole records, so a resumed run could write them with other fields or in another format. It
        # is bound to these too, because users do not expect that.
        return self.source.fingerprints(
            fields=field_names(self.selection),
            changed_since=None if self.since is None else self.since.moment.isoformat(),
            format=[
                kind.suffix + kind.compression,
                *(self.columns, self.timestamps),
                *(csv.delimiter, csv.bom, csv.escape_formulas, csv.decimal),
            ],
        )

    @property
    def encode(self) -> Callable[[Sequence[bytes]], Iterable[bytes]]:
        """Turns records into lines. In JSON Lines these are the file; for other formats they hold the whole records."""
        kind = self.target.format
        return line_encoder(self.selection, kind.compression) if kind.sink is None else line_encoder({}, "")

    @property
    def layout(self) -> Layout:
        """The layout that a sink is given."""
        return Layout(
            into=self.source.into,
            fields=self.selection,
            timezone=self.source.project.timezone,
            columns=self.columns,
            timestamps=self.timestamps,
            csv=self.csv,
        )

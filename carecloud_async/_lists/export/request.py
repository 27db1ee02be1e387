"""`ExportRequest`: what a user asked an export for, checked before anything is sent or written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from attrs import evolve, frozen

from carecloud_async._lists.export.formats.jsonl import line_encoder
from carecloud_async._lists.export.formats.rows import UNKNOWN_FIELDS
from carecloud_async._lists.export.formats.selection import Selection, field_names, read_fields
from carecloud_async._lists.export.formats.sinks import Layout
from carecloud_async._lists.export.options import ExportOptions
from carecloud_async._lists.export.progress import ProgressCallback
from carecloud_async._lists.export.reading.since import Since, parse_since, require_changes
from carecloud_async._lists.export.reading.times import TimelessRecords
from carecloud_async._lists.export.source import ExportSource
from carecloud_async._lists.export.storage.target import Target

__all__ = ["ExportRequest", "check_request"]


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
        timeless: the records without a readable `last_change`, where a state keeps them.
        expects_records: whether the list is known to have had records.
        moves_mark: whether a state's mark moves after the export: until then its end is kept.
    """

    source: ExportSource
    target: Target
    options: ExportOptions
    fields: Selection
    since: Since | None
    callback: ProgressCallback | None
    timeless: TimelessRecords | None = None
    expects_records: bool = False
    moves_mark: bool = False

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
    moves_mark: bool = False,
) -> ExportRequest:
    """Check what a user asked for.

    Args:
        source: the list.
        target: the destination.
        options: what the user gave.
        timeless: see `ExportRequest`.
        expects_records: see `ExportRequest`.
        moves_mark: see `ExportRequest`.

    Raises:
        BadExportError: an option cannot work with this list or target.
    """
    since = None
    if options.changed_since is not None:
        since = parse_since(options.changed_since, source.project)
        require_changes(source)
    special = (UNKNOWN_FIELDS,) if target.format.suffix == ".parquet" else ()
    callback = None if options.on_progress is None else ProgressCallback(options.on_progress)
    return ExportRequest(
        source=source,
        target=target,
        options=evolve(options, on_progress=callback),
        fields=read_fields(options.fields, source.into, also=special),
        since=since,
        callback=callback,
        timeless=timeless,
        expects_records=expects_records,
        moves_mark=moves_mark,
    )

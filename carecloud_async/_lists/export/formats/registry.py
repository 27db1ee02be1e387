"""The formats that a target's suffix can name, and the stream that writes one of them, compressed if wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import BinaryIO

from attrs import frozen

from carecloud_async._lists.export.errors import WORKBOOKS, BadExportError, nesting_errors
from carecloud_async._lists.export.formats.arrow import ParquetSink, require_pyarrow
from carecloud_async._lists.export.formats.compression import COMPRESSIONS, abandon, compressing, frame_maker
from carecloud_async._lists.export.formats.csv import CsvSink
from carecloud_async._lists.export.formats.sinks import Layout, Sink, SinkFactory
from carecloud_async.errors import ConfigurationError
from carecloud_async.fixes import Fix

#: The one format that needs no sink: the records as received.
_LINES = ".jsonl"
_LINE_SUFFIXES = (_LINES, ".ndjson")
_FOR_SPREADSHEETS = Fix("for a spreadsheet with decimal commas, write .csv with {excel}")

_KNOWN: dict[str, SinkFactory] = {".csv": CsvSink, ".parquet": ParquetSink}


@frozen(kw_only=True)
class Format:
    """The format of a file.

    Attributes:
        suffix: such as `.csv`.
        compression: `.gz`, `.zst` or nothing.
        sink: what writes it; `None` for JSON Lines.
    """

    suffix: str = _LINES
    compression: str = ""
    sink: SinkFactory | None = None


def register_sink(suffix: str, factory: SinkFactory) -> None:
    """Register a format by its suffix; `.gz` and `.zst` may follow the suffix on targets.

    Args:
        suffix: such as `.xml`.
        factory: a `Sink` class, or a function that makes one.

    Raises:
        ConfigurationError: the suffix cannot name a format.
    """
    if not suffix.startswith(".") or len(suffix) < 2 or suffix.lower() in {*COMPRESSIONS, *_LINE_SUFFIXES}:
        raise ConfigurationError(f"{suffix!r} cannot name a format: give a suffix such as '.xml'")
    _KNOWN[suffix.lower()] = factory


def format_of(name: str) -> Format:
    """Read the format from a file's name, and check that its packages are installed.

    Raises:
        BadExportError: the suffix is unknown, or a package is not installed.
    """
    stem = name.lower()
    compression = next((suffix for suffix in COMPRESSIONS if stem.endswith(suffix)), "")
    stem = stem.removesuffix(compression)
    if compression:
        frame_maker(compression)
    if stem.endswith(_LINE_SUFFIXES):
        return Format(compression=compression)
    for suffix in sorted(_KNOWN, key=len, reverse=True):
        if stem.endswith(suffix):
            if suffix == ".parquet" and compression:
                raise BadExportError(f"{name}: Parquet compresses by itself: leave {compression} out")
            if _KNOWN[suffix] is ParquetSink:
                require_pyarrow()
            return Format(suffix=suffix, compression=compression, sink=_KNOWN[suffix])
    if stem.endswith(WORKBOOKS):
        raise BadExportError(f"{name}: workbooks are not written", fix=_FOR_SPREADSHEETS)
    known = ", ".join([*_LINE_SUFFIXES, *_KNOWN])
    step = f"use {known} (.gz or .zst may follow .jsonl and .csv), or say it with {{format}}"
    raise BadExportError(f"{name}: the suffix names no known format", fix=Fix(step))


class SinkStream:
    """Writes records to an open file in a format that has a sink. Everything blocks.

    Args:
        file: the file, which stays open.
        form: the format.
        layout: the layout for the sink.
    """

    def __init__(self, file: BinaryIO, form: Format, layout: Layout) -> None:
        assert form.sink is not None  # noqa: S101  (the caller has asked)
        self._stream = compressing(file, form.compression)
        self._sink = form.sink(self._stream, layout)

    @property
    def infers_schema(self) -> bool:
        """Whether the sink must see all records before the first is written."""
        return type(self._sink).infer_schema is not Sink.infer_schema

    @property
    def outdated(self) -> bool:
        """See `Sink.outdated`."""
        return self._sink.outdated

    def infer_schema(self, lines: Sequence[bytes]) -> None:
        """See `Sink.infer_schema`.

        Raises:
            ExportError: a record is nested too deeply for the format.
        """
        with nesting_errors():
            self._sink.infer_schema(lines)

    def write(self, lines: Sequence[bytes]) -> None:
        """See `Sink.write`.

        Raises:
            ExportError: a record is nested too deeply for the format.
            OSError: the file cannot be written.
        """
        with nesting_errors():
            self._sink.write(lines)

    def finish(self) -> Mapping[str, int]:
        """Write the end; return the number of values that were written as null, by dotted field name.

        Raises:
            OSError: the file cannot be written.
        """
        self._sink.close()
        self._stream.close()
        return self._sink.nulls

    def abandon(self) -> None:
        """Drop what is not written yet; the file is incomplete."""
        self._sink.abort()
        abandon(self._stream)

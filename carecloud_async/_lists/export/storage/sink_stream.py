"""`SinkStream`: a sink, and the compression of what it writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import BinaryIO

from carecloud_async._lists.export.errors import nesting_errors
from carecloud_async._lists.export.formats.compression import abandon, compressing
from carecloud_async._lists.export.formats.registry import Format
from carecloud_async._lists.export.formats.sinks import IncrementalSink, Layout, Sink

__all__ = ["SinkStream"]


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
        """See `IncrementalSink.outdated`."""
        return isinstance(self._sink, IncrementalSink) and self._sink.outdated

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

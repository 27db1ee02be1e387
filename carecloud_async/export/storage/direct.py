"""Targets that are not regular files (pipes, terminals, `/dev/stdout`): written as the records arrive, irrevocably."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import BinaryIO, cast

from carecloud_async.export.errors import nesting_errors
from carecloud_async.export.formats.compression import abandon, compressing
from carecloud_async.export.formats.sinks import IncrementalSink, Layout, Sink
from carecloud_async.export.storage.checkpoint import Checkpoint
from carecloud_async.export.storage.stoppable_file import FileStoppedError
from carecloud_async.export.storage.target import Target
from carecloud_async.runtime.thread_yield import ThreadYielder

__all__ = ["DirectFile"]

#: Bytes that are collected before they are written.
_BUFFER = 1 << 16
_log = logging.getLogger("carecloud_async.export")


class DirectFile:
    """Writes straight to a target. Methods block, perhaps for ever (a pipe may have no reader), until `stop` is called.

    Args:
        target: the target.
        layout: the layout for the sink.
        encode: turns records into bytes, a piece at a time, for formats without a sink.

    Attributes:
        nulls: the number of values that the format wrote as null, by dotted field name; once it is finished.
    """

    def __init__(self, target: Target, *, layout: Layout, encode: Callable[[Sequence[bytes]], Iterable[bytes]]) -> None:
        self._target = target
        self._layout = layout
        self._encode = encode
        self._yielder = ThreadYielder()
        self._file = target.stoppable_file()
        self._buffer = cast("BinaryIO", io.BufferedWriter(self._file, _BUFFER))
        self._stream: BinaryIO | None = None
        self._sink: Sink | None = None
        self._finished = False
        self._warned = False
        self.nulls: Mapping[str, int] = {}

    def open(self) -> None:
        """Open it; a pipe waits for its reader.

        Raises:
            FileStoppedError: see `stop`.
            OSError: it cannot be opened.
        """
        self._file.open()

    def stop(self) -> None:
        """Make the method that blocks raise `FileStoppedError`."""
        self._file.stop()

    def commit(self, lines: Sequence[bytes], _: Checkpoint) -> None:
        """Write records.

        Raises:
            FileStoppedError: see `stop`.
            OSError: the reader has gone.
        """
        file = self._buffer
        if not lines:
            return
        if self._target.format.sink is None:
            for data in self._encode(lines):
                file.write(data)
                self._yielder.rest()
            file.flush()
            return
        sink = self._begun(file)
        with nesting_errors():
            if sink is not self._sink:
                self._sink = sink
                sink.infer_schema(lines)
            sink.write(lines)
        if isinstance(sink, IncrementalSink) and sink.outdated and not self._warned:
            self._warned = True
            _log.warning("records have fields that no column was written for: export to a file to have them all")

    def finish(self) -> None:
        """Write the end of the file.

        Raises:
            FileStoppedError: see `stop`.
            OSError: the reader has gone.
        """
        file = self._buffer
        if self._target.format.sink is not None:
            sink = self._begun(file)
            sink.close()
            self.nulls = sink.nulls
            if self._stream is not None:
                self._stream.close()
        self._finished = True
        file.flush()

    def close(self) -> None:
        """Close the file; unfinished output is abandoned. No thread uses it any more."""
        self._file.stop()  # so that what is still buffered does not block here
        if self._sink is not None and not self._finished:
            self._sink.abort()
        with contextlib.suppress(OSError, ValueError, FileStoppedError):
            self._buffer.close()
        if self._stream is not None:
            abandon(self._stream)

    def _begun(self, file: BinaryIO) -> Sink:
        make = self._target.format.sink
        if self._sink is not None or make is None:
            return self._sink  # type: ignore[return-value]
        self._stream = compressing(file, self._target.format.compression)
        return make(self._stream, self._layout)

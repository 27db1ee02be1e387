"""Targets that are not regular files (pipes, terminals, `/dev/stdout`): written as the records arrive, irrevocably."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import BinaryIO, cast

from carecloud_async._base.runtime.thread_yield import ThreadYielder
from carecloud_async._lists.export.formats.sinks import Layout
from carecloud_async._lists.export.storage.checkpoint import Checkpoint
from carecloud_async._lists.export.storage.sink_stream import SinkStream
from carecloud_async._lists.export.storage.stoppable_file import FileStoppedError
from carecloud_async._lists.export.storage.target import Target

__all__ = ["DirectFile"]

#: Bytes that are collected before they are written.
_BUFFER = 1 << 16
_log = logging.getLogger("carecloud_async.export")


class DirectFile:
    """Writes straight to a target. A method can block forever (a pipe may have no reader); `stop` ends it.

    Args:
        target: the target.
        layout: the layout for the sink.
        encode: turns records into bytes, a piece at a time, for formats without a sink.

    Attributes:
        nulls: the number of values that the format wrote as null, by dotted field name; once it is finished.
    """

    def __init__(self, target: Target, *, layout: Layout, encode: Callable[[Sequence[bytes]], Iterable[bytes]]) -> None:
        self._format = target.format
        self._layout = layout
        self._encode = encode
        self._yielder = ThreadYielder()
        self._file = target.stoppable_file()
        self._buffer = cast("BinaryIO", io.BufferedWriter(self._file, _BUFFER))
        self._sink: SinkStream | None = None
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
        if not lines:
            return
        if self._format.sink is None:
            for data in self._encode(lines):
                self._buffer.write(data)
                self._yielder.rest()
            self._buffer.flush()
            return
        sink = self._sink
        if sink is None:
            sink = self._sink = SinkStream(self._buffer, self._format, self._layout)
            sink.infer_schema(lines)
        sink.write(lines)
        if sink.outdated and not self._warned:
            self._warned = True
            _log.warning("records have fields that no column was written for: export to a file to have them all")

    def finish(self) -> None:
        """Write the end of the file.

        Raises:
            FileStoppedError: see `stop`.
            OSError: the reader has gone.
        """
        if self._format.sink is not None:
            sink = self._sink or SinkStream(self._buffer, self._format, self._layout)
            self.nulls = sink.finish()
            self._sink = None
        self._buffer.flush()

    def close(self) -> None:
        """Close the file; unfinished output is abandoned. No thread uses it any more."""
        self._file.stop()  # so that what is still buffered does not block here
        with contextlib.suppress(OSError, ValueError, FileStoppedError):
            self._buffer.close()
        if self._sink is not None:
            self._sink.abandon()

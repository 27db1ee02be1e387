"""Targets that are not regular files (pipes, terminals, `/dev/stdout`): written as the records arrive, irrevocably."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO

from carecloud_async.export.errors import nesting_errors
from carecloud_async.export.formats.compression import abandon, compressing
from carecloud_async.export.formats.sinks import IncrementalSink, Layout, Sink
from carecloud_async.export.storage.checkpoint import Checkpoint
from carecloud_async.export.storage.target import Target
from carecloud_async.runtime.thread_yield import ThreadYielder

__all__ = ["DirectFile"]

_log = logging.getLogger("carecloud_async.export")


class DirectFile:
    """Writes straight to a target. Every method except `close` blocks, perhaps for ever: a pipe may have no reader.

    If the export is cancelled, a blocked thread is abandoned. It closes the file itself as soon as it can.

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
        self._file: BinaryIO | None = None
        self._stream: BinaryIO | None = None
        self._sink: Sink | None = None
        self._finished = False
        self._lock = threading.Lock()
        self._closed = False
        self._warned = False
        self.nulls: Mapping[str, int] = {}

    def open(self) -> None:
        """Open it; a pipe waits for its reader.

        Raises:
            OSError: it cannot be opened.
        """
        with self._using():
            self._file = self._target.open_direct()

    def commit(self, lines: Sequence[bytes], _: Checkpoint) -> None:
        """Write records.

        Raises:
            OSError: the reader has gone.
        """
        with self._using():
            self._write(lines)

    def _write(self, lines: Sequence[bytes]) -> None:
        file = self._file
        if file is None or not lines:
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
            OSError: the reader has gone.
        """
        with self._using():
            self._end()

    def close(self) -> None:
        """Close the file, or let the thread that uses it do so; unfinished output is abandoned."""
        self._closed = True
        self._close_unless_used()

    @contextlib.contextmanager
    def _using(self) -> Iterator[None]:
        if self._closed:
            raise ValueError("the file is closed")  # the export was cancelled before this thread began
        try:
            with self._lock:
                yield
        finally:
            if self._closed:
                self._close_unless_used()

    def _close_unless_used(self) -> None:
        if self._lock.acquire(blocking=False):
            try:
                self._let_go()
            finally:
                self._lock.release()

    def _end(self) -> None:
        file = self._file
        if file is None:
            return
        if self._target.format.sink is not None:
            sink = self._begun(file)
            sink.close()
            self.nulls = sink.nulls
            if self._stream is not None:
                self._stream.close()
        self._finished = True
        file.flush()

    def _let_go(self) -> None:
        if self._sink is not None and not self._finished:
            self._sink.abort()
        if self._file is not None:
            with contextlib.suppress(OSError, ValueError):
                self._file.close()
        if self._stream is not None:
            abandon(self._stream)

    def _begun(self, file: BinaryIO) -> Sink:
        make = self._target.format.sink
        if self._sink is not None or make is None:
            return self._sink  # type: ignore[return-value]
        self._stream = compressing(file, self._target.format.compression)
        return make(self._stream, self._layout)

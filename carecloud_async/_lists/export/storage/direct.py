"""Targets that are not regular files (pipes, terminals, `/dev/stdout`): written as the records arrive, irrevocably.

A write to a pipe without a reader blocks forever. A thread that is blocked so cannot be ended from outside, and Python
waits for it at exit. `StoppableFile` therefore waits with `poll` until the descriptor takes bytes, and looks now and
then whether it was stopped.
"""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import select
import stat
import threading
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from carecloud_async._base.runtime.threads import ThreadYielder
from carecloud_async._lists.export.errors import BadExportError
from carecloud_async._lists.export.formats.registry import SinkStream
from carecloud_async._lists.export.reading.pages import RawPage
from carecloud_async._lists.export.reading.seen import TemporarySeen
from carecloud_async._lists.export.report import ExportReport
from carecloud_async._lists.export.request import ExportRequest
from carecloud_async._lists.export.storage.checkpoint import Checkpoint
from carecloud_async._lists.export.storage.export_file import Ended
from carecloud_async._lists.export.storage.writer import Writer
from carecloud_async.errors import ExportError

__all__ = ["DirectFile", "FileStoppedError", "StoppableFile"]

#: Bytes that are collected before they are written.
_BUFFER = 1 << 16
_log = logging.getLogger("carecloud_async.export")

#: Seconds between two looks at whether the file was stopped.
_LOOK = 0.05
#: A pipe that `poll` reports as writable takes this many bytes without blocking (POSIX, `pipe`).
_PIPE_BUF = getattr(select, "PIPE_BUF", 512)


class DirectFile(Writer):
    """What takes the place of an `ExportFile`. A method can block forever (a pipe may have no reader); `stop` ends it.

    Args:
        request: the export.

    Attributes:
        nulls: the number of values that the format wrote as null, by dotted field name; known when it is finished.
    """

    interval = 0.0

    def __init__(self, request: ExportRequest) -> None:
        super().__init__(request.source.clock)
        self._request, self._target = request, request.target
        self._encode = request.encode
        self._yielder = ThreadYielder()
        self._file = StoppableFile(request.target.opened_as)
        self.stop = self._file.stop
        self._buffer = cast("BinaryIO", io.BufferedWriter(self._file, _BUFFER))
        self._sink: SinkStream | None = None
        self._warned = False
        self._temporary: TemporarySeen | None = None
        self.nulls: Mapping[str, int] = {}

    def open(self) -> None:
        """Open it; a pipe waits for its reader.

        Raises:
            ExportError: an export to it cannot be resumed.
            FileStoppedError: see `stop`.
            OSError: it cannot be opened.
        """
        if self._request.resume:
            raise BadExportError(f"{self._target.shown} is not a regular file: an export to it cannot be resumed")
        self.seen = self._temporary = TemporarySeen()
        self._file.open()

    def restore(self) -> None:
        """Return `None`: no earlier run is continued."""

    def commit(self, pages: Sequence[RawPage], checkpoint: Checkpoint) -> None:
        """Write the records that were not shown before.

        Raises:
            ExportError: the reader has gone.
            FileStoppedError: see `stop`.
        """
        with self._target.disk_errors():
            lines = self.seen.select_lines(pages, sweep=checkpoint.sweep)
            if lines:
                self._write(lines)

    def _write(self, lines: Sequence[bytes]) -> None:
        if self._target.format.sink is None:
            for data in self._encode(lines):
                self._buffer.write(data)
                self._yielder.rest()
            self._buffer.flush()
            return
        sink = self._sink
        if sink is None:
            sink = self._open_sink()
            sink.infer_schema(lines)
        sink.write(lines)
        if sink.outdated and not self._warned:
            self._warned = True
            _log.warning("records have fields that no column was written for: export to a file to have them all")

    def _open_sink(self) -> SinkStream:
        self._sink = SinkStream(self._buffer, self._target.format, self._request.layout)
        return self._sink

    def clear(self) -> None:
        """Refuse it.

        Raises:
            ExportError: always.
        """
        raise ExportError(
            f"several records of {self._request.source.name} have one id, and what was written to "
            f"{self._target.shown} cannot be taken back: export to a file"
        )

    def finish(self) -> Generator[None]:
        """Write the end of the file; yields before it.

        Raises:
            FileStoppedError: see `stop`.
            OSError: the reader has gone.
        """
        yield
        if self._target.format.sink is not None:
            self.nulls = (self._sink or self._open_sink()).finish()
            self._sink = None
        self._buffer.flush()

    def publish(self, report: ExportReport) -> Ended:
        """Return the end: everything has arrived."""
        return Ended(report=report, timeless=self._request.found_timeless)

    def close(self) -> None:
        """Close the file; unfinished output is abandoned. No thread uses it any more."""
        self._file.stop()  # so that what is still buffered does not block here
        with contextlib.suppress(OSError, ValueError, FileStoppedError):
            self._buffer.close()
        if self._sink is not None:
            self._sink.abandon()
        if self._temporary is not None:
            self._temporary.close()


class FileStoppedError(Exception):
    """The file was stopped while it waited for its reader."""


class StoppableFile(io.RawIOBase):
    """Writes to a target that is not a regular file. `open` and `write` block until the reader comes or reads.

    Args:
        target: a path, or a descriptor, which is duplicated and stays open.
    """

    def __init__(self, target: Path | int) -> None:
        super().__init__()
        self._target = target
        self._stopped = threading.Event()
        self._descriptor: int | None = None
        self._most = _PIPE_BUF

    def stop(self) -> None:
        """Make `open` and `write` raise `FileStoppedError`, in other threads too."""
        self._stopped.set()

    def open(self) -> None:
        """Open the target.

        Raises:
            FileStoppedError: see `stop`.
            OSError: it cannot be opened.
        """
        if isinstance(self._target, int):
            self._descriptor = os.dup(self._target)
        elif self._target.is_fifo():
            self._descriptor = self._open_pipe(self._target)
            self._most = 1 << 20  # the descriptor never blocks and belongs to no other process
        else:
            self._descriptor = os.open(self._target, os.O_WRONLY | getattr(os, "O_BINARY", 0))
        if stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            self._most = 1 << 30

    def _open_pipe(self, path: Path) -> int:
        while not self._stopped.is_set():
            try:
                return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:  # it has no reader yet
                    raise
            self._stopped.wait(_LOOK)
        raise FileStoppedError

    def writable(self) -> bool:
        """Return true."""
        return True

    def write(self, data: Any, /) -> int:
        """Write all of `data` and return its length.

        Args:
            data: bytes, or anything with their interface.

        Raises:
            FileStoppedError: see `stop`.
            OSError: the reader has gone.
        """
        view = memoryview(data).cast("B")
        written = 0
        while written < len(view):
            self._wait()
            try:
                written += os.write(self.fileno(), view[written : written + self._most])
            except BlockingIOError:  # another process filled the pipe
                self._stopped.wait(_LOOK)
        return written

    def fileno(self) -> int:
        """Return the descriptor.

        Raises:
            ValueError: the file is not open.
        """
        if self._descriptor is None:
            raise ValueError("the file is not open")
        return self._descriptor

    def close(self) -> None:
        """Close the descriptor; call it when no other thread uses the file."""
        super().close()
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _wait(self) -> None:
        if not hasattr(select, "poll"):  # Windows: writes block
            return
        poll = select.poll()
        poll.register(self.fileno(), select.POLLOUT)
        while not self._stopped.is_set():
            if poll.poll(_LOOK * 1000):
                return
        raise FileStoppedError

"""A pipe, terminal or device that is written by a worker thread, and whose blocked writes can be stopped.

A write to a pipe without a reader blocks forever. Such a thread cannot be ended from outside, and Python waits for it
at exit. This file therefore waits with `poll` until the descriptor takes bytes, and looks now and then
whether it was stopped.
"""

from __future__ import annotations

import errno
import io
import os
import select
import stat
import threading
from pathlib import Path
from typing import Any

__all__ = ["FileStoppedError", "StoppableFile"]

#: Seconds between two looks at whether the file was stopped.
_LOOK = 0.05
#: A pipe that `poll` calls writable takes so many bytes without blocking (POSIX, `pipe`).
_PIPE_BUF = getattr(select, "PIPE_BUF", 512)


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

"""Printing: data on stdout, everything else as single lines on stderr."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TextIO

#: The exit code of a command that Ctrl-C or SIGTERM ended.
INTERRUPTED = 130


def prepare_streams() -> None:
    """Make the standard streams usable, whatever the shell and its locale are.

    `/dev/null` is opened for each one that was closed when the process began (`2>&-`): Python has `None` for it, and
    its descriptor would become that of the next file or connection. What the encoding of stdout lacks, such as the
    bullets of the help, is replaced; data are written as bytes.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  (for the life of the process)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def say(line: str) -> None:
    """Print one line on stderr for the person at the keyboard; if stderr is closed, nothing happens."""
    try:
        sys.stderr.write(f"carecloud: {' '.join(line.split())}\n")
        sys.stderr.flush()
    except BlockingIOError:  # written with the next line, or at exit
        return
    except (OSError, ValueError):  # as where its reader is gone, or the disk of a log is full
        _discard(sys.stderr)


class ReaderGoneError(Exception):
    """The reader of stdout has closed it, as `head` does; Typer would report the plain `OSError` as a failure."""


def put(data: bytes) -> None:
    """Print data as bytes, so that no locale changes it.

    Raises:
        ReaderGoneError: its reader has closed it.
        OSError: it cannot be written, as to a disk that is full.
    """
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise ReaderGoneError from None
    except OSError:
        discard_output()
        raise


def is_terminal(*, redraws: bool = True) -> bool:
    """Return whether stderr is a terminal.

    Args:
        redraws: whether it must be able to redraw a line.
    """
    try:
        return sys.stderr.isatty() and not (redraws and os.environ.get("TERM") == "dumb")
    except ValueError:  # closed
        return False


def discard_output() -> None:
    """Point stdout at nothing after a write that failed."""
    _discard(sys.stdout)


def _discard(stream: TextIO) -> None:
    """Point a stream at nothing: Python writes what is left in it at exit, and ends with 120 where that fails again."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)

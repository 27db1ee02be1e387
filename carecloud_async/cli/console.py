"""Printing: data on stdout, everything else as single lines on stderr."""

from __future__ import annotations

import contextlib
import io
import os
import sys

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
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"carecloud: {' '.join(line.split())}\n")
        sys.stderr.flush()


class ReaderGoneError(Exception):
    """The reader of stdout has closed it, as `head` does; Typer would report the plain `OSError` as a failure."""


def put(data: bytes) -> None:
    """Print data as bytes, so that no locale changes it.

    Raises:
        ReaderGoneError: its reader has closed it.
    """
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise ReaderGoneError from None


def is_terminal() -> bool:
    """Return whether stderr is a terminal that can redraw a line."""
    try:
        return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:  # closed
        return False


def discard_output() -> None:
    """Point stdout at nothing, so that Python's own flush at exit does not complain about the closed pipe."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)

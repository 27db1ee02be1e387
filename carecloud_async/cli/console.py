"""The terminal and the system: data on stdout, all else as lines on stderr; how Ctrl-C and SIGTERM end a command."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, TextIO

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


#: Whether the process ends after the command; `sigterm_as_ctrl_c` sets it.
_ends_process = False


@contextmanager
def sigterm_as_ctrl_c(*, ends_process: bool = False) -> Iterator[None]:
    """End the block at SIGTERM with `KeyboardInterrupt`, so that what can be kept is kept.

    Args:
        ends_process: whether the process ends after the block: `ignores_signals` then lasts until its end.
    """
    global _ends_process
    _ends_process = ends_process
    with _blocked_where_ignored(), _handling({signal.SIGTERM: _interrupt}):
        yield


def _interrupt(_: int, frame: FrameType | None) -> None:
    handler = signal.getsignal(signal.SIGINT)  # while an event loop runs, the loop's own
    if not callable(handler):
        handler = signal.default_int_handler
    handler(signal.SIGINT, frame)


@contextmanager
def _blocked_where_ignored() -> Iterator[None]:
    """Block SIGINT where it is ignored, as a shell makes programs in the background do.

    An event loop handles SIGINT by cancelling its main task only where Python's own handler is set. Otherwise SIGTERM
    would raise `KeyboardInterrupt` in whatever task runs at that moment.
    """
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if not ignored or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with _handling({signal.SIGINT: signal.default_int_handler}):
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def exits_at_once(line: str) -> Iterator[None]:
    """End the process at Ctrl-C or SIGTERM while the block runs, for blocks that write to a reader and keep nothing.

    A write to a pipe that is not read cannot be cancelled: an orderly end would wait for the reader. A thread ends the
    process, because handlers run in the main thread, which may wait for that write.

    Args:
        line: printed before.
    """
    if not _may_handle_signals():
        yield
        return
    signals = {signal.SIGTERM}
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signals.add(signal.SIGINT)
    with _numbers_of_signals() as numbers:
        threading.Thread(target=_exit_at_signal, args=(numbers, line), daemon=True).start()
        with _handling(dict.fromkeys(signals, _left_to_the_thread)):
            yield


@contextmanager
def _numbers_of_signals() -> Iterator[socket.socket]:
    """Yield a socket that gets the number of each signal with a handler of Python, whatever the main thread does."""
    receiver, sender = socket.socketpair()
    sender.setblocking(False)  # as `set_wakeup_fd` requires
    before = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    try:
        yield receiver
    finally:
        signal.set_wakeup_fd(before)
        sender.close()  # the receiver gets an empty text


def _exit_at_signal(numbers: socket.socket, line: str) -> None:
    while number := numbers.recv(1):
        if signal.getsignal(number[0]) is _left_to_the_thread:  # otherwise `ends_questions` handles it
            say(line)
            os._exit(INTERRUPTED)
    numbers.close()


def _left_to_the_thread(_: int, __: FrameType | None) -> None:
    """Do nothing: `_exit_at_signal` acts."""


@contextmanager
def ends_questions() -> Iterator[None]:
    """End a question on the terminal at the first Ctrl-C or SIGTERM with `KeyboardInterrupt`.

    Other handlers would not: that of an event loop cancels the main task, which cannot react while it waits for the
    answer, and `exits_at_once` would leave the terminal without the echo that a password prompt has switched off.
    """
    with _handling({signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.default_int_handler}):
        yield


@contextmanager
def ignores_signals() -> Iterator[None]:
    """Ignore Ctrl-C and SIGTERM while the block runs, for the last step of a command, after which it has succeeded.

    If the process ends after the command, they are ignored until its end: that takes a while, and a signal in it would
    make a command fail that has succeeded.
    """
    with _handling({signal.SIGINT: signal.SIG_IGN, signal.SIGTERM: signal.SIG_IGN}, restores=not _ends_process):
        yield


@contextmanager
def _handling(
    handlers: Mapping[int, Callable[[int, FrameType | None], None] | signal.Handlers], *, restores: bool = True
) -> Iterator[None]:
    """Set handlers of signals for a block, or for good unless `restores`."""
    if not _may_handle_signals():
        yield
        return
    before: dict[int, Any] = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            if restores and signal.getsignal(number) is handlers[number]:  # else a block inside set it for good
                signal.signal(number, handler)


def _may_handle_signals() -> bool:
    return threading.current_thread() is threading.main_thread()

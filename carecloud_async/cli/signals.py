"""Ctrl-C, and SIGTERM, which schedulers and containers send: both end a command in the same way."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from carecloud_async.cli.console import INTERRUPTED, say

__all__ = ["ends_questions", "exits_at_once", "ignores_signals", "sigterm_as_ctrl_c"]

#: Whether the process ends with the command.
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
    handler = signal.getsignal(signal.SIGINT)  # the event loop's, while one runs
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

    A write to a pipe that is not read cannot be cancelled: an orderly end would wait for the reader.

    Args:
        line: printed before.
    """

    def leave(_: int, __: FrameType | None) -> None:
        say(line)
        os._exit(INTERRUPTED)

    handlers: dict[int, Callable[[int, FrameType | None], None]] = {signal.SIGTERM: leave}
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        handlers[signal.SIGINT] = leave
    with _handling(handlers):
        yield


@contextmanager
def ends_questions() -> Iterator[None]:
    """End a question on the terminal at the first Ctrl-C or SIGTERM with `KeyboardInterrupt`.

    The handler of an event loop cancels its main task, which is the one that waits for the answer; and `exits_at_once`
    would leave the terminal without the echo that a password prompt has switched off.
    """
    with _handling({signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.default_int_handler}):
        yield


@contextmanager
def ignores_signals() -> Iterator[None]:
    """Ignore Ctrl-C and SIGTERM while the block runs, for the last step of a command, after which it has succeeded.

    The end of a process takes a while: a signal in it would make a command fail that has succeeded.
    """
    with _handling({signal.SIGINT: signal.SIG_IGN, signal.SIGTERM: signal.SIG_IGN}, lasts=_ends_process):
        yield


@contextmanager
def _handling(
    handlers: Mapping[int, Callable[[int, FrameType | None], None] | signal.Handlers], *, lasts: bool = False
) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
        yield
        return
    before: dict[int, Any] = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            if not lasts and signal.getsignal(number) is handlers[number]:  # not one that lasts
                signal.signal(number, handler)

"""Lets other threads run during long work in a worker thread.

A Python thread releases the interpreter lock when it waits, or when another thread has waited for 5 ms
(`sys.getswitchinterval`). A thread with frequent short writes releases the lock each time, but takes it back before
another thread has woken up, and the 5 ms start again: measured next to such a thread, an event loop waited 13 ms in the
median. A sleep of any length lets the other threads take the lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

__all__ = ["ThreadYielder"]

T = TypeVar("T")

#: Seconds of work between two sleeps, and the seconds of a sleep.
_WORK, _NAP = 0.0007, 0.00005
#: Small steps between two checks of the time.
_STEPS = 16


class ThreadYielder:
    """Lets other threads run between the steps of long work.

    Args:
        now: returns this thread's CPU time in seconds: while it waits, others can run.
        sleep: waits some seconds.
    """

    def __init__(
        self, *, now: Callable[[], float] = time.thread_time, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._now = now
        self._sleep = sleep
        self._since = now()

    def rest(self) -> None:
        """Let other threads run if it is time to. Call this after about every half millisecond of work."""
        if not 0 <= self._now() - self._since < _WORK:  # or the thread has changed
            self._sleep(_NAP)
            self._since = self._now()

    def each(self, items: Iterable[T]) -> Iterator[T]:
        """Yield items that take some microseconds each, with sleeps in between."""
        left = iter(items)
        while some := list(islice(left, _STEPS)):
            yield from some
            self.rest()

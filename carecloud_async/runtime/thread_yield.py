"""Long work in a worker thread that leaves the interpreter to others in between.

A thread of Python lets others run when it waits, or when one of them has asked for 5 ms (`sys.getswitchinterval`). A
thread that writes a little now and then gives way each time, but takes the interpreter back before anybody has woken
up, and those 5 ms begin anew: measured beside such a thread, an event loop waited 13 ms in the median. A nap of any
length lets the others have it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

__all__ = ["ThreadYielder"]

T = TypeVar("T")

#: Seconds of work between two naps, and of a nap.
_WORK, _NAP = 0.0007, 0.00005
#: Small steps between two looks at the time.
_STEPS = 16


class ThreadYielder:
    """Lets other threads run between the steps of a long work.

    Args:
        now: returns the seconds that this thread has computed: while it waited, others could run.
        sleep: waits some seconds.
    """

    def __init__(
        self, *, now: Callable[[], float] = time.thread_time, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._now = now
        self._sleep = sleep
        self._since = now()

    def rest(self) -> None:
        """Give way to other threads if it is time to. To be called after every half millisecond of work or so."""
        if not 0 <= self._now() - self._since < _WORK:  # or this is another thread than before
            self._sleep(_NAP)
            self._since = self._now()

    def each(self, items: Iterable[T]) -> Iterator[T]:
        """Yield items, each of which is worked on for some microseconds, with rests in between."""
        left = iter(items)
        while some := list(islice(left, _STEPS)):
            yield from some
            self.rest()

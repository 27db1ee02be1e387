"""Long computations in slices, so that the other tasks of the event loop, or the other threads, wait briefly."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import islice
from typing import TypeVar

import anyio

from carecloud_async._base.runtime.event_loops import on_asyncio

__all__ = ["CooperativeScheduler", "ThreadYielder"]

R = TypeVar("R")
T = TypeVar("T")

#: The passes of the loop from one slice of a long computation to the next. Records are returned in batches of 250,
#: one in each pass, and decoded in slices of at most a thousand.
_PASSES = 4

#: Seconds of work in a thread between two sleeps, and the seconds of a sleep.
_WORK, _NAP = 0.0007, 0.00005
#: Small steps between two checks of the time.
_STEPS = 16


class CooperativeScheduler:
    """Gives one turn to compute in each pass of the event loop.

    Without it, eight tasks whose answers arrive together would each compute for some milliseconds in the same pass, and
    every other task of the loop would wait for the sum. One scheduler belongs to one event loop; it reads no clock.
    """

    def __init__(self) -> None:
        self._free = anyio.Semaphore(1, fast_acquire=True)
        self._runs = anyio.Lock(fast_acquire=True)

    async def turn(self, *, passes: int = 1) -> None:
        """Wait until this task may compute, for a millisecond or two and at most until it awaits again.

        Turns are granted in the order of the requests. A turn ends by itself in a later pass of the loop, so nothing
        has to be released. A free turn is granted at once, before other tasks run.

        Args:
            passes: the passes of the loop until the next turn. A consumer of a long slice's results needs several:
                results that pile up cost memory, and the garbage collector's time.
        """
        await self._free.acquire()
        # No await may come in between: a turn cancelled there would never end.
        self._end_after(passes)

    def _end_after(self, passes: int) -> None:
        if not passes:
            self._free.release()
        elif on_asyncio():
            import asyncio  # loaded already

            asyncio.get_running_loop().call_soon(self._end_after, passes - 1)
        else:
            import trio  # loaded already

            trio.lowlevel.current_trio_token().run_sync_soon(self._end_after, passes - 1)

    async def run(self, slices: Generator[object, None, R]) -> R:
        """Run a computation, one turn for each slice, and return the value that its generator returns.

        Computations run in the order of their arrival, each to its end: their results are needed in that order. Between
        two slices other tasks of the loop run. Cancelled there, the computation ends: its generator is closed.

        Args:
            slices: the computation; each `yield` ends a slice of about a millisecond, two at most.

        Raises:
            Exception: what the computation raises.
        """
        try:
            async with self._runs:
                while True:
                    await self.turn(passes=_PASSES)
                    try:
                        next(slices)
                    except StopIteration as end:
                        result: R = end.value
                        return result
        finally:
            slices.close()


class ThreadYielder:
    """Lets other threads run between the steps of long work in a worker thread.

    A Python thread releases the interpreter lock when it waits, or when another thread has waited for 5 ms
    (`sys.getswitchinterval`). A thread with frequent short writes releases the lock each time, but takes it back before
    another thread has woken up, and the 5 ms start again: measured next to such a thread, an event loop waited 13 ms in
    the median. A sleep of any length lets the other threads take the lock.

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

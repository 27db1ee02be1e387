"""Long computations in slices: the tasks of one event loop take turns, so that others of the loop wait briefly."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

import anyio
from anyio.lowlevel import checkpoint

__all__ = ["CooperativeScheduler"]

R = TypeVar("R")


class CooperativeScheduler:
    """Runs computations one after another, at most one slice in each pass of the event loop.

    Without it, eight tasks whose answers arrive together would each compute for some milliseconds in the same pass, and
    every other task of the loop would wait for the sum. Computations run in the order of their arrival, each to its
    end. One scheduler belongs to one event loop; it does not need the clock.
    """

    def __init__(self) -> None:
        self._turn = anyio.Lock(fast_acquire=True)

    async def run(self, slices: Generator[object, None, R]) -> R:
        """Run a computation and return the value that its generator returns.

        Other tasks of the loop run between two slices and after the last one. Cancelled while it waits or between two
        slices, the computation ends there: its generator is closed.

        Args:
            slices: the computation; each `yield` ends a slice of about a millisecond, two at most.

        Raises:
            Exception: what the computation raises.
        """
        try:
            async with self._turn:
                while True:
                    try:
                        next(slices)
                    except StopIteration as end:
                        result: R = end.value
                        break
                    await checkpoint()
                # Within the turn: whoever waits for it begins in a later pass of the loop.
                await checkpoint()
        finally:
            slices.close()
        return result

"""The neighbour: a task of the same event loop that only sleeps, and notes how late it wakes up.

What it waits for beyond its sleep is what every other task of a web worker would wait for: the work beside it held the
loop, or a thread of it held the interpreter's lock.
"""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from typing import TypeVar

#: How long the neighbour sleeps at a time, in seconds.
SLEEP = 0.001

T = TypeVar("T")


async def beside(work: Awaitable[T]) -> tuple[T, list[float]]:
    """Do some work beside a neighbour; return its result and the neighbour's delays in seconds.

    Raises:
        Exception: whatever the work raises.
    """
    delays: list[float] = []
    neighbour = asyncio.create_task(_sleep_again_and_again(delays))
    try:
        return await work, delays
    finally:
        neighbour.cancel()


async def _sleep_again_and_again(delays: list[float]) -> None:
    while True:
        began = time.perf_counter()
        await asyncio.sleep(SLEEP)
        delays.append(time.perf_counter() - began - SLEEP)


def percentile_ms(delays: Sequence[float], percent: float) -> float:
    """Return a percentile of the delays, in milliseconds.

    Raises:
        ValueError: the neighbour never woke up.
    """
    if not delays:
        raise ValueError("the work held the loop from its beginning to its end: its neighbour never woke up")
    place = min(int(len(delays) * percent / 100), len(delays) - 1)
    return sorted(delays)[place] * 1e3

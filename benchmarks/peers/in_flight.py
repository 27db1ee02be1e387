"""How a script keeps N requests in flight: workers that take the next item until there is none."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def each(items: Iterable[T], work: Callable[[T], Awaitable[int]], *, at_once: int) -> int:
    """Do the work for each item, a limited number at a time; return the sum of the results."""
    waiting = iter(items)

    async def worker() -> int:
        done = 0
        for item in waiting:
            done += await work(item)
        return done

    return sum(await asyncio.gather(*(worker() for _ in range(at_once))))

"""Run coroutines a few at a time, and raise the first error as itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence

import anyio

__all__ = ["run_all"]


async def run_all(jobs: Sequence[Callable[[], Awaitable[None]]], *, width: int) -> None:
    """Run jobs, at most `width` at once; after an error no further one begins.

    Raises:
        Exception: the first error of a job, never an exception group.
    """
    if len(jobs) == 1:
        await jobs[0]()
        return
    errors: list[Exception] = []
    waiting: Iterator[Callable[[], Awaitable[None]]] = iter(jobs)

    async def work() -> None:
        for job in waiting:
            if errors:
                return
            try:
                await job()
            except Exception as error:  # noqa: BLE001  (raised below)
                errors.append(error)

    async with anyio.create_task_group() as tasks:
        for _ in range(min(width, len(jobs))):
            tasks.start_soon(work)
    if errors:
        raise errors[0]

"""Run coroutines a few at a time, and raise the first error as itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import anyio

__all__ = ["run_all"]

T = TypeVar("T")


async def run_all(
    jobs: Sequence[Callable[[], Awaitable[T]]], *, width: int | None = None, cancels: bool = False
) -> list[T]:
    """Run jobs and return their results in order; after an error no further job begins.

    Args:
        width: how many run at once; all if left out.
        cancels: whether an error cancels the jobs that run; otherwise they end first.

    Raises:
        Exception: the first error of a job, not an `ExceptionGroup`.
    """
    if len(jobs) == 1:
        return [await jobs[0]()]
    results: dict[int, T] = {}
    errors: list[Exception] = []
    waiting = iter(enumerate(jobs))

    async def work() -> None:
        for number, job in waiting:
            if errors:
                return
            try:
                results[number] = await job()
            except Exception as error:  # noqa: BLE001  (raised below)
                errors.append(error)
                if cancels:
                    tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for _ in range(min(width or len(jobs), len(jobs))):
            tasks.start_soon(work)
    if errors:
        raise errors[0]
    return [results[number] for number in range(len(jobs))]

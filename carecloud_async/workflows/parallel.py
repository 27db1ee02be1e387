"""Several reads at once, with the error of the first that fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio

__all__ = ["in_parallel"]


async def in_parallel(*reads: Callable[[], Awaitable[Any]]) -> list[Any]:
    """Return the results of several reads, made at once, in their order.

    If one fails, the others are cancelled and its error is raised, not an `ExceptionGroup`.
    """
    results: dict[int, Any] = {}
    failed: list[Exception] = []

    async def run(number: int, read: Callable[[], Awaitable[Any]]) -> None:
        try:
            results[number] = await read()
        except Exception as error:  # noqa: BLE001  (raised below, outside of the group)
            failed.append(error)
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for number, read in enumerate(reads):
            tasks.start_soon(run, number, read)
    if failed:
        raise failed[0]
    return [results[number] for number in range(len(reads))]

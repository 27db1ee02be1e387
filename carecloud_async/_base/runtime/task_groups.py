"""Tasks of a block: in its background, or some jobs at a time; errors are raised as themselves, not in groups."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import anyio
from anyio.abc import TaskGroup

__all__ = ["BackgroundTasks", "run_all"]

T = TypeVar("T")


class BackgroundTasks:
    """A task group for helpers of an `async with` block.

    Leaving the block cancels the running tasks. The block's own exception is never wrapped into an exception group
    (PEP 654), because the tasks return their errors as values.
    """

    def __init__(self) -> None:
        self._group: TaskGroup | None = None
        self._ended = False

    async def __aenter__(self) -> Self:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        group, self._group = self._group, None
        self._ended = True
        if group is not None:
            group.cancel_scope.cancel()
            await group.__aexit__(None, None, None)

    def start(self, function: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        """Run a task until it is done or the block ends. It must not raise.

        Once the block ends, no task is started: a task that finishes at that moment may still request the next one.
        """
        if self._group is not None:
            self._group.start_soon(function, *args)
        elif not self._ended:
            raise RuntimeError("the block has not begun")


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

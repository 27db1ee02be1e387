"""Tasks of a block: in its background, or some jobs at a time; errors are raised as themselves, not in groups."""

from __future__ import annotations

import contextvars
import math
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import anyio
from anyio.abc import TaskGroup

from carecloud_async._base.runtime.event_loops import await_uninterrupted, on_asyncio

__all__ = ["BackgroundTasks", "DetachedTasks", "run_all"]

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


class DetachedTasks:
    """A task group in a task of its own, which may be closed in another task than it was opened in.

    pytest-asyncio opens and closes what a fixture holds in two tasks, which anyio allows no task group.

    Args:
        work: runs until it is cancelled, given the task group. Neither it nor a task of the group may raise.
    """

    def __init__(self, work: Callable[[TaskGroup], Coroutine[Any, Any, None]]) -> None:
        self._work = work
        self._scope = anyio.CancelScope()
        self._ended = anyio.Event()
        if on_asyncio():
            import asyncio  # loaded already

            self._task = asyncio.create_task(self._run())  # kept: the event loop has only a weak reference
            self._task.add_done_callback(lambda _: self._ended.set())
        else:
            import trio

            trio.lowlevel.spawn_system_task(self._run, context=contextvars.copy_context())

    async def close(self, *, seconds: float, then: Callable[[], object]) -> None:
        """Cancel the tasks, and wait for their end, even if the caller is cancelled.

        Args:
            seconds: how long shielded tasks may go on.
            then: called if they have not ended by then; it takes their shields away.
        """

        async def end() -> None:
            with anyio.move_on_after(seconds):
                await self._ended.wait()
            if not self._ended.is_set():
                then()
            await self._ended.wait()

        self._scope.cancel()
        await await_uninterrupted(end, seconds=math.inf)

    async def _run(self) -> None:
        try:
            with self._scope:
                async with anyio.create_task_group() as group:
                    await self._work(group)
        finally:
            self._ended.set()


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

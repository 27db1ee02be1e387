"""Tasks: those of a block, some jobs at a time, turns to compute, and locks by key; all on asyncio and trio.

Errors are raised as themselves, not in groups.
"""

from __future__ import annotations

import contextvars
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Hashable, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

import anyio
from anyio.abc import TaskGroup

from carecloud_async._base.runtime.event_loops import await_uninterrupted, on_asyncio

R = TypeVar("R")
T = TypeVar("T")

#: The passes of the loop from one slice of a long computation to the next. A slice decodes up to a thousand records,
#: and its consumer takes a batch of 250 in each pass.
_PASSES = 4


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
    """A task group in a task of its own, so that any task may close it.

    A task group of anyio must be closed by the task that opened it. pytest-asyncio opens and closes what a fixture
    holds in two tasks.

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
            # A task that is cancelled before its first step never runs the `finally` of `_run`.
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


class CooperativeScheduler:
    """Gives one turn to compute in each pass of the event loop.

    Without it, eight tasks whose answers arrive together would each compute for some milliseconds in the same pass, and
    every other task of the loop would wait for the sum. One scheduler belongs to one event loop; it reads no clock.
    """

    def __init__(self) -> None:
        self._free = anyio.Semaphore(1, fast_acquire=True)  # not a lock: the loop releases it, not the task
        self._running = anyio.Lock(fast_acquire=True)

    async def turn(self, *, passes: int = 1) -> None:
        """Wait until this task may compute, for a millisecond or two and at most until it awaits again.

        Turns are granted in the order of the requests. A turn ends by itself in a later pass of the loop, so nothing
        has to be released. A free turn is granted at once, before other tasks run.

        Args:
            passes: the passes of the loop until the next turn. After a long slice its consumer needs several to take
                the results; if these pile up, they cost memory, and the garbage collector's time.
        """
        await self._free.acquire()
        # There must be no await here: a turn that is cancelled at it would never end.
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
            async with self._running:
                while True:
                    await self.turn(passes=_PASSES)
                    try:
                        next(slices)
                    except StopIteration as end:
                        result: R = end.value
                        return result
        finally:
            slices.close()


class _CountedLock:
    """The lock of one key.

    Attributes:
        users: tasks that hold it or wait for it.
    """

    def __init__(self) -> None:
        self.lock = anyio.Lock()
        self.users = 0


class KeyedLock:
    """Locks by key: tasks with the same key take turns in the order of their arrival, others do not wait.

    A key is removed when its last task leaves, so memory does not grow with the number of keys.
    """

    def __init__(self) -> None:
        self._locks: dict[Hashable, _CountedLock] = {}

    def __len__(self) -> int:
        """Number of keys that are held or waited for."""
        return len(self._locks)

    def __repr__(self) -> str:
        # Keys are external ids and card numbers.
        return f"<KeyedLock with {len(self)} keys>"

    @asynccontextmanager
    async def hold(self, key: Hashable) -> AsyncIterator[None]:
        """Hold the lock of a key in a block: `async with lock.hold(key):`. It is not reentrant.

        Args:
            key: the key, which only one task holds at a time.
        """
        counted = self._locks.setdefault(key, _CountedLock())
        counted.users += 1
        try:
            async with counted.lock:
                yield
        finally:
            counted.users -= 1
            if not counted.users:
                del self._locks[key]

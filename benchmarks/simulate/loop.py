"""The event loop of a simulation: virtual time, and processes that can be killed between any two steps.

Each callback belongs to the process in whose context it was scheduled. When a process is killed, its callbacks are
dropped and none is accepted from then on: its coroutines stay where they are, as the threads of a killed process do,
and no `finally` of theirs runs.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.simulate.machine import Process

__all__ = ["PROCESS", "SimulatedLoop", "StalledError"]

#: A run looks twice a minute whether another one has released its keys, and that may take hours.
_HOUR = 3600.0

#: The process that runs; `None` for the server and the other parts of the world.
PROCESS: ContextVar[Process | None] = ContextVar("simulated process", default=None)


class StalledError(Exception):
    """Nothing can happen any more, or nothing ends: a task waits for something that never comes."""


class _JumpingSelector:
    """Jumps to the next timer instead of waiting for it."""

    def __init__(self, selector: Any, loop: SimulatedLoop) -> None:
        self._selector = selector
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise StalledError("no task can go on")
        if timeout > 0:
            hour = self._loop.now // _HOUR
            self._loop.now += timeout
            if self._loop.now // _HOUR > hour:
                self._loop.passes = 0
            if self._loop.now > self._loop.end:
                raise StalledError(f"still running after {self._loop.end:,.0f} seconds")
        self._loop.passes += 1
        if self._loop.passes > self._loop.most_passes:
            raise StalledError(f"{self._loop.most_passes:,} steps in an hour")
        return []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._selector, name)


class _Task(asyncio.Task[Any]):
    """A task with the same hash in every run: in the order of their hashes the tasks of a set are cancelled."""

    def __init__(self, number: int, work: Any, **settings: Any) -> None:
        self.number = number  # first: asyncio puts the task into a set at once
        super().__init__(work, **settings)

    def __hash__(self) -> int:
        return self.number


class SimulatedLoop(asyncio.SelectorEventLoop):
    """The loop; nothing in it may wait for a thread or a socket.

    Args:
        end: the virtual time at which it gives up.
        most_passes: the passes within a virtual hour after which it gives up.

    Attributes:
        now: its time, in seconds.
        passes: its passes in this hour.
    """

    def __init__(self, *, end: float, most_passes: int) -> None:
        self.now = 0.0
        self.end = end
        self.passes = 0
        self.most_passes = most_passes
        self._numbers = itertools.count(1)
        super().__init__()
        self._selector = _JumpingSelector(self._selector, self)  # type: ignore[has-type]
        self._clock_resolution = 1e-9
        self.set_task_factory(self._make_task)
        self.set_exception_handler(lambda *_: None)

    def time(self) -> float:
        """Return the virtual time."""
        return self.now

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        """See `asyncio`; what a killed process schedules is dropped."""
        return _without_dead(super().call_soon(callback, *args, context=context))

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """See `asyncio`; what a killed process schedules is dropped."""
        return _without_dead(super().call_at(when, callback, *args, context=context))

    def drop(self, process: Process) -> None:
        """Drop what a process that was killed has scheduled."""
        for handle in [*self._ready, *self._scheduled]:
            if handle._context.get(PROCESS) is process:
                handle.cancel()

    def _make_task(self, _: Any, work: Any, **settings: Any) -> _Task:
        task = _Task(next(self._numbers), work, loop=self, **settings)
        context = settings.get("context")
        process = PROCESS.get() if context is None else context.get(PROCESS)
        if process is not None:
            process.tasks.append(task)
        return task


def _without_dead(handle: Any) -> Any:
    process = handle._context.get(PROCESS)
    if process is not None and process.dead:
        handle.cancel()
    return handle

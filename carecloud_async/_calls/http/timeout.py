"""Timeout: bounds on the time of a call and its phases; the waits that end with them, or with the client."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

import anyio
from attrs import field, frozen
from attrs.validators import optional

from carecloud_async._base.runtime.event_loops import asyncio_loop, loop_time
from carecloud_async._base.runtime.validators import number, require_number
from carecloud_async.errors import ConfigurationError

if TYPE_CHECKING:
    import asyncio

__all__ = ["Timeout"]


#: How often waits ask whether the user's own client underneath was closed.
_LOOK_SECONDS = 1.0


class OutOfTimeError(Exception):
    """The time of a call is over, or its client was closed, while it waited."""


@frozen(kw_only=True)
class Timeout:
    """Bounds on the time of a call, in seconds.

    Attributes:
        connect: to make a connection.
        read: without a byte of the answer.
        total: for the whole call, logins and repeats included; the wait at the rate limiter does not count.
        limiter: for waiting at the rate limiter, in all attempts together; as long as `total` if left out. Then
            `RateLimitError`.
    """

    connect: float = field(default=5.0, validator=number())
    read: float = field(default=30.0, validator=number())
    total: float = field(default=120.0, validator=number())
    limiter: float | None = field(default=None, validator=optional(number()))

    @property
    def limiter_seconds(self) -> float:
        """The longest wait at the rate limiter."""
        return self.total if self.limiter is None else self.limiter


def to_timeout(value: Timeout | float) -> Timeout:
    """Return a `Timeout` as it is, and a number of seconds as the total of one."""
    if isinstance(value, Timeout):
        return value
    if value is None:
        raise ConfigurationError(
            "timeout cannot be None: a call without an end is not supported; give seconds, such as timeout=600, or "
            "Timeout(connect=…, read=…, total=…)"
        )
    require_number("Timeout: total", value)
    return Timeout(connect=min(5.0, value), read=min(30.0, value), total=float(value))


class Waiting:
    """A wait that ends with its time, and with the client: as a block, which then raises an `OutOfTimeError`.

    Args:
        running: the calls under way.
        seconds: its time, from now.

    Attributes:
        deadline: its end, by the clock of the event loop.
    """

    __slots__ = ("_running", "_scope", "deadline")

    def __init__(self, running: RunningCalls, seconds: float) -> None:
        self._running = running
        self.deadline: float = loop_time() + seconds

    def __enter__(self) -> anyio.CancelScope:
        self._scope = anyio.CancelScope(deadline=self.deadline)
        self._running.add(self._scope)
        return self._scope.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self._running.remove(self._scope)
        swallowed = self._scope.__exit__(kind, error, traceback)
        if self._scope.cancelled_caught:
            raise OutOfTimeError
        return swallowed


class _Wait(Protocol):
    def cancel(self) -> None: ...


class RunningCalls:
    """The calls under way and their waits, all in one event loop, so that the closing of the client can end them.

    Args:
        is_closed: whether the HTTP client underneath was closed, if it is the user's: nothing tells the calls, and
            aiohttp does not even end the reading of a body. It is asked when a call ends, and every second.
    """

    def __init__(self, is_closed: Callable[[], bool] | None = None) -> None:
        self._is_closed = is_closed
        self._look: asyncio.TimerHandle | None = None  # on asyncio; trio's streams end their readers themselves
        self._count = 0
        self._waits: set[_Wait] = set()
        self._ended: anyio.Event | None = None  # while the client is closed: set when anything ends

    def begin(self) -> None:
        """Count a call that begins."""
        self._count += 1

    def end(self) -> None:
        """Count a call that has ended."""
        self._count -= 1
        if self._ended is not None:
            self._ended.set()
        elif self._is_closed is not None and self._is_closed():
            self.end_waits()

    def add(self, wait: _Wait) -> None:
        """Take note of a wait that begins."""
        self._waits.add(wait)
        if self._ended is not None:
            wait.cancel()
        elif self._is_closed is not None and self._look is None:
            self._look_later(self._is_closed)

    def remove(self, wait: _Wait) -> None:
        """Forget a wait that has ended."""
        self._waits.discard(wait)
        if self._ended is not None:
            self._ended.set()

    def end_waits(self) -> None:
        """End all waits under way, and those that begin from now on."""
        self._ended = self._ended or anyio.Event()
        for wait in list(self._waits):
            wait.cancel()

    async def cancel(self, *, seconds: float) -> None:
        """End all waits, see `end_waits`.

        Args:
            seconds: how long to wait for their end.
        """
        self.end_waits()
        await self._until(lambda: not self._waits, seconds)

    async def wait(self, *, seconds: float) -> None:
        """Wait until the calls have ended.

        Args:
            seconds: the longest wait.
        """
        await self._until(lambda: not self._count, seconds)

    def _look_later(self, is_closed: Callable[[], bool]) -> None:
        def look() -> None:
            self._look = None
            if is_closed():
                self.end_waits()
            elif self._waits:
                self._look_later(is_closed)

        loop = asyncio_loop()
        if loop is not None:
            self._look = loop.call_later(_LOOK_SECONDS, look)

    async def _until(self, is_over: Callable[[], bool], seconds: float) -> None:
        # Shielded: the caller may itself be inside a call that was just ended.
        with anyio.move_on_after(seconds, shield=True):
            while not is_over():
                self._ended = anyio.Event()
                await self._ended.wait()


class Permits:
    """Permits for connections, one for each request. Requests get them in the order in which they asked.

    Args:
        number: how many there are.

    Attributes:
        free: how many can be taken; no call waits while there is one.
    """

    def __init__(self, number: int) -> None:
        self.free: int = number
        self._waiters: deque[_Waiter] = deque()

    def try_take(self) -> bool:
        """Take a permit if one is free; return whether it was."""
        if not self.free:
            return False
        self.free -= 1
        return True

    def release(self) -> None:
        """Give a permit back: the first who waits has it at once."""
        while self._waiters:
            if self._waiters.popleft().end(granted=True):
                return
        self.free += 1

    async def take(self, running: RunningCalls, seconds: float, *, ahead: bool = False) -> None:
        """Take a permit; wait for one if none is free.

        Args:
            running: the calls under way.
            seconds: the longest wait.
            ahead: take it before all that wait.

        Raises:
            OutOfTimeError: none came in time, or the client was closed.
        """
        if self.try_take():
            return
        waiter = _Waiter()
        (self._waiters.appendleft if ahead else self._waiters.append)(waiter)
        try:
            await waiter.wait(running, seconds)
        except BaseException:
            if not waiter.end(granted=False) and waiter.granted:
                self.release()  # it came in the moment of the cancellation
            raise
        if not waiter.granted:
            raise OutOfTimeError


class _Waiter:
    """A call that waits for a permit.

    Attributes:
        granted: whether it has a permit; `None` while it waits.
    """

    __slots__ = ("_wake", "granted")

    def __init__(self) -> None:
        self.granted: bool | None = None
        self._wake: Callable[[], None]

    async def wait(self, running: RunningCalls, seconds: float) -> None:
        """Wait until the wait is ended, by others or by its time."""
        loop = asyncio_loop()
        if loop is None:
            ended = anyio.Event()
            self._wake = ended.set
            with Waiting(running, seconds):
                await ended.wait()
            return
        # On asyncio an event and a cancel scope for each would take a fifth of a small call.
        future: asyncio.Future[None] = loop.create_future()
        self._wake = lambda: None if future.done() else future.set_result(None)  # done: the task was cancelled
        timer = None if seconds == math.inf else loop.call_later(seconds, self.cancel)
        running.add(self)  # this ends the wait at once if the client is being closed
        try:
            await future
        finally:
            running.remove(self)
            if timer is not None:
                timer.cancel()

    def end(self, *, granted: bool) -> bool:
        """End the wait; return whether it had not ended before."""
        if self.granted is not None:
            return False
        self.granted = granted
        self._wake()
        return True

    def cancel(self) -> None:
        self.end(granted=False)

"""A clock that moves when a test advances it, or when every task that uses it sleeps."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import anyio.lowlevel

from carecloud_async._base.runtime.threads import are_threads_at_work

#: The initial time: a working day, far from the switch to summer time.
START = datetime(2026, 3, 2, 12, tzinfo=UTC)

#: How often a sleeper yields to the others before it moves the clock, so that tasks that go to sleep at the same
#: time sleep concurrently and not one after another.
_YIELDS = 20
#: How long a sleeper waits for work in threads, in real seconds: the work may wait for a task that sleeps.
_PATIENCE = 30.0
#: Real seconds between two looks of a sleeper at what the others do.
_NAP = 0.001


class FakeClock:
    """A clock for tests, of the sandbox and of its clients. A sleep moves the clock and takes no real time.

    Args:
        start: an aware datetime.

    Attributes:
        sleeps: how long the sleeps were, in seconds, in the order they began.
    """

    def __init__(self, start: datetime = START) -> None:
        self.sleeps: list[float] = []
        self._start = start.timestamp()
        self._elapsed = 0.0
        self._waking: list[float] = []
        self._changes = 0

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment."""
        return 1000.0 + self._elapsed

    def time(self) -> float:
        """Seconds since 1970."""
        return self._start + self._elapsed

    def now(self) -> datetime:
        """The current time, in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    def advance(self, seconds: float) -> None:
        """Move the clock forward by a number of seconds."""
        if seconds < 0:
            raise ValueError("the clock moves forward only: give 0 seconds or more")
        self._elapsed += seconds

    async def sleep(self, seconds: float) -> None:
        """Move the clock forward by a number of seconds; if another task wakes earlier, that task runs first."""
        self.sleeps.append(seconds)
        wake = self._elapsed + seconds
        self._waking.append(wake)
        self._changes += 1
        try:
            await anyio.lowlevel.checkpoint()
            while self._elapsed < wake:
                if min(self._waking) < wake:
                    await anyio.sleep(_NAP)
                elif await self._do_others_wait():
                    self._elapsed = wake
        finally:
            self._waking.remove(wake)
            self._changes += 1

    async def _do_others_wait(self) -> bool:
        """Let the other tasks run; return whether they do nothing but sleep, or wait for something that no thread does.

        A task that has begun or ended to sleep meanwhile has not done what it will do.
        """
        began, calm, changes = time.monotonic(), 0, self._changes
        while calm < _YIELDS and self._changes == changes:
            calm += 1
            if are_threads_at_work() and time.monotonic() < began + _PATIENCE:
                calm = 0
                await anyio.sleep(_NAP)
            await anyio.lowlevel.checkpoint()
        return self._changes == changes

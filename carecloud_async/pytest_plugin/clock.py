"""A clock that stands still until a test advances it, or until every task that uses it sleeps."""

from __future__ import annotations

from datetime import UTC, datetime

import anyio.lowlevel

#: The initial time: a working day, far from the nights in which clocks change.
START = datetime(2026, 3, 2, 12, tzinfo=UTC)

#: How often a sleeper yields to the others before it moves the clock, so that tasks that go to sleep at the same
#: time sleep concurrently and not one after another.
_COURTESY = 20


class FakeClock:
    """See `carecloud_async.runtime.clock.Clock`. A sleep moves the clock instead of waiting.

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

    def monotonic(self) -> float:
        """Seconds since the start, and some."""
        return 1000.0 + self._elapsed

    def time(self) -> float:
        """Seconds since 1970."""
        return self._start + self._elapsed

    def now(self) -> datetime:
        """The instant, in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    def advance(self, seconds: float) -> None:
        """Let a number of seconds pass."""
        if seconds < 0:
            raise ValueError("time does not go back")
        self._elapsed += seconds

    async def sleep(self, seconds: float) -> None:
        """Let a number of seconds pass; if another sleeper wakes earlier, continue to sleep."""
        self.sleeps.append(seconds)
        wake = self._elapsed + seconds
        self._waking.append(wake)
        try:
            for _ in range(_COURTESY):
                await anyio.lowlevel.checkpoint()
            while self._elapsed < wake:
                if min(self._waking) >= wake:
                    self._elapsed = wake
                else:
                    await anyio.lowlevel.checkpoint()
        finally:
            self._waking.remove(wake)

"""Models of servers that limit: each admits a call at a moment, or refuses it."""

from collections import deque
from typing import Protocol


class Server(Protocol):
    """What admits calls. `rate` is the limit in calls per second, and may be changed on the way."""

    rate: float

    def admit(self, now: float) -> bool:
        """Return whether a call that arrives now is served; calls arrive in the order of time."""
        ...


class Bucket:
    """A token bucket, full at the start: a token comes `rate` times a second, and each call takes one."""

    def __init__(self, rate: float, capacity: float = 10) -> None:
        self.rate = rate
        self._capacity = capacity
        self._left = capacity
        self._at: float | None = None

    def admit(self, now: float) -> bool:
        """See `Server.admit`."""
        if self._at is not None:
            self._left = min(self._capacity, self._left + (now - self._at) * self.rate)
        self._at = now
        admitted = self._left >= 1 - 1e-9  # a token that came as the call did is there, whatever was rounded
        self._left -= admitted
        return admitted


class FixedWindow:
    """A limit of calls in each window of some seconds by the server's clock."""

    def __init__(self, rate: float, seconds: float = 1.0) -> None:
        self.rate = rate
        self._seconds = seconds
        self._window: float | None = None
        self._count = 0

    def admit(self, now: float) -> bool:
        """See `Server.admit`."""
        if now // self._seconds != self._window:
            self._window, self._count = now // self._seconds, 0
        admitted = self._count < self.rate * self._seconds
        self._count += admitted
        return admitted


class SlidingWindow:
    """A limit of calls in any window of some seconds."""

    def __init__(self, rate: float, seconds: float = 1.0) -> None:
        self.rate = rate
        self._seconds = seconds
        self._served: deque[float] = deque()

    def admit(self, now: float) -> bool:
        """See `Server.admit`."""
        while self._served and self._served[0] <= now - self._seconds:
            self._served.popleft()
        if len(self._served) >= self.rate * self._seconds:
            return False
        self._served.append(now)
        return True

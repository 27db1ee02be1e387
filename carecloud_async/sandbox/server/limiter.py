"""The server's rate limit: so many requests in any window, refused ones not counted."""

from __future__ import annotations

from collections import deque
from threading import Lock


class RateLimiter:
    """Remembers when requests were served."""

    def __init__(self) -> None:
        self._served: deque[float] = deque()
        self._lock = Lock()

    def admits(self, now: float, *, limit: float) -> bool:
        """Whether one more request fits.

        Args:
            now: The server's clock in seconds.
            limit: Requests a second; below one, a request each `1 / limit` seconds.
        """
        window = max(1.0, 1.0 / limit)
        capacity = max(1, int(limit * window))
        with self._lock:
            while self._served and (self._served[0] <= now - window or self._served[0] > now):
                self._served.popleft()
            if len(self._served) >= capacity:
                return False
            self._served.append(now)
            return True

"""A brake on tries of a password: so many refusals of one e-mail, or of one address, in so much time, and then a pause.

CareCloud has limits of its own; this one answers before anything is sent, and keeps one guesser from using them up for
everybody. It counts in the memory of one process: with several workers, put the counters where all see them (Redis:
`INCR` and `EXPIRE`).
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable

#: A guesser who changes names with every try must not fill the memory.
_MOST_KEYS = 10_000


class Tries:
    """Counts refused logins.

    Args:
        most: refusals that are let by.
        seconds: in how much time.
        now: the clock.
    """

    def __init__(self, *, most: int, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._seconds = seconds
        self._now = now
        self._refusals: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, keys: Iterable[str]) -> float:
        """Return the seconds until one more try is let by; 0 if it is now."""
        return max((self._wait(key) for key in keys), default=0.0)

    def refused(self, keys: Iterable[str]) -> None:
        """Count a refusal."""
        for key in keys:
            self._refusals.setdefault(key, deque(maxlen=self._most)).append(self._now())
            self._refusals.move_to_end(key)
        while len(self._refusals) > _MOST_KEYS:
            self._refusals.popitem(last=False)

    def accepted(self, key: str) -> None:
        """Forget the refusals of who has logged in."""
        self._refusals.pop(key, None)

    def _wait(self, key: str) -> float:
        refusals = self._refusals.get(key, ())
        if len(refusals) < self._most:
            return 0.0
        return max(0.0, refusals[0] + self._seconds - self._now())

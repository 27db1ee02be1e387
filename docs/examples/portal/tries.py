"""A limit on refused passwords, for each e-mail and for each network address.

CareCloud has limits of its own, which all customers share. This limit answers before anything is sent, so that one
guesser does not use up CareCloud's. It counts in the memory of one process: with several workers, keep the counters in
a store that they share (Redis: `INCR` and `EXPIRE`).
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable

#: Bounds the memory that a guesser can fill by using a new name for each try.
_MOST_KEYS = 10_000


class Tries:
    """Counts refused logins.

    Args:
        most: how many refusals are allowed.
        seconds: the time in which they are counted.
        now: the clock.
    """

    def __init__(self, *, most: int, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._seconds = seconds
        self._now = now
        self._refusals: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, keys: Iterable[str]) -> float:
        """Return the seconds until the next try is allowed, or 0."""
        return max((self._wait(key) for key in keys), default=0.0)

    def refused(self, keys: Iterable[str]) -> None:
        """Count a refusal."""
        for key in keys:
            self._refusals.setdefault(key, deque(maxlen=self._most)).append(self._now())
            self._refusals.move_to_end(key)
        while len(self._refusals) > _MOST_KEYS:
            self._refusals.popitem(last=False)

    def accepted(self, key: str) -> None:
        """Remove the refusals under a key."""
        self._refusals.pop(key, None)

    def _wait(self, key: str) -> float:
        refusals = self._refusals.get(key, ())
        if len(refusals) < self._most:
            return 0.0
        return max(0.0, refusals[0] + self._seconds - self._now())

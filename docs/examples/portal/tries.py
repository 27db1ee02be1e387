"""A limit on logins that fail, for each e-mail and for each network address.

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
    """Counts the tries to log in that were refused, or are not answered yet.

    Args:
        most: how many are allowed.
        seconds: the time in which they are counted.
        now: the clock.
    """

    def __init__(self, *, most: int, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._seconds = seconds
        self._now = now
        self._counted: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, keys: Iterable[str]) -> float:
        """Return the seconds until the next try is allowed, or 0."""
        return max((self._wait(key) for key in keys), default=0.0)

    def begin(self, keys: Iterable[str]) -> None:
        """Count a try. It counts before it is answered, so that guesses sent at once do not pass the limit together."""
        for key in keys:
            self._counted.setdefault(key, deque(maxlen=self._most)).append(self._now())
            self._counted.move_to_end(key)
        while len(self._counted) > _MOST_KEYS:
            self._counted.popitem(last=False)

    def forget_last(self, keys: Iterable[str]) -> None:
        """Remove the last try of each key, since CareCloud did not judge it."""
        for key in keys:
            if tries := self._counted.get(key):
                tries.pop()

    def succeed(self, email: str, address: str) -> None:
        """Forget the tries for an e-mail, and the last one from an address."""
        self._counted.pop(email, None)
        self.forget_last([address])

    def _wait(self, key: str) -> float:
        tries = self._counted.get(key, ())
        if len(tries) < self._most:
            return 0.0
        return max(0.0, tries[0] + self._seconds - self._now())

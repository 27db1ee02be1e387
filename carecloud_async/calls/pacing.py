"""Pacers say when the next call may leave: at a fixed rate, or at the rate that the server turns out to allow."""

from __future__ import annotations

import math
from typing import Protocol

from carecloud_async.calls.rate_search import PAUSES, PROBE_SECONDS, RateSearch
from carecloud_async.runtime.clock import Clock

#: Seconds of unused pace that may be caught up at once: a late wake-up must not slow the pace down.
CATCH_UP_SECONDS = 0.1
#: How often the first in the queue looks whether the probe's answer is there (seconds).
_PROBE_POLL_SECONDS = 0.005


class Pacer(Protocol):
    """Decides when the next call may leave.

    Attributes:
        pauses: seconds for which all calls pause after 429s in a row that tell no time; the last goes on.
    """

    pauses: tuple[float, ...]

    def delay(self) -> float:
        """Return the seconds until the next call may leave; zero or less means now."""
        ...

    def take(self) -> None:
        """Note that a call leaves."""
        ...

    def on_success(self) -> None:
        """Note that a call was answered, and not with 429."""
        ...

    def on_recovered(self) -> None:
        """Note that the first call after a pause was answered, and not with 429."""
        ...

    def on_throttled(self, *, pause: float) -> None:
        """Note that the server answered 429, and that all calls will pause for this long (seconds)."""
        ...

    def resume_at(self, moment: float) -> None:
        """Let no call leave before this time of the monotonic clock."""
        ...


class FixedPace:
    """A fixed number of calls per second, evenly spread.

    Attributes:
        rate: that number.
    """

    pauses: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)

    def __init__(self, rate: float, *, clock: Clock) -> None:
        self.rate: float = rate
        self._interval = 1 / rate
        self._clock = clock
        self._next = clock.monotonic()

    def delay(self) -> float:
        """See `Pacer.delay`."""
        return self._next - self._clock.monotonic()

    def take(self) -> None:
        """See `Pacer.take`."""
        self._next = max(self._next, self._clock.monotonic() - CATCH_UP_SECONDS) + self._interval

    def on_success(self) -> None:
        """See `Pacer.on_success`; the rate that the user set stays."""

    def on_recovered(self) -> None:
        """See `Pacer.on_recovered`; the rate that the user set stays."""

    def on_throttled(self, *, pause: float) -> None:
        """See `Pacer.on_throttled`; the rate that the user set stays."""

    def resume_at(self, moment: float) -> None:
        """See `Pacer.resume_at`."""
        self._next = max(self._next, moment)


class AdaptivePace:
    """A pace that finds the server's limit; see `RateSearch`.

    Args:
        clock: the clock.
        start: the rate to begin with, in calls per second; unlimited until the first 429 if left out.
    """

    pauses: tuple[float, ...] = PAUSES

    def __init__(self, *, clock: Clock, start: float | None = None) -> None:
        self._clock = clock
        self._search = RateSearch() if start is None else RateSearch.starting_at(start, clock.monotonic())
        self._next = 0.0
        self._probe_until = 0.0

    @property
    def rate(self) -> float | None:
        """Calls per second at this moment; `None` while unlimited."""
        return self._search.rate(self._clock.monotonic())

    def delay(self) -> float:
        """See `Pacer.delay`."""
        if self._search.limit is None:
            return 0.0
        now = self._clock.monotonic()
        if self._search.probing and now < self._probe_until:
            return min(_PROBE_POLL_SECONDS, self._probe_until - now)
        return self._next - now

    def take(self) -> None:
        """See `Pacer.take`."""
        search = self._search
        if search.limit is None:
            return
        now = self._clock.monotonic()
        self._next = max(self._next, now - CATCH_UP_SECONDS) + 1 / (search.rate(now) or math.inf)
        if search.probing:
            search.probed_at = now
            self._probe_until = now + PROBE_SECONDS

    def on_success(self) -> None:
        """See `Pacer.on_success`."""
        self._search.on_success(self._clock.monotonic())

    def on_recovered(self) -> None:
        """See `Pacer.on_recovered`."""
        search = self._search
        if search.probing and search.limit is not None:
            search.on_recovered(self._clock.monotonic())
            self._next = search.probed_at + 1 / search.limit

    def on_throttled(self, *, pause: float) -> None:
        """See `Pacer.on_throttled`."""
        self._search.on_throttled(self._clock.monotonic(), pause=pause)
        self._probe_until = 0.0

    def resume_at(self, moment: float) -> None:
        """See `Pacer.resume_at`; the pause does not count as time in which calls could have been answered."""
        self._next = max(self._next, moment)
        self._search.resumed_at = max(self._search.resumed_at, moment)

"""Pacers say when the next call may leave: at a fixed rate, or at the rate that the server turns out to allow.

The adaptive pace is unlimited until the first 429. The throughput just before a 429 is taken as the limit. If it was
measured over too short a time (a burst says little about a limit), the pace is held for a moment and then doubles until
the next 429 tells more. Otherwise it starts a little below the limit, is back at it within twenty seconds, and grows
slowly (the shape is that of CUBIC, RFC 9438); if there is no 429 then either, the limit was raised, and the pace
doubles.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from carecloud_async.runtime.clock import Clock

#: Seconds of unused pace that may be caught up at once: a late wake-up must not slow the pace down.
CATCH_UP_SECONDS = 0.1
#: Part by which a pace restarts below the limit, and the time it takes to be back (seconds).
DROP = 0.05
RECOVERY_SECONDS = 20.0
#: Window in which the limit is measured, and the shortest part of it that can be trusted (seconds).
WINDOW_SECONDS = 1.5
TRUSTED_SECONDS = 1.0
#: While no measurement can be trusted the pace is held this long, and then doubles in this time (seconds).
HOLD_SECONDS = 1.0
DOUBLING_SECONDS = 1.0
#: Part of an untrusted measurement that is taken: its 429s come in groups.
UNSURE_FACTOR = 0.9
#: After this long without a 429 the limit must have been raised: then the pace doubles in this time (seconds).
PATIENCE_SECONDS = 20.0
REDOUBLING_SECONDS = 4.0
#: A 429 this soon after the last one shows that the measurement included a burst (seconds): less is taken, but not less
#: than this part of what was taken before.
SOON_SECONDS = 8.0
SOON_FACTOR = 0.95
SOON_LEAST = 0.6
#: The slowest pace, in calls per second.
FLOOR = 0.5


class Pacer(Protocol):
    """Decides when the next call may leave."""

    def delay(self) -> float:
        """Return the seconds until the next call may leave; zero or less means now."""
        ...

    def take(self) -> None:
        """Note that a call leaves."""
        ...

    def on_success(self) -> None:
        """Note that a call was answered, and not with 429."""
        ...

    def on_throttled(self) -> None:
        """Note that the server answered 429."""
        ...

    def resume_at(self, moment: float) -> None:
        """Let no call leave before this time of the monotonic clock."""
        ...


class FixedPace:
    """A fixed number of calls per second, evenly spread."""

    def __init__(self, rate: float, *, clock: Clock) -> None:
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

    def on_throttled(self) -> None:
        """See `Pacer.on_throttled`; the rate that the user set stays."""

    def resume_at(self, moment: float) -> None:
        """See `Pacer.resume_at`."""
        self._next = max(self._next, moment)


class AdaptivePace:
    """A pace that finds the server's limit."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._meter = Meter()
        self._limit: float | None = None
        self._sure = False
        self._resumed_at = 0.0
        self._next = 0.0

    @property
    def rate(self) -> float | None:
        """Calls per second at this moment; `None` while unlimited."""
        if self._limit is None:
            return None
        since = max(self._clock.monotonic() - self._resumed_at, 0.0)
        if not self._sure:
            return self._limit * float(2 ** min(max(since - HOLD_SECONDS, 0.0) / DOUBLING_SECONDS, 30.0))
        near = self._limit * (1 + DROP * (since / RECOVERY_SECONDS - 1) ** 3)
        return near * float(2 ** min(max(since - PATIENCE_SECONDS, 0.0) / REDOUBLING_SECONDS, 30.0))

    def delay(self) -> float:
        """See `Pacer.delay`."""
        return 0.0 if self._limit is None else self._next - self._clock.monotonic()

    def take(self) -> None:
        """See `Pacer.take`."""
        rate = self.rate
        if rate is not None:
            self._next = max(self._next, self._clock.monotonic() - CATCH_UP_SECONDS) + 1 / rate

    def on_success(self) -> None:
        """See `Pacer.on_success`."""
        self._meter.count(self._clock.monotonic())

    def on_throttled(self) -> None:
        """See `Pacer.on_throttled`."""
        now = self._clock.monotonic()
        measured, seconds = self._meter.measure(now)
        if self._sure and self._limit is not None and now - self._resumed_at < SOON_SECONDS:
            limit = max(measured * SOON_FACTOR, self._limit * SOON_LEAST)
        else:
            self._sure = seconds >= TRUSTED_SECONDS
            limit = measured if self._sure else measured * UNSURE_FACTOR
        self._limit = max(limit, FLOOR)
        self._resumed_at = now

    def resume_at(self, moment: float) -> None:
        """See `Pacer.resume_at`; the pause does not count as time in which calls could have been answered."""
        self._next = max(self._next, moment)
        self._resumed_at = max(self._resumed_at, moment)
        self._meter.restart(moment)


class Meter:
    """Measures the calls answered per second in the last seconds."""

    def __init__(self) -> None:
        self._start = 0.0
        self._times: deque[float] = deque()

    def restart(self, moment: float) -> None:
        """Forget the past, and ignore what is counted before this time."""
        self._start = max(self._start, moment)
        self._times.clear()

    def count(self, now: float) -> None:
        """Count a call that was answered."""
        if now < self._start:
            return
        self._times.append(now)
        self._forget(now)

    def measure(self, now: float) -> tuple[float, float]:
        """Return the calls per second, and the seconds over which they were measured."""
        self._forget(now)
        if not self._times:
            return 0.0, 0.0
        seconds = now - self._times[0]
        return len(self._times) / max(seconds, TRUSTED_SECONDS), seconds

    def _forget(self, now: float) -> None:
        times = self._times
        while times and times[0] <= now - WINDOW_SECONDS:
            times.popleft()

"""Pace: when the next call may leave. A fixed one, and one that finds the server's limit.

The adaptive pace runs free until the first 429. What was served in the seconds before a refusal is taken as the limit;
the pace starts a tenth below it, climbs back within ten seconds, stays near it, and then climbs ever faster, so that a
limit that was raised or measured too low is found again (the shape is that of CUBIC, RFC 9438).
"""

from __future__ import annotations

from typing import Protocol

from carecloud_async.clock import Clock

#: So many seconds of unused pace may be caught up at once: a late wake-up must not slow the pace down.
CATCH_UP_SECONDS = 0.1
#: How far below the limit a pace restarts, and how long it takes to be back (seconds).
DROP = 0.1
RECOVERY_SECONDS = 10.0
#: The past that counts when the limit is measured, and the least of it that can be trusted (seconds).
WINDOW_SECONDS = 3.0
TRUSTED_SECONDS = 1.0
#: While no measure can be trusted the pace doubles in this time (seconds).
DOUBLING_SECONDS = 1.0
#: The slowest pace, in calls per second.
FLOOR = 0.2


class Pace(Protocol):
    """When the next call may leave."""

    def delay(self) -> float:
        """Seconds until then, zero or less for now."""
        ...

    def take(self) -> None:
        """A call leaves."""
        ...

    def served(self) -> None:
        """A call was answered."""
        ...

    def refused(self) -> None:
        """The server refused calls because there were too many."""
        ...

    def resume_at(self, moment: float) -> None:
        """Nobody leaves before this moment of the monotonic clock."""
        ...


class FixedPace:
    """So many calls per second, evenly spread."""

    def __init__(self, rate: float, *, clock: Clock) -> None:
        self._interval = 1 / rate
        self._clock = clock
        self._next = clock.monotonic()

    def delay(self) -> float:
        """See `Pace.delay`."""
        return self._next - self._clock.monotonic()

    def take(self) -> None:
        """See `Pace.take`."""
        self._next = max(self._next, self._clock.monotonic() - CATCH_UP_SECONDS) + self._interval

    def served(self) -> None:
        """See `Pace.served`; what the user set stays."""

    def refused(self) -> None:
        """See `Pace.refused`; what the user set stays."""

    def resume_at(self, moment: float) -> None:
        """See `Pace.resume_at`."""
        self._next = max(self._next, moment)


class AdaptivePace:
    """The pace that finds the server's limit."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._meter = _Meter(clock.monotonic())
        self._limit: float | None = None
        self._trusted = False
        self._resumed_at = 0.0
        self._next = 0.0

    @property
    def rate(self) -> float | None:
        """Calls per second now; `None` while free."""
        if self._limit is None:
            return None
        since = max(self._clock.monotonic() - self._resumed_at, 0.0)
        if not self._trusted:
            return max(self._limit, FLOOR) * float(2 ** min(since / DOUBLING_SECONDS, 30.0))
        return max(self._limit * (1 + DROP * (since / RECOVERY_SECONDS - 1) ** 3), FLOOR)

    def delay(self) -> float:
        """See `Pace.delay`."""
        return 0.0 if self._limit is None else self._next - self._clock.monotonic()

    def take(self) -> None:
        """See `Pace.take`."""
        rate = self.rate
        if rate is not None:
            self._next = max(self._next, self._clock.monotonic() - CATCH_UP_SECONDS) + 1 / rate

    def served(self) -> None:
        """See `Pace.served`."""
        self._meter.count(self._clock.monotonic())

    def refused(self) -> None:
        """See `Pace.refused`."""
        now = self._clock.monotonic()
        measured, seconds = self._meter.measure(now)
        self._trusted = seconds >= TRUSTED_SECONDS
        self._limit = max(measured, FLOOR)
        self._resumed_at = now

    def resume_at(self, moment: float) -> None:
        """See `Pace.resume_at`; the pause is no time in which anything could have been served."""
        self._next = max(self._next, moment)
        self._resumed_at = max(self._resumed_at, moment)
        self._meter.restart(moment)


class _Meter:
    """How many calls were served per second in the last seconds."""

    _SLOTS = 12
    _WIDTH = WINDOW_SECONDS / _SLOTS

    def __init__(self, start: float) -> None:
        self._start = start
        self._counts: dict[int, int] = {}

    def restart(self, moment: float) -> None:
        self._start = max(self._start, moment)
        self._counts.clear()

    def count(self, now: float) -> None:
        slot = int(now / self._WIDTH)
        if slot in self._counts:
            self._counts[slot] += 1
            return
        self._counts[slot] = 1
        for old in [s for s in self._counts if s <= slot - self._SLOTS]:
            del self._counts[old]

    def measure(self, now: float) -> tuple[float, float]:
        """Return calls per second, and the seconds that this was measured over."""
        oldest = int(now / self._WIDTH) - self._SLOTS + 1
        seconds = now - max(self._start, oldest * self._WIDTH)
        served = sum(count for slot, count in self._counts.items() if slot >= oldest)
        return served / max(seconds, TRUSTED_SECONDS), seconds

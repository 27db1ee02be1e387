"""Pacers say when the next call may leave: at a fixed rate, or at the rate that the server turns out to allow."""

from __future__ import annotations

from typing import Protocol

from carecloud_async.calls.rate_search import PROBE_SECONDS, RateSearch
from carecloud_async.calls.slow_start import SlowStart
from carecloud_async.runtime.clock import Clock

#: Seconds of a set pace that may be caught up at once: a late wake-up must not slow the pace down.
CATCH_UP_SECONDS = 0.1
#: The same for a pace that is searched: a server may refuse what comes early.
SEARCHED_CATCH_UP_SECONDS = 0.02
#: Pauses of all calls at a set pace after 429s in a row that tell no time (seconds).
PAUSES = (1.0, 2.0, 4.0, 8.0)
#: How often the first in the queue looks whether an answer is there (seconds).
_POLL_SECONDS = 0.01


class Pacer(Protocol):
    """Decides when the next call may leave. Tickets grow from call to call: microseconds of the monotonic clock."""

    def delay(self) -> float:
        """Return the seconds until the next call may leave, or until it is worth asking again; zero or less is now."""
        ...

    def take(self, ticket: int) -> None:
        """Note that a call leaves."""
        ...

    def on_success(self, ticket: int) -> None:
        """Note that a call was answered, and not with 429."""
        ...

    def on_throttled(self, ticket: int, *, retry_after: float | None) -> None:
        """Note a 429: all calls pause, and the pace drops, once for those that were under way together.

        Args:
            ticket: the call.
            retry_after: seconds for which the server asks all to wait, if it does.
        """
        ...


class FixedPace:
    """A fixed number of calls per second, evenly spread.

    Attributes:
        rate: that number.
    """

    def __init__(self, rate: float, *, clock: Clock) -> None:
        self.rate: float = rate
        self._interval = 1 / rate
        self._clock = clock
        self._next = clock.monotonic()
        self._paused_until = 0.0
        self._pauses = 0
        self._throttled_at = -1.0

    def delay(self) -> float:
        """See `Pacer.delay`."""
        return max(self._next, self._paused_until) - self._clock.monotonic()

    def take(self, ticket: int) -> None:  # noqa: ARG002  (all calls are alike here)
        """See `Pacer.take`."""
        self._next = max(self._next, self._paused_until, self._clock.monotonic() - CATCH_UP_SECONDS) + self._interval

    def on_success(self, ticket: int) -> None:
        """See `Pacer.on_success`; the rate that the user set stays."""
        if self._pauses and sent_at(ticket) > self._throttled_at:
            self._pauses = 0

    def on_throttled(self, ticket: int, *, retry_after: float | None) -> None:
        """See `Pacer.on_throttled`; the rate that the user set stays."""
        now = self._clock.monotonic()
        if sent_at(ticket) > self._throttled_at:
            self._throttled_at = now
            self._pauses += 1
        pause = PAUSES[min(self._pauses, len(PAUSES)) - 1] if retry_after is None else retry_after
        self._paused_until = max(self._paused_until, now + pause)


class AdaptivePace:
    """A pace that finds the server's limit; see `RateSearch`.

    Args:
        clock: the clock.
        start: the rate to begin with, in calls per second; none until the first 429 if left out.
    """

    def __init__(self, *, clock: Clock, start: float | None = None) -> None:
        self._clock = clock
        self._search = RateSearch() if start is None else RateSearch.starting_at(start, clock.monotonic())
        self._slow_start = SlowStart()
        self._next = 0.0
        self._last = 0.0
        self._paused_until = 0.0
        self._probe_until = 0.0
        self._is_awaited = False

    @property
    def rate(self) -> float | None:
        """Calls per second at this moment; `None` while unlimited."""
        return self._search.rate(self._clock.monotonic())

    def delay(self) -> float:
        """See `Pacer.delay`."""
        now = self._clock.monotonic()
        if self._search.limit is None:
            return self._slow_start.delay(now)
        if self._search.waiting and now < self._probe_until:
            return max(min(_POLL_SECONDS, self._probe_until - now), self._paused_until - now)
        delay = max(self._next, self._paused_until) - now
        self._is_awaited = self._is_awaited or delay > 0
        return delay

    def take(self, ticket: int) -> None:
        """See `Pacer.take`."""
        search, now = self._search, self._clock.monotonic()
        self._last = sent_at(ticket)
        if search.limit is None:
            self._slow_start.on_sent(ticket, now)
        elif search.waiting:
            self._probe_until = now + PROBE_SECONDS
        else:
            # Whoever waited for this moment and was woken late may catch up; whoever comes late may not.
            late = now - max(self._next, self._paused_until)
            idle = late - SEARCHED_CATCH_UP_SECONDS if self._is_awaited else late
            if idle > 0:
                search.on_idle(idle)
            rate = search.rate(now) or 1.0
            self._next = now - late + max(idle, 0.0) + 1 / rate
        self._is_awaited = False

    def on_success(self, ticket: int) -> None:
        """See `Pacer.on_success`."""
        search, now = self._search, self._now()
        self._slow_start.on_answer(ticket)
        was_waiting = search.waiting
        search.on_success(sent_at(ticket), now)
        if was_waiting and not search.waiting:
            self._next = max(self._last + 1 / (search.rate(now) or 1.0), now)

    def on_throttled(self, ticket: int, *, retry_after: float | None) -> None:
        """See `Pacer.on_throttled`."""
        now = self._clock.monotonic()
        pause = self._search.on_throttled(sent_at(ticket), self._now(), retry_after=retry_after)
        if retry_after is not None:
            self._paused_until = max(self._paused_until, now + retry_after)
        if pause is not None:
            self._next = now + pause
            self._probe_until = 0.0

    def _now(self) -> float:
        """Return the time, or that of the last ticket: of two of one microsecond the second is a little ahead."""
        return max(self._clock.monotonic(), self._last)


def sent_at(ticket: int) -> float:
    """Return the time at which the call of a ticket left, by the monotonic clock."""
    return ticket / 1e6

"""Pacers say when the next call may leave: at a configured rate, or at the rate that the server turns out to allow."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Protocol, runtime_checkable

from carecloud_async._base.runtime.clock import Clock
from carecloud_async._calls.rate_limits.model import (
    BETA,
    FIRST_CALLS,
    LONG_WINDOW,
    LONGEST_PAUSE,
    SECOND,
    STEP,
    TICK,
    K,
    RateModel,
)

#: Seconds of a configured rate that may be caught up at once: a late wake-up must not slow the calls down.
CATCH_UP_SECONDS = 0.1


class Pacer(Protocol):
    """Decides when the next call may leave. Tickets grow from call to call: microseconds of the monotonic clock."""

    @property
    def rate(self) -> float | None:
        """Calls per second at this moment; `None` while unlimited."""
        ...

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
        """Note a 429: all calls pause, and the rate drops, once for those that were under way together.

        Args:
            ticket: what `try_acquire` returned for the call.
            retry_after: seconds for which the server asks all to wait, if it does.
        """
        ...


@runtime_checkable
class SharedPacer(Pacer, Protocol):
    """Paces the calls of several processes, and works in the background for it."""

    def start(self, *, origin: str, waiting: Callable[[], int], wake: Callable[[], None]) -> None:
        """Begin.

        Args:
            origin: the project's origin.
            waiting: returns how many calls wait.
            wake: lets the first of them look at `delay` again.
        """
        ...

    async def aclose(self) -> None:
        """End the work in the background; calls go on at a pace of this process."""
        ...


class ConfiguredPace:
    """A fixed number of calls per second, evenly spread.

    Args:
        rate: that number.

    Attributes:
        rate: that number.
    """

    def __init__(self, rate: float, *, clock: Clock) -> None:
        self.rate: float | None = rate
        self._interval = 1 / rate
        self._clock = clock
        self._next = clock.monotonic()
        self._paused_until = self._next
        self._pause = 0.0
        self._throttled_at = -1.0

    def delay(self) -> float:
        """See `Pacer.delay`."""
        return max(self._next, self._paused_until) - self._clock.monotonic()

    def take(self, ticket: int) -> None:  # noqa: ARG002  (all calls are alike here)
        """See `Pacer.take`."""
        self._next = max(self._next, self._paused_until, self._clock.monotonic() - CATCH_UP_SECONDS) + self._interval

    def on_success(self, ticket: int) -> None:
        """See `Pacer.on_success`; the configured rate stays."""
        if self._pause and sent_at(ticket) > self._throttled_at:
            self._pause = 0.0

    def on_throttled(self, ticket: int, *, retry_after: float | None) -> None:
        """See `Pacer.on_throttled`; the configured rate stays."""
        now = self._clock.monotonic()
        if sent_at(ticket) > self._throttled_at:
            self._throttled_at = now
            self._pause = min(2 * self._pause or SECOND, LONGEST_PAUSE)
        pause = self._pause if retry_after is None else retry_after
        self._paused_until = max(self._paused_until, now + pause)


class SlowStart:
    """The calls under way from a cold start; times are readings of one monotonic clock.

    All calls under way at the first refusal may be refused too, so they are few: `FIRST_CALLS`, and one more for every
    `FIRST_CALLS` answers. They leave spread over the shortest round trip (RFC 9002, 7.7), not all at once.

    Args:
        now: seconds on the monotonic clock.

    Attributes:
        latency: seconds from sending a call to its answer, at the least.
    """

    def __init__(self, now: float) -> None:
        self.latency: float = 0.0
        self._answers = 0
        self._last = now
        self._under_way: set[int] = set()

    def delay(self, now: float, *, answers: float = 0.0, members: int = 1) -> float:
        """Return the seconds after which to look again; zero or less if a call may leave now.

        Args:
            now: seconds on the monotonic clock.
            answers: answers that other processes had.
            members: the number of processes that share what may be under way.
        """
        room = self.room(answers=answers, members=members)
        if room == inf:
            self._under_way.clear()
            return 0.0
        if len(self._under_way) >= room:
            self._under_way = {ticket for ticket in self._under_way if now - sent_at(ticket) < SECOND}
        return self._next - now if len(self._under_way) < room else TICK

    def room(self, *, answers: float = 0.0, members: int = 1) -> float:
        """Return the number of calls of this process that may be under way; see `delay`."""
        answers = max(self._answers, answers)
        return inf if answers >= FIRST_CALLS**3 else (FIRST_CALLS + answers / FIRST_CALLS) / members

    def on_sent(self, ticket: int, now: float) -> float:
        """Note that a call leaves; return the seconds since it could have."""
        idle = max(now - self._next, 0.0)
        self._under_way.add(ticket)
        self._last = max(now, self._next)
        return idle

    def on_answer(self, ticket: int, now: float, *, served: bool) -> None:
        """Note that a call was answered."""
        self._under_way.discard(ticket)
        if served:
            self._answers += 1
            self.latency = min(self.latency or inf, now - sent_at(ticket))

    @property
    def _next(self) -> float:
        """Return when the next call may leave."""
        return self._last + self.latency * BETA / (FIRST_CALLS + self._answers / FIRST_CALLS)


class AdaptivePace:
    """A pace that finds the server's limit; see `RateModel`.

    Args:
        most: the rate to begin with and never to exceed, in calls per second; none if left out.
    """

    def __init__(self, *, clock: Clock, most: float | None = None) -> None:
        self._clock = clock
        self._most = most
        now = clock.monotonic()
        self.model: RateModel = RateModel(limit=most, origin=now)
        if most:
            # As if it had called at that rate: a refusal at the start must not look like a limit of nothing.
            self.model.origin, self.model.began = now - LONG_WINDOW, LONG_WINDOW - K
            for step in range(round(LONG_WINDOW / STEP)):
                self.model.history.add(now - LONG_WINDOW + step * STEP, most * STEP)
        self._slow_start = SlowStart(now)
        self._next = self._last = now
        self._paused_until = now

    @property
    def rate(self) -> float | None:
        """Calls per second at this moment; `None` while unlimited."""
        return None if self.model.limit is None else self._rate(self._clock.monotonic())

    def delay(self) -> float:
        """See `Pacer.delay`."""
        now = self._clock.monotonic()
        if self.model.limit is None:
            return self._slow_start.delay(now)
        return max(self._next, self._paused_until) - now

    def take(self, ticket: int) -> None:
        """See `Pacer.take`."""
        model, now = self.model, self._clock.monotonic()
        self._last = now
        idle = max(now - max(self._next, self._paused_until), 0.0)
        if model.waiting:
            model.on_idle(idle, now)  # the refused calls wait by themselves, so that none was there to probe
            self._next = now + model.next_pause()
        elif model.limit is None:
            model.on_idle(self._slow_start.on_sent(ticket, now), now)
            self._next = now
        else:
            if idle > TICK:
                model.on_idle(idle, now)
                self._next = now
            self._next = max(self._next, self._paused_until) + 1 / self._rate(now)

    def on_success(self, ticket: int) -> None:
        """See `Pacer.on_success`."""
        model, now = self.model, self._clock.monotonic()
        self._slow_start.on_answer(ticket, now, served=True)
        was_waiting = model.waiting
        model.on_success(sent_at(ticket), now, latency=self._slow_start.latency)
        if was_waiting and not model.waiting:
            self._next = max(now, self._last + 1 / self._rate(now))

    def on_throttled(self, ticket: int, *, retry_after: float | None) -> None:
        """See `Pacer.on_throttled`."""
        now = self._clock.monotonic()
        self._slow_start.on_answer(ticket, now, served=False)
        if self.model.on_throttled(sent_at(ticket), now, asked=retry_after or 0.0):
            self._next = now + self.model.next_pause()
        if retry_after is not None:
            self._paused_until = max(self._paused_until, now + retry_after)

    def _rate(self, now: float) -> float:
        return min(self.model.rate(now), self._most or inf)


def sent_at(ticket: int) -> float:
    """Return the time at which the call of a ticket left, by the monotonic clock."""
    return ticket / 1e6

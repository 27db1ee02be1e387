"""When the next call of a process may leave, by the law; see `law`."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Protocol, runtime_checkable

from carecloud_async._base.runtime.clock import Clock
from carecloud_async._calls.rate_limits.law import (
    FIRST_CALLS,
    MANY_CALLS,
    MORE_PER_ANSWER,
    REST,
    TICK,
    Limit,
    ServedCalls,
)

#: With a maximum rate, calls that are late by up to this many seconds may be made up: a late wake-up must not slow them
#: down.
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
        """Note a 429, and the seconds for which the server asks all to wait, if it does."""
        ...


@runtime_checkable
class SharedPacer(Pacer, Protocol):
    """Paces the calls of several processes, and works in the background for it."""

    def start(self, *, origin: str, waiting: Callable[[], int], wake: Callable[[], None]) -> None:
        """Begin: `waiting` returns how many calls wait, and `wake` lets the first of them look at `delay` again."""
        ...

    async def aclose(self) -> None:
        """End the work in the background; calls go on at a pace of this process."""
        ...


class Pace:
    """The pace of one process.

    Args:
        most: calls per second that are never to be exceeded; none if left out.
        wait: seconds until the first call, if there is a most.
    """

    def __init__(self, *, clock: Clock, most: float = inf, wait: float = 0.0) -> None:
        self._clock = clock
        now = clock.monotonic()
        self._last_at = now  # when the last call left
        self._next_at = now + wait  # when the next one may leave, while there is a rate or a pause
        self._credit = float(FIRST_CALLS)  # calls that may leave while no limit is known
        # As if it had called at that rate: a 429 at the start must not look like a limit of nothing.
        self._calls = ServedCalls() if most == inf else ServedCalls(now=now, second=now, before=most)
        self.limit: Limit = Limit(most=most)

    @property
    def rate(self) -> float | None:
        """See `Pacer.rate`."""
        return finite(self.limit.rate(self._clock.monotonic()))

    def delay(self) -> float:
        """See `Pacer.delay`."""
        now = self._clock.monotonic()
        if now - self._last_at >= REST:
            self._rest(now)
        if self.limit.pause or self.limit.rate(now) < inf:
            return self._next_at - now
        # Answers that never come delay a call by a tenth of a second.
        return 0.0 if self._credit >= 1 else self._last_at + 1 / FIRST_CALLS - now

    def _rest(self, now: float) -> None:
        """Take note that no call has left for some time, which does not count."""
        self.limit = self.limit.with_rest(now - self._last_at)
        self._credit = FIRST_CALLS
        self._last_at = now

    def take(self, ticket: int) -> None:  # noqa: ARG002  (all calls are alike here)
        """See `Pacer.take`."""
        limit = self.limit
        now = self._last_at = self._clock.monotonic()
        if self._credit < MANY_CALLS:
            self._credit -= 1
        if limit.pause:
            self._next_at = now + limit.pause
            self.limit = limit.with_probe()
        elif (rate := limit.rate(now)) < inf:
            self._next_at = max(self._next_at, now - catch_up(limit)) + 1 / rate

    def on_success(self, ticket: int) -> None:
        """See `Pacer.on_success`."""
        now = self._clock.monotonic()
        self._credit += MORE_PER_ANSWER
        self._calls.add(1, now)
        if self.limit.pause:
            self.limit = self.limit.with_success(sent_at(ticket), now)
            if not self.limit.pause:
                self._next_at = now + 1 / self.limit.rate(now)

    def on_throttled(self, ticket: int, *, retry_after: float | None) -> None:
        """See `Pacer.on_throttled`."""
        now = self._clock.monotonic()
        asked = retry_after or 0.0
        before = self.limit
        self._calls.add(0, now)
        limit = before.with_refusal(sent_at(ticket), now, asked=asked, calls=self._calls)
        if limit is not before:
            resumes_at = now + max(limit.pause, asked)
            # A pause under way is never shortened.
            self._next_at = max(self._next_at, resumes_at) if before.pause else resumes_at
            self.limit = limit.with_probe()


def catch_up(limit: Limit) -> float:
    """Return the seconds by which late calls may be made up for."""
    return TICK if limit.most == inf else CATCH_UP_SECONDS


def finite(rate: float) -> float | None:
    """Return the rate, or `None` if it is unlimited."""
    return None if rate == inf else rate


def sent_at(ticket: int) -> float:
    """Return the time at which the call of a ticket left, by the monotonic clock."""
    return ticket / 1e6

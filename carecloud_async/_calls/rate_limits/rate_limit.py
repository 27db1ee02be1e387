"""Rate limit of a client, and the pause of all its calls after a 429.

A call gets its token, a permit for a connection, then a slot, and is sent. The queue for slots is fair (first in, first
out), and a caller that leaves it before its turn takes no slot with it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Protocol

import anyio
from attrs import field, frozen

from carecloud_async._base.runtime.clock import Clock
from carecloud_async._base.runtime.validators import number, quoted
from carecloud_async._calls.rate_limits.pace import Pace, Pacer, SharedPacer
from carecloud_async.errors import ConfigurationError

__all__ = ["RateLimit"]

#: A `Retry-After` up to this pauses all calls; a longer one is reported to the caller that got it (seconds).
MAX_IMPOSED = 30.0
#: How long the queue waits for logins that are just passing ahead of it (seconds).
_MOMENT = 0.001


class RateLimitPolicy(Protocol):
    """A setting that says how fast calls may leave."""

    def pace(self, clock: Clock) -> Pacer:
        """Return the pace of one client."""
        ...


@frozen(kw_only=True)
class RateLimit:
    """A steady pace that the user sets, for one client and all its views. After a 429 it is slower for some seconds.

    Several processes share the project's limit: give each its part.

    Attributes:
        requests_per_second: the most calls that leave per second.
    """

    requests_per_second: float = field(validator=number())

    def pace(self, clock: Clock) -> Pacer:
        """See `RateLimitPolicy.pace`."""
        return Pace(clock=clock, most=self.requests_per_second)

    @staticmethod
    def adaptive() -> AdaptiveRateLimit:
        """Return the limit that finds the server's: few calls under way in the beginning, no pace until a 429."""
        return AdaptiveRateLimit()


@frozen
class AdaptiveRateLimit:
    """See `RateLimit.adaptive`. Several processes find their shares by themselves, at the cost of some more 429s."""

    def pace(self, clock: Clock) -> Pacer:
        """See `RateLimitPolicy.pace`."""
        return Pace(clock=clock)


class RateLimiter:
    """Holds the calls of a client back until each may be sent.

    Args:
        limit: how fast calls may leave; `None` for a limiter that never holds a call back.
        origin: the project's origin: a limit that processes share is one for each project.

    Raises:
        ConfigurationError: `limit` is not a limit.
    """

    def __init__(self, limit: RateLimitPolicy | None, *, clock: Clock, origin: str = "") -> None:
        if isinstance(limit, type) or (limit is not None and not callable(getattr(limit, "pace", None))):
            raise ConfigurationError(
                "rate_limit must be RateLimit(requests_per_second=20), RateLimit.adaptive() or None, not "
                f"{quoted(limit)}"
            )
        self.pace: Pacer | None = None if limit is None else limit.pace(clock)
        self._clock = clock
        self._acquiring = _Queue(clock, delay=self._delay_in_queue, take=self._take)
        self._ahead = 0
        self._ticket = 0
        if isinstance(self.pace, SharedPacer):
            self.pace.start(origin=origin, waiting=self._count_waiting, wake=self._acquiring.wake)

    @property
    def rate(self) -> float | None:
        """Calls per second at this moment, for metrics; `None` while unlimited, and where the pacer does not say."""
        rate = getattr(self.pace, "rate", None)
        return rate if isinstance(rate, int | float) else None

    @property
    def is_holding(self) -> bool:
        """Whether a call would have to wait now."""
        return self._acquiring.waiting > 0 or self.delay() > 0

    def delay(self) -> float:
        """Return the seconds until the next call may leave, apart from the queue; zero for now."""
        return 0.0 if self.pace is None else max(self.pace.delay(), 0.0)

    def try_acquire(self) -> int | None:
        """Return a ticket if there is no need to wait, else `None`. Nearly all calls pass here, without awaiting."""
        pace = self.pace
        if pace is None:
            return 0
        if self._acquiring.waiting or pace.delay() > 0:
            return None
        return self._take()

    async def acquire(self, *, ahead: bool = False, seconds: float = math.inf) -> int | None:
        """Wait for a slot; return a ticket for `on_success` and `on_throttled`.

        Args:
            ahead: do not queue. For logins: other calls wait for them.
            seconds: the longest wait by the clock that was handed in. The caller ends it in real time.

        Returns:
            The ticket, or `None` once `seconds` are certainly not enough.
        """
        pace = self.pace
        if pace is None:
            return 0
        until = self._clock.monotonic() + seconds
        if not ahead:
            return None if pace.delay() > seconds else await self._acquiring.wait(until=until)
        self._ahead += 1
        try:
            passed = await self._acquiring.pass_by(pace.delay, until=until)
            return self._take() if passed else None
        finally:
            self._ahead -= 1

    def on_success(self, ticket: int) -> None:
        """Note that a call was answered, and not with 429."""
        pace = self.pace
        if pace is not None:
            pace.on_success(ticket)
            if self._acquiring.waiting and not self._ahead and pace.delay() <= 0:
                self._acquiring.wake()  # the answer was what it waited for

    def on_throttled(self, ticket: int, *, retry_after: float | None) -> None:
        """Note a 429: all calls pause, and the pace drops, once for all calls that were under way together.

        A wait longer than `MAX_IMPOSED` is not imposed on all: each call decides by its own policy.
        """
        if self.pace is not None:
            imposed = retry_after if retry_after is not None and retry_after <= MAX_IMPOSED else None
            self.pace.on_throttled(ticket, retry_after=imposed)

    async def aclose(self) -> None:
        """Close what the pacer holds open."""
        if isinstance(self.pace, SharedPacer):
            await self.pace.aclose()

    def _count_waiting(self) -> int:
        return self._acquiring.waiting

    def _delay_in_queue(self) -> float:
        return max(self.delay(), _MOMENT if self._ahead else 0.0)

    def _take(self) -> int:
        """Let a call leave now; return its ticket, the current microsecond or the next free one."""
        assert self.pace is not None  # noqa: S101  (without one there are no tickets)
        self._ticket = ticket = max(int(self._clock.monotonic() * 1e6), self._ticket + 1)
        self.pace.take(ticket)
        return ticket


class _Place:
    """The place of a caller in the queue.

    Attributes:
        reached: is set when the caller has its ticket, or is the first in the queue.
        ticket: its ticket, if the first in the queue took it along.
    """

    __slots__ = ("reached", "ticket")

    def __init__(self) -> None:
        self.reached = anyio.Event()
        self.ticket: int | None = None


class _Queue:
    """Callers in the order in which they came. Only the first looks when it may pass; then all pass that may.

    Args:
        delay: returns the seconds until the next one may pass, or until it is worth asking again; zero or less is now.
        take: returns a ticket for the one that passes.

    Attributes:
        waiting: how many wait.
    """

    def __init__(self, clock: Clock, *, delay: Callable[[], float], take: Callable[[], int]) -> None:
        self.waiting: int = 0
        self._clock = clock
        self._delay = delay
        self._take = take
        self._places: deque[_Place] = deque()
        self._sleeping: anyio.CancelScope | None = None

    async def wait(self, *, until: float) -> int | None:
        """Wait for a ticket; return it.

        Args:
            until: when the caller gives up; then `None`.
        """
        place = _Place()
        self._places.append(place)
        self.waiting += 1
        try:
            if self._places[0] is not place:
                await place.reached.wait()
            if place.ticket is not None:
                return place.ticket
            return self._take() if await self._may_pass(until) else None
        finally:
            self.waiting -= 1
            if place.ticket is None:
                self._leave(place)

    async def _may_pass(self, until: float) -> bool:
        """Wait until the first in the queue may pass; return whether it may."""
        while (wait := self._next_look(self._delay, until)) is not None and wait > 0:
            with anyio.CancelScope() as self._sleeping:
                await self._clock.sleep(wait)
        return wait is not None

    def _leave(self, place: _Place) -> None:
        was_first = self._places[0] is place
        self._places.remove(place)
        if was_first:
            self._go_on()

    def _go_on(self) -> None:
        """Let all pass who may, and the next one look when it may."""
        while self._places and self._delay() <= 0:
            place = self._places.popleft()
            place.ticket = self._take()
            place.reached.set()
        if self._places:
            self._places[0].reached.set()

    async def pass_by(self, delay: Callable[[], float], *, until: float) -> bool:
        """Wait beside the queue until a caller may pass; return whether it may. See `wait`."""
        self.waiting += 1
        try:
            while (wait := self._next_look(delay, until)) is not None and wait > 0:
                await self._clock.sleep(wait)
            return wait is not None
        finally:
            self.waiting -= 1

    def wake(self) -> None:
        """Let the first waiter look again."""
        if self._sleeping is not None:
            self._sleeping.cancel()

    def _next_look(self, delay: Callable[[], float], until: float) -> float | None:
        """Return the seconds until a waiter is to look again; zero if it may pass, `None` if it gives up."""
        seconds = delay()
        if seconds <= 0:
            return 0.0
        return None if self._clock.monotonic() + seconds > until else min(max(seconds, _MOMENT), 1.0)

"""Rate limit of a client, and the pause of all its calls after a 429.

The limiter is fair (first in, first out) and safe to cancel: a caller that leaves the queue takes no slot with it.
"""

from __future__ import annotations

import math
from typing import Protocol

import anyio
from attrs import field, frozen

from carecloud_async.errors import ConfigurationError
from carecloud_async.rate_limits.model import SECOND
from carecloud_async.rate_limits.pacing import AdaptivePace, ConfiguredPace, Pacer, SharedPacer
from carecloud_async.runtime.clock import Clock
from carecloud_async.runtime.validators import number, quoted

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
    """A steady pace that the user sets, for one client and all its views.

    Several processes share the project's limit: give each its part.

    Attributes:
        requests_per_second: the most calls that leave per second.
    """

    requests_per_second: float = field(validator=number())

    def pace(self, clock: Clock) -> Pacer:
        """See `RateLimitPolicy.pace`."""
        return ConfiguredPace(self.requests_per_second, clock=clock)

    @staticmethod
    def adaptive() -> AdaptiveRateLimit:
        """Return the limit that finds the server's: few calls under way in the beginning, no pace until a 429."""
        return AdaptiveRateLimit()


@frozen
class AdaptiveRateLimit:
    """See `RateLimit.adaptive`. Several processes find their shares by themselves, at the cost of some more 429s."""

    def pace(self, clock: Clock) -> Pacer:
        """See `RateLimitPolicy.pace`."""
        return AdaptivePace(clock=clock)


class RateLimiter:
    """Holds the calls of a client back until each may be sent.

    Args:
        limit: how fast calls may leave; `None` for a limiter that never holds a call back.
        clock: the clock.
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
        self._queue = anyio.Lock()
        self._waiting = 0
        self._ahead = 0
        self._sleeping: anyio.CancelScope | None = None
        self._ticket = 0
        if isinstance(self.pace, SharedPacer):
            self.pace.start(origin=origin, waiting=lambda: self._waiting, wake=self._wake)

    @property
    def rate(self) -> float | None:
        """Calls per second at this moment, for metrics; `None` while unlimited, and where the pacer does not say."""
        rate = getattr(self.pace, "rate", None)
        return rate if isinstance(rate, int | float) else None

    def delay(self) -> float:
        """Return the seconds until the next call may leave, apart from the queue; zero for now."""
        return 0.0 if self.pace is None else max(self.pace.delay(), 0.0)

    def try_acquire(self) -> int | None:
        """Return a ticket if there is no need to wait, else `None`. Nearly all calls pass here, without awaiting."""
        pace = self.pace
        if pace is None:
            return 0
        if self._waiting or pace.delay() > 0:
            return None
        return self._take(pace)

    async def acquire(self, *, ahead: bool = False, seconds: float = math.inf) -> int | None:
        """Wait for a slot; return a ticket for `on_success` and `on_throttled`.

        Args:
            ahead: do not queue. For logins: calls that have had their slot wait for them.
            seconds: the longest wait by the clock that was handed in. The caller ends it in real time.

        Returns:
            The ticket, or `None` once `seconds` are certainly not enough.
        """
        pace = self.pace
        if pace is None:
            return 0
        until = self._clock.monotonic() + seconds
        self._waiting += 1
        self._ahead += ahead
        try:
            if ahead:
                return await self._wait(pace, until, ahead=True)
            if pace.delay() > seconds:
                return None
            async with self._queue:
                return await self._wait(pace, until, ahead=False)
        finally:
            self._waiting -= 1
            self._ahead -= ahead

    async def _wait(self, pace: Pacer, until: float, *, ahead: bool) -> int | None:
        while (delay := pace.delay()) > 0 or (self._ahead and not ahead):
            if self._clock.monotonic() + delay > until:
                return None
            with anyio.CancelScope() as scope:
                if not ahead:
                    self._sleeping = scope
                await self._clock.sleep(min(max(delay, _MOMENT), SECOND))
        return self._take(pace)

    def on_success(self, ticket: int) -> None:
        """Note that a call was answered, and not with 429."""
        pace = self.pace
        if pace is not None:
            pace.on_success(ticket)
            if self._waiting and not self._ahead and pace.delay() <= 0:
                self._wake()  # the answer was what it waited for

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

    def _wake(self) -> None:
        """Let the first call of the queue look again."""
        if self._sleeping is not None:
            self._sleeping.cancel()

    def _take(self, pace: Pacer) -> int:
        """Let a call leave now; return its ticket, the current microsecond or the next free one."""
        self._ticket = ticket = max(int(self._clock.monotonic() * 1e6), self._ticket + 1)
        pace.take(ticket)
        return ticket

"""RateLimit: the rate limiter that calls pass, and the pause that a 429 imposes on everyone.

The limiter is fair (first come, first through) and safe to cancel: who gives up in the queue takes no slot with it.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import anyio
from attrs import field, frozen

from carecloud_async.calls.pacing import AdaptivePace, FixedPace, Pacer
from carecloud_async.errors import ConfigurationError
from carecloud_async.runtime.clock import Clock

#: A 429 without Retry-After pauses so long, doubling while every try after a pause is refused (seconds).
FIRST_PAUSE = 1.0
MAX_PAUSE = 8.0
#: A `Retry-After` up to this is everyone's pause; above it, calls must be able to tell their callers (seconds).
MAX_IMPOSED = 30.0


#: How long the queue waits for those ahead of it that are just passing (seconds).
_MOMENT = 0.001


def _positive(_: Any, attribute: Any, value: Any) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
        raise ConfigurationError(f"RateLimit: {attribute.name} must be a number greater than 0, not {value!r}")


class RateLimitPolicy(Protocol):
    """Something that says how fast calls may leave."""

    def pace(self, clock: Clock) -> Pacer:
        """Return the pace of one client."""
        ...


@frozen(kw_only=True)
class RateLimit:
    """A steady pace that the user sets, for one client and all its views.

    Several processes share the project's limit: give each its part.

    Attributes:
        requests_per_second: how many calls leave per second at most.
    """

    requests_per_second: float = field(validator=_positive)

    def pace(self, clock: Clock) -> Pacer:
        """See `RateLimitPolicy.pace`."""
        return FixedPace(self.requests_per_second, clock=clock)

    @staticmethod
    def adaptive() -> AdaptiveRateLimit:
        """Return the limit that finds the server's own: full speed until a 429, then just below what was served."""
        return AdaptiveRateLimit()


@frozen
class AdaptiveRateLimit:
    """See `RateLimit.adaptive`. Several processes find their shares by themselves, at the price of some more 429s."""

    def pace(self, clock: Clock) -> Pacer:
        """See `RateLimitPolicy.pace`."""
        return AdaptivePace(clock=clock)


class RateLimiter:
    """What every call of a client passes before it is sent.

    Args:
        limit: how fast; `None` for a rate_limiter that never holds anyone.
        clock: the clock.

    Raises:
        ConfigurationError: the limit is none.
    """

    def __init__(self, limit: RateLimitPolicy | None, *, clock: Clock) -> None:
        if isinstance(limit, type) or (limit is not None and not callable(getattr(limit, "pace", None))):
            raise ConfigurationError(
                f"rate_limit must be RateLimit(requests_per_second=20), RateLimit.adaptive() or None, not {limit!r}"
            )
        self._pace = None if limit is None else limit.pace(clock)
        self._clock = clock
        self._queue: anyio.Lock | None = None
        self._paused_until = 0.0
        self._pause = 0.0
        self._era = 0
        self._ahead = 0

    def try_acquire(self) -> int | None:
        """Return a ticket if nobody has to wait, else `None`; the way of nearly all calls, without awaiting."""
        pace = self._pace
        if pace is None:
            return 0
        if (self._queue is not None and self._queue.locked()) or self._delay(pace) > 0:
            return None
        pace.take()
        return self._era

    async def enter(self, *, ahead: bool = False) -> int:
        """Wait for the turn; return a ticket for `served` and `refused`.

        Args:
            ahead: do not queue. For logins: calls that have had their turn wait for them.
        """
        pace = self._pace
        if pace is None:
            return 0
        if ahead:
            return await self._wait_ahead(pace)
        if self._queue is None:
            self._queue = anyio.Lock()
        async with self._queue:
            return await self._wait(pace)

    async def _wait(self, pace: Pacer) -> int:
        while (delay := self._delay(pace)) > 0 or self._ahead:
            await self._clock.sleep(max(delay, _MOMENT))
        pace.take()
        return self._era

    async def _wait_ahead(self, pace: Pacer) -> int:
        self._ahead += 1
        try:
            while (delay := self._delay(pace)) > 0:
                await self._clock.sleep(delay)
        finally:
            self._ahead -= 1
        pace.take()
        return self._era

    def served(self, ticket: int) -> None:
        """Note that a call was answered, and not with 429."""
        if self._pace is not None:
            self._pace.served()
            if ticket == self._era:
                self._pause = 0.0

    def refused(self, ticket: int, *, retry_after: float | None) -> None:
        """Note a 429: everyone pauses, and the pace drops, once for all calls that were under way together.

        A wait longer than `MAX_IMPOSED` is not imposed on everyone: each call decides by its own policy.
        """
        if self._pace is None:
            return
        now = self._clock.monotonic()
        if ticket == self._era:
            self._era += 1
            self._pause = min(self._pause * 2 or FIRST_PAUSE, MAX_PAUSE)
            self._pace.refused()
        wait = self._pause if retry_after is None or retry_after > MAX_IMPOSED else retry_after
        self._paused_until = max(self._paused_until, now + wait)
        self._pace.resume_at(self._paused_until)

    def _delay(self, pace: Pacer) -> float:
        return max(self._paused_until - self._clock.monotonic(), pace.delay())

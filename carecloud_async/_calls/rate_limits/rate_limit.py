"""Rate limit of a client, and the pause of all its calls after a 429.

A call gets its token, a permit for a connection, then a slot, and is sent. The queue for slots is fair (first in, first
out), and a caller that leaves it before its turn takes no slot with it.
"""

from __future__ import annotations

import math
from typing import Protocol

import anyio
from attrs import field, frozen

from carecloud_async._base.runtime.clock import Clock
from carecloud_async._base.runtime.validators import number, quoted
from carecloud_async._calls.rate_limits.pace import Pace, Pacer
from carecloud_async.errors import ConfigurationError

__all__ = ["RateLimit"]

#: A `Retry-After` up to this pauses all calls; a longer one is reported to the caller that got it (seconds).
MAX_IMPOSED = 30.0
#: The shortest and the longest time between two looks of the first in the queue (seconds).
_SHORTEST_NAP, _LONGEST_NAP = 0.001, 1.0


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
        self._places: list[_Place] = []  # of the callers that wait
        self._ticket = 0
        if self.pace is not None:
            self.pace.start(origin=origin, waiting=lambda: len(self._places), wake=self._wake_first)

    @property
    def rate(self) -> float | None:
        """Calls per second at this moment, for metrics; `None` while unlimited."""
        return None if self.pace is None else self.pace.rate

    @property
    def is_holding(self) -> bool:
        """Whether a call would have to wait now."""
        return bool(self._places) or self.delay() > 0

    def delay(self) -> float:
        """Return the seconds until the next call may leave, apart from the queue; zero for now."""
        return 0.0 if self.pace is None else max(self.pace.delay(), 0.0)

    def try_acquire(self) -> int | None:
        """Return a ticket if there is no need to wait, else `None`. Nearly all calls pass here, without awaiting."""
        pace = self.pace
        if pace is None:
            return 0
        return None if self._places or pace.delay() > 0 else self._take(pace)

    async def acquire(self, *, ahead: bool = False, seconds: float = math.inf) -> int | None:
        """Wait for a slot; return a ticket for `on_success` and `on_throttled`.

        Only the first in the queue looks when it may pass; then all pass that may.

        Args:
            ahead: wait before all that are not ahead. For logins: other calls wait for them.
            seconds: the longest wait by the clock that was handed in. The caller ends it in real time.

        Returns:
            The ticket, or `None` once `seconds` are certainly not enough.
        """
        pace = self.pace
        if pace is None:
            return 0
        if pace.delay() > seconds:
            return None
        until = self._clock.monotonic() + seconds
        place = _Place(ahead=ahead)
        self._places.insert(sum(each.ahead for each in self._places) if ahead else len(self._places), place)
        try:
            while place.ticket is None:
                if self._places[0] is not place:
                    await place.wait_for_turn()
                elif (wait := pace.delay()) <= 0:
                    self._let_pass(pace)
                elif self._clock.monotonic() + wait > until:
                    return None
                else:
                    await place.nap(self._clock, min(max(wait, _SHORTEST_NAP), _LONGEST_NAP))
            return place.ticket
        finally:
            if place.ticket is None:
                self._places.remove(place)
                self._let_pass(pace)

    def on_success(self, ticket: int) -> None:
        """Note that a call was answered, and not with 429."""
        pace = self.pace
        if pace is not None:
            pace.on_success(ticket)
            if self._places and pace.delay() <= 0:
                self._wake_first()  # the answer was what it waited for

    def on_throttled(self, ticket: int, *, retry_after: float | None) -> None:
        """Note a 429: all calls pause, and the pace drops, once for all calls that were under way together.

        A wait longer than `MAX_IMPOSED` is not imposed on all: each call decides by its own policy.
        """
        if self.pace is not None:
            imposed = retry_after if retry_after is not None and retry_after <= MAX_IMPOSED else None
            self.pace.on_throttled(ticket, retry_after=imposed)

    async def aclose(self) -> None:
        """Close what the pacer holds open."""
        if self.pace is not None:
            await self.pace.aclose()

    def _let_pass(self, pace: Pacer) -> None:
        """Let all pass who may, and the next one look when it may."""
        while self._places and pace.delay() <= 0:
            place = self._places.pop(0)
            place.ticket = self._take(pace)
            place.wake()
        self._wake_first()

    def _wake_first(self) -> None:
        if self._places:
            self._places[0].wake()

    def _take(self, pace: Pacer) -> int:
        """Let a call leave now; return its ticket, the current microsecond or the next free one."""
        self._ticket = ticket = max(int(self._clock.monotonic() * 1e6), self._ticket + 1)
        pace.take(ticket)
        return ticket


class _Place:
    """The place of a caller in the queue.

    Args:
        ahead: whether it is before all that are not.

    Attributes:
        ticket: its ticket, once it has one.
    """

    __slots__ = ("_nap", "_turn", "ahead", "ticket")

    def __init__(self, *, ahead: bool) -> None:
        self.ahead: bool = ahead
        self.ticket: int | None = None
        self._turn = anyio.Event()
        self._nap: anyio.CancelScope | None = None

    async def wait_for_turn(self) -> None:
        """Wait until it has a ticket, or is the first in the queue."""
        self._turn = anyio.Event()
        await self._turn.wait()

    async def nap(self, clock: Clock, seconds: float) -> None:
        """Sleep, as the first in the queue, until it is time to look again."""
        with anyio.CancelScope() as self._nap:
            await clock.sleep(seconds)

    def wake(self) -> None:
        """Let the caller look again."""
        self._turn.set()
        if self._nap is not None:
            self._nap.cancel()

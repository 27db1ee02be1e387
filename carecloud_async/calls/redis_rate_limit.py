"""One rate limit and one pause for all processes and hosts that name the same Redis and project."""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from random import Random
from typing import Any

import anyio
from attrs import field, frozen
from attrs.validators import optional

from carecloud_async.calls.leased_slots import LeasedSlots
from carecloud_async.calls.pacing import AdaptivePace, FixedPace, Pacer, sent_at
from carecloud_async.calls.rate_limit import MAX_IMPOSED, RateLimiter
from carecloud_async.calls.rate_search import SHORTEST_PAUSE
from carecloud_async.calls.shared_rate import SharedRate
from carecloud_async.runtime.clock import Clock
from carecloud_async.runtime.event_loops import on_asyncio
from carecloud_async.runtime.redis_connections import OwnClients, ask, own_clients, redis_library, running_loop
from carecloud_async.runtime.validators import number

__all__ = ["RedisRateLimit"]

_log = logging.getLogger("carecloud_async.rate_limit")

_NAME = "RedisRateLimit"
#: Redis that does not answer within this is away, and is asked again after about RETRY_SECONDS (seconds).
TIMEOUT_SECONDS = 1.0
RETRY_SECONDS = 5.0
#: Calls that were served are reported after this long, or with the next lease (seconds).
REPORT_SECONDS = 0.02
#: The most slots asked for at once, and the most answers kept for the next report.
MAX_SLOTS = 64
MAX_REPORTED = 500


@frozen
class RedisRateLimit:
    """A rate limit that processes share through Redis; asyncio only. Needs the extra `redis`.

    All clients that name the same Redis, prefix and project share one rate and one pause after a 429. The rate is found
    by all of them together unless it is told; a cold fleet has few calls under way, as one client has. Each process
    leases slots for a twentieth of a second at most, and no more than its part.
    While Redis is away there is one warning, and each process goes on with a limit of its own.

    Attributes:
        url: `redis://:password@host:6379/0`, `rediss://…` or `unix://…`.
        requests_per_second: the most calls that leave per second, of all processes together; the server's own limit is
            searched for if left out.
        prefix: what the names of all keys begin with.

    Raises:
        ConfigurationError: redis-py is not installed, the URL cannot be read, or it is used on trio.
    """

    url: str = field(repr=False)
    requests_per_second: float | None = field(default=None, kw_only=True, validator=optional(number()))
    prefix: str = field(default="carecloud:", kw_only=True)

    def __attrs_post_init__(self) -> None:
        own_clients(self.url, timeout=TIMEOUT_SECONDS, owner=_NAME)

    def pace(self, clock: Clock) -> Pacer:
        """Return the pace of one client while Redis is away."""
        told = self.requests_per_second
        return AdaptivePace(clock=clock) if told is None else FixedPace(told, clock=clock)

    def limiter(self, *, origin: str, clock: Clock, random: Random) -> SharedRateLimiter:
        """Return the limiter of one client.

        Args:
            origin: the project's origin; clients of one project share a rate.
            clock: the clock.
            random: the source of randomness.
        """
        return SharedRateLimiter(self, origin=origin, clock=clock, random=random)


class SharedRateLimiter:
    """Holds the calls of a client back until each may be sent; see `RateLimiter` for the methods.

    Tickets tell when the call left. Those from zero up are of the shared rate, those below zero of the limit that
    replaces it while Redis is away.

    Args:
        limit: what the user set.
        origin: the project's origin.
        clock, random: the clock and the source of randomness.
    """

    def __init__(self, limit: RedisRateLimit, *, origin: str, clock: Clock, random: Random) -> None:
        self._limit = limit
        self._clock = clock
        self._random = random
        self._clients: OwnClients = own_clients(limit.url, timeout=TIMEOUT_SECONDS, owner=_NAME)
        exceptions = redis_library(_NAME).exceptions
        self._failures = (exceptions.RedisError, exceptions.RedisClusterException, OSError)
        self._shared = SharedRate(
            run=self._run,
            key=f"{limit.prefix}rate:{origin}",
            member=f"{os.getpid():x}{random.getrandbits(48):012x}",
            told=limit.requests_per_second,
            clock=clock,
        )
        self._slots = LeasedSlots()
        self._answers: list[float] = []
        self._members = 1
        self._waiting = 0
        self._queue: anyio.Lock | None = None
        self._paused_until = 0.0
        self._throttled_at = -1.0
        self._latency = 0.0
        self._is_recovering = False
        self._is_reporting = False
        self._local: RateLimiter | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def rate(self) -> float | None:
        """Calls per second at this moment: of all processes, or of this one while Redis is away."""
        return self._shared.rate if self._local is None else self._local.rate

    def delay(self) -> float:
        """See `RateLimiter.delay`."""
        if self._local is not None:
            return self._local.delay()
        now = self._clock.monotonic()
        following = self._slots.next
        return max(self._paused_until - now, 0.0 if following is None else following - now, 0.0)

    def try_acquire(self) -> int | None:
        """See `RateLimiter.try_acquire`."""
        if self._local is not None:
            return _local_ticket(self._local.try_acquire())
        if self._queue is not None and self._queue.locked():
            return None
        return self._take(self._clock.monotonic())

    async def acquire(self, *, ahead: bool = False, seconds: float = math.inf) -> int | None:
        """See `RateLimiter.acquire`.

        Raises:
            ConfigurationError: this is trio.
        """
        running_loop(_NAME)
        until = self._clock.monotonic() + seconds
        if ahead:
            return await self._wait(until, ahead=True)
        if self._queue is None:
            self._queue = anyio.Lock()
        self._waiting += 1
        try:
            async with self._queue:
                return await self._wait(until, ahead=False)
        finally:
            self._waiting -= 1

    def on_success(self, ticket: int) -> None:
        """See `RateLimiter.on_success`."""
        if ticket < 0:
            if self._local is not None:
                self._local.on_success(-1 - ticket)
            return
        sent, now = sent_at(ticket), self._clock.monotonic()
        self._latency += (now - sent - self._latency) / (8 if self._latency else 1)
        if len(self._answers) < MAX_REPORTED:
            self._answers.append(sent)
        if not self._is_reporting:
            self._is_reporting = True
            self._start(self._report_answers)
        if self._shared.recovering and not self._is_recovering:
            self._is_recovering = True
            self._start(partial(self._recover, sent))

    def on_throttled(self, ticket: int, *, retry_after: float | None) -> None:
        """See `RateLimiter.on_throttled`; the other processes learn of it with their next lease."""
        if ticket < 0:
            if self._local is not None:
                self._local.on_throttled(-1 - ticket, retry_after=retry_after)
            return
        imposed = retry_after if retry_after is not None and retry_after <= MAX_IMPOSED else None
        sent, now = sent_at(ticket), self._clock.monotonic()
        is_new = sent > self._throttled_at
        if imposed or is_new:
            self._slots.clear()
            self._paused_until = max(self._paused_until, now + (SHORTEST_PAUSE if imposed is None else imposed))
        if is_new:
            self._throttled_at = now

        def age() -> float:
            return self._clock.monotonic() - sent

        held, latency = self._slots.seconds_held(sent), self._latency
        self._start(partial(self._shared.on_throttled, age, held=held, latency=latency, retry_after=imposed))

    async def aclose(self) -> None:
        """Close the connections to Redis."""
        if not on_asyncio():
            return
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._clients.aclose()

    async def _wait(self, until: float, *, ahead: bool) -> int | None:
        while True:
            now = self._clock.monotonic()
            if self._local is not None:
                return _local_ticket(await self._local.acquire(ahead=ahead, seconds=until - now))
            ticket = self._take(now)
            if ticket is not None:
                return ticket
            wait_until = self._paused_until
            if now >= wait_until:
                following = self._slots.next
                wait_until = await self._lease() if following is None else following
            now = self._clock.monotonic()
            if wait_until > until:
                return None
            if self._local is None and wait_until > now:
                await self._clock.sleep(wait_until - now)

    def _take(self, now: float) -> int | None:
        if self._paused_until > now or not self._slots.take(now):
            return None
        return int(now * 1e6)

    async def _lease(self) -> float:
        """Ask for slots; return the time at which there is a slot, or a reason to ask again."""
        now = self._clock.monotonic()
        wanted = min(max(self._waiting, self._slots.taken_of_late(now), 1), MAX_SLOTS)
        try:
            lease = await self._shared.lease(wanted=wanted, ages=self._ages())
        except self._failures as error:
            self._go_alone(error)
            return now
        now = self._clock.monotonic()
        self._members = max(lease.members, 1)
        self._slots.add(lease, now)
        following = self._slots.next
        return now + lease.again - lease.now if following is None else following

    def _ages(self) -> list[float]:
        """Return the seconds since each served call was sent that is not reported yet; then they are."""
        answers, self._answers = self._answers, []
        now = self._clock.monotonic()
        return [now - moment for moment in answers]

    async def _report_answers(self) -> None:
        """Report soon what was served: whichever process is refused next judges by it."""
        try:
            await self._clock.sleep(REPORT_SECONDS)
            if self._answers:
                await self._shared.lease(wanted=0, ages=self._ages())
        finally:
            self._is_reporting = False

    async def _recover(self, sent: float) -> None:
        try:
            await self._shared.on_recovered(lambda: self._clock.monotonic() - sent, latency=self._latency)
        finally:
            self._is_recovering = False

    async def _run(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        return await ask(self._clients.client(), work, timeout=TIMEOUT_SECONDS)

    def _start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a report to Redis beside the calls; it may be cancelled before it has begun."""
        task = asyncio.get_running_loop().create_task(self._report(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _report(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except self._failures as error:
            self._go_alone(error)

    def _go_alone(self, error: Exception) -> None:
        """Go on with a limit of this process's own, at its part of the rate known last, until Redis is back."""
        if self._local is not None:
            return
        _log.warning(
            "Redis (%s) cannot be used for the rate limit (%s): going on with a limit of its own until it is back",
            self._clients.label,
            type(error).__name__,
        )
        self._slots.clear()
        rate = self._shared.rate
        part = None if rate is None else rate / self._members
        self._local = RateLimiter(_Alone(self._limit, part=part), clock=self._clock)
        if self._paused_until > self._clock.monotonic():
            self._local.on_throttled(0, retry_after=self._paused_until - self._clock.monotonic())
        self._start(self._return)

    async def _return(self) -> None:
        """Ask Redis now and then; go back to the shared rate when it answers."""
        while True:
            await self._clock.sleep(RETRY_SECONDS * (0.8 + 0.4 * self._random.random()))
            try:
                await self._shared.lease(wanted=1, ages=[])
            except self._failures:
                continue
            _log.info("Redis (%s) is back: the rate limit is shared again", self._clients.label)
            self._local = None
            return


@frozen
class _Alone:
    """The limit of one process while Redis is away."""

    limit: RedisRateLimit
    part: float | None = field(kw_only=True)

    def pace(self, clock: Clock) -> Pacer:
        """See `RateLimitPolicy.pace`."""
        if self.part is not None and self.limit.requests_per_second is not None:
            return FixedPace(self.part, clock=clock)
        return AdaptivePace(clock=clock, start=self.part)


def _local_ticket(ticket: int | None) -> int | None:
    return None if ticket is None else -1 - ticket

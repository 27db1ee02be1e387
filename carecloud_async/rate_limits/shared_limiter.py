"""`SharedRateLimiter`: the part that one process has in a limit that processes share."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
from collections import deque
from random import Random
from typing import Any

import anyio
from attrs import frozen

from carecloud_async.rate_limits.model import SECOND
from carecloud_async.rate_limits.pacing import AdaptivePace, ConfiguredPace, Pacer, SlowStart, sent_at
from carecloud_async.rate_limits.rate_limit import MAX_IMPOSED, RateLimiter
from carecloud_async.rate_limits.shared_script import GONE_SECONDS, SCRIPT, Turn
from carecloud_async.runtime.clock import Clock
from carecloud_async.runtime.event_loops import on_asyncio
from carecloud_async.runtime.redis_connections import RedisClients, ask, own_clients, redis_library, running_loop

_log = logging.getLogger("carecloud_async.rate_limit")

#: The class that a user knows, for messages.
NAME = "RedisRateLimit"
#: Redis that does not answer within this is away, and is asked again after about RETRY_SECONDS (seconds).
TIMEOUT_SECONDS = 1.0
RETRY_SECONDS = 1.0
#: A process holds slots for this long, and for two round trips to Redis more (seconds).
HORIZON_SECONDS = 0.1
#: How long calls that were served may be unreported, and the shortest time between two questions (seconds).
REPORT_SECONDS = 0.05
GAP_SECONDS = 0.005
#: A slot can be used until this long after its time (seconds).
SLOT_SECONDS = 0.25


class SharedRateLimiter:
    """Holds the calls of a client back until each may be sent; see `RateLimiter` for the methods.

    One task asks Redis whenever slots are needed or something is to be reported; calls take the slots that it got.
    Tickets tell when the call left. Those below zero are of the limit that replaces the shared one while Redis is away.

    Args:
        url: the Redis.
        key: what the names of the keys begin with.
        configured: calls per second of all processes together; `None` to find the server's limit.
        clock, random: the clock and the source of randomness.
    """

    def __init__(self, url: str, *, key: str, configured: float | None, clock: Clock, random: Random) -> None:
        self._configured = configured
        self._clock = clock
        self._random = random
        self._clients: RedisClients = own_clients(url, timeout=TIMEOUT_SECONDS, owner=NAME)
        exceptions = redis_library(NAME).exceptions
        self._failures = (exceptions.RedisError, exceptions.RedisClusterException, OSError)
        # Braces: in a cluster all keys of one script live in one slot.
        self._keys = [f"{{{key}}}:{name}" for name in ("state", "members", "history")]
        self._member = f"{os.getpid():x}{random.getrandbits(48):012x}"
        self._turn: Turn | None = None
        self._read_at = -math.inf
        self._round_trip = 0.0
        self._held: deque[float] = deque()
        self._probe = False
        self._used = 0
        self._waiting = 0
        self._queue: anyio.Lock | None = None
        self._sleeping: set[anyio.CancelScope] = set()
        self._slow_start = SlowStart(clock.monotonic())
        self._served = 0
        self._served_sent = -1.0
        self._refused_sent = -1.0
        self._throttled_at = -1.0
        self._asked = 0.0
        self._members: tuple[float, int] = (-math.inf, 1)
        self._known_limit = 0.0
        self._local: RateLimiter | None = None
        self._task: asyncio.Task[None] | None = None
        self._nap: anyio.CancelScope | None = None
        self._nap_until = 0.0

    @property
    def rate(self) -> float | None:
        """Calls per second at this moment: of all processes, or of this one while Redis is away."""
        if self._local is not None:
            return self._local.rate
        return (self._turn.rate if self._turn else None) or self._configured

    def delay(self) -> float:
        """See `RateLimiter.delay`."""
        if self._local is not None:
            return self._local.delay()
        now = self._clock.monotonic()
        at = self._next_at(now)
        return max(at - now, 0.0) if at < math.inf else self._pause(now)

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
        running_loop(NAME)
        until = self._clock.monotonic() + seconds
        self._waiting += 1
        try:
            if ahead:
                return await self._wait(until, ahead=True)
            if self._queue is None:
                self._queue = anyio.Lock()
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
        now = self._clock.monotonic()
        self._slow_start.on_answer(ticket, now, served=True)
        self._served += 1
        self._served_sent = max(self._served_sent, sent_at(ticket))
        self._poke()
        if self._turn is not None and not self._turn.rate:
            self._wake()

    def on_throttled(self, ticket: int, *, retry_after: float | None) -> None:
        """See `RateLimiter.on_throttled`; the other processes learn of it when they ask next."""
        if ticket < 0:
            if self._local is not None:
                self._local.on_throttled(-1 - ticket, retry_after=retry_after)
            return
        now, imposed = self._clock.monotonic(), retry_after or 0.0
        self._slow_start.on_answer(ticket, now, served=False)
        if imposed <= MAX_IMPOSED:
            self._asked = max(self._asked, imposed)
        if sent_at(ticket) > self._throttled_at or self._asked:
            self._refused_sent = max(self._refused_sent, sent_at(ticket))
            self._throttled_at = max(self._throttled_at, now)
            self._poke()

    async def aclose(self) -> None:
        """Close the connections to Redis."""
        if not on_asyncio():
            return
        task, self._local = self._task, self._local or RateLimiter(None, clock=self._clock)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._clients.aclose()

    async def _wait(self, until: float, *, ahead: bool) -> int | None:
        while True:
            now = self._clock.monotonic()
            if self._local is not None:
                return _local_ticket(await self._local.acquire(ahead=ahead, seconds=until - now))
            ticket = self._take(now)
            if ticket is not None:
                return ticket
            at = self._next_at(now)
            if max(at if at < math.inf else 0.0, now + self._pause(now)) > until:
                return None
            self._poke()
            with anyio.CancelScope() as scope:
                self._sleeping.add(scope)
                try:
                    await self._clock.sleep(min(max(at - now, 0.001), SECOND))
                finally:
                    self._sleeping.discard(scope)

    def _wake(self) -> None:
        for scope in self._sleeping:
            scope.cancel()

    def _pause(self, now: float) -> float:
        """Return the seconds for which all calls pause, as far as known."""
        return 0.0 if self._turn is None else max(self._read_at + self._turn.again - now, 0.0)

    def _next_at(self, now: float) -> float:
        """Return when the next call may leave; infinity if Redis must be asked first."""
        turn = self._turn
        if turn is None or self._refused_sent >= 0 or (turn.waiting and not self._probe):
            return math.inf
        if self._probe:
            return now
        if not turn.rate:
            answers = turn.total + self._served
            delay = self._slow_start.delay(now, answers=answers, members=turn.members)
            return now + max(delay, self._pause(now))
        return self._due(turn, self._held[0]) if self._held else math.inf

    def _due(self, turn: Turn, slot: float) -> float:
        return self._read_at + turn.again + (slot - turn.front) / turn.rate

    def _take(self, now: float) -> int | None:
        turn = self._turn
        while turn is not None and turn.rate and self._held and self._due(turn, self._held[0]) < now - SLOT_SECONDS:
            self._held.popleft()
        if turn is None or self._next_at(now) > now:
            return None
        ticket = int(now * 1e6)
        if not turn.rate and not self._probe:
            self._slow_start.on_sent(ticket, now)
        elif self._held and not self._probe:
            self._held.popleft()
        self._probe = False
        self._used += 1
        self._poke()
        return ticket

    def _target(self, turn: Turn) -> int:
        """Return the number of slots that this process may hold: its part, and at least one."""
        return max(int(turn.rate * (HORIZON_SECONDS + 2 * self._round_trip) / turn.members), 1)

    def _ask_at(self) -> float:
        """Return when to ask Redis next; infinity if there is no reason."""
        turn, first = self._turn, self._read_at + GAP_SECONDS
        wants = self._waiting > 0 or self._used > 0
        if self._refused_sent >= 0 or (turn is None and wants):
            return first
        if turn is None:
            return math.inf
        if turn.waiting:
            if self._served:
                return first
            return max(first, self._read_at + min(turn.again, SECOND)) if self._waiting else math.inf
        if turn.rate and wants and len(self._held) <= self._target(turn) // 2:
            return max(first, self._read_at + min(turn.again, SECOND))
        report = self._read_at + REPORT_SECONDS if self._served else math.inf
        return min(report, self._refresh_at(turn) if self._waiting else math.inf)

    def _refresh_at(self, turn: Turn) -> float:
        """Return when to ask what has become of the rate and of a pause, for a call that waits for its slot."""
        left = self._due(turn, self._held[0]) - self._read_at if turn.rate and self._held else SECOND
        grows = self._configured is None
        return self._read_at + (min(max(left / 2, REPORT_SECONDS), SECOND) if grows else SECOND)

    def _poke(self) -> None:
        """Let the task ask when it is time to."""
        at = self._ask_at()
        if self._task is None and at < math.inf and self._local is None:
            self._task = asyncio.get_running_loop().create_task(self._ask_while_needed())
        elif self._nap is not None and at < self._nap_until:
            self._nap.cancel()

    async def _ask_while_needed(self) -> None:
        try:
            while self._local is None:
                now = self._clock.monotonic()
                at = self._ask_at()
                if at == math.inf:
                    break
                if at <= now:
                    await self._ask()
                    continue
                with anyio.CancelScope() as self._nap:
                    self._nap_until = at
                    await self._clock.sleep(at - now)
                self._nap = None
        except self._failures as error:
            self._go_alone(error)
            await self._return()
        finally:
            self._task = None

    async def _ask(self) -> None:
        """Report to Redis, and take what it gives."""
        turn, now = self._turn, self._clock.monotonic()
        wanted = 0
        if turn is None or turn.rate:
            most = 1 if turn is None else self._target(turn)
            wanted = max(min(most, self._waiting + self._used) - len(self._held), 0)
        served, self._served = self._served, 0
        self._used = 0
        refused, asked = self._refused_sent, self._asked
        arguments = [
            self._member,
            f"{self._random.getrandbits(64):016x}",
            self._configured or 0,
            self._known_limit,
            wanted,
            int(self._waiting > 0),
            served,
            now - self._served_sent if served else -1,
            now - refused if refused >= 0 else -1,
            asked,
            self._slow_start.latency,
        ]
        self._note(Turn(**json.loads(await self._run(arguments))), began=now)
        if self._refused_sent <= refused:
            self._refused_sent, self._asked = -1.0, 0.0
        self._wake()

    async def _run(self, arguments: list[Any]) -> bytes | str:
        answer: bytes | str = await ask(
            self._clients.client(),
            lambda client: client.register_script(SCRIPT)(self._keys, arguments),
            timeout=TIMEOUT_SECONDS,
        )
        return answer

    def _note(self, turn: Turn, *, began: float) -> None:
        now = self._clock.monotonic()
        self._round_trip = now - began
        self._read_at = (now + began) / 2
        if self._turn is None or turn.queue != self._turn.queue:
            self._held.clear()
        self._turn = turn
        self._held.extend(turn.first + number for number in range(int(turn.slots)))
        self._probe = turn.probe
        self._known_limit = turn.limit or self._known_limit
        until, members = self._members
        if turn.members >= members or now > until:
            self._members = (now + GONE_SECONDS, turn.members)

    def _go_alone(self, error: Exception) -> None:
        """Go on at this process's part of the rate known last, until Redis is back."""
        _log.warning(
            "Redis (%s) cannot be used for the rate limit (%s): going on with a limit of its own until it is back",
            self._clients.label,
            type(error).__name__,
        )
        paused = 0.0 if self._turn is None or self._turn.waiting else self._pause(self._clock.monotonic())
        part = _Part(self._configured, self._known_limit, self._members[1], paused)
        self._local = RateLimiter(part, clock=self._clock)
        self._held.clear()
        self._turn = None
        self._refused_sent = -1.0
        self._wake()

    async def _return(self) -> None:
        """Ask Redis now and then; go back to the shared rate when it answers."""
        while True:
            await self._clock.sleep(RETRY_SECONDS * (0.8 + 0.4 * self._random.random()))
            try:
                await self._ask()
            except self._failures:
                continue
            _log.info("Redis (%s) is back: the rate limit is shared again", self._clients.label)
            self._local = None
            # Some of the others still go by their parts, and some already by the whole: what that costs says nothing.
            self._throttled_at = self._clock.monotonic() + 1.5 * RETRY_SECONDS
            return


@frozen
class _Part:
    """The limit of one process while Redis is away: its part of the rate, or of the limit, of so many processes."""

    configured: float | None
    limit: float
    members: int
    paused: float

    def pace(self, clock: Clock) -> Pacer:
        """See `RateLimitPolicy.pace`."""
        if self.configured is not None:
            return ConfiguredPace(self.configured / self.members, clock=clock, paused=self.paused)
        return AdaptivePace(clock=clock, most=self.limit / self.members or None, paused=self.paused)


def _local_ticket(ticket: int | None) -> int | None:
    return None if ticket is None else -1 - ticket

"""`RedisRateLimit`, a limit that processes share, and `SharedPace`, the part that one process has in it."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import secrets
from collections import deque
from collections.abc import Callable

import anyio
from attrs import evolve, field, frozen
from attrs.validators import optional

from carecloud_async._base.runtime.clock import Clock
from carecloud_async._base.runtime.event_loops import on_asyncio
from carecloud_async._base.runtime.redis_connections import RedisClients, ask, own_clients, redis_library, running_loop
from carecloud_async._base.runtime.validators import number
from carecloud_async._calls.rate_limits.model import SECOND, TICK
from carecloud_async._calls.rate_limits.pacing import AdaptivePace, ConfiguredPace, Pacer, SlowStart, sent_at
from carecloud_async._calls.rate_limits.shared_script import GONE_SECONDS, SCRIPT, Turn

__all__ = ["RedisRateLimit"]

_log = logging.getLogger("carecloud_async.rate_limit")

#: The class that a user knows, for messages.
NAME = "RedisRateLimit"
#: Redis that does not answer within this is away, and is asked again after RETRY_SECONDS (seconds).
TIMEOUT_SECONDS = 1.0
RETRY_SECONDS = 1.0
#: A process holds slots for this long, and for two round trips to Redis more (seconds).
HORIZON_SECONDS = 0.1
#: How long calls that were served may be unreported, and the shortest time between two questions (seconds).
REPORT_SECONDS = 0.05
GAP_SECONDS = 0.005
#: A slot can be used until this long after its time, and for half a round trip to Redis more, which it was on its way
#: (seconds).
SLOT_SECONDS = 0.25


class SharedPace:
    """A pace that processes share; see `SharedPacer` for the methods.

    One task asks Redis whenever slots are needed or something is to be reported; calls take the slots that it got.
    While Redis is away, calls go by a pace of this process alone. A call that left at the pace before is not reported.

    Args:
        url: where the Redis is, as `redis-py` takes it.
        prefix: what the names of the keys begin with.
        configured: calls per second of all processes together; `None` to find the server's limit.
    """

    def __init__(self, url: str, *, prefix: str, configured: float | None, clock: Clock) -> None:
        self._prefix = prefix
        self._configured = configured
        self._clock = clock
        self._clients: RedisClients = own_clients(url, timeout=TIMEOUT_SECONDS, owner=NAME)
        exceptions = redis_library(NAME).exceptions
        self._failures = (exceptions.RedisError, exceptions.RedisClusterException, OSError)
        self._member = ""  # chosen at the first question: a client that was made may cross a fork
        self._slow_start = SlowStart(clock.monotonic())
        self._turn: Turn | None = None
        self._read_at = self._paused_until = clock.monotonic()
        self._round_trip = 0.0
        self._held: deque[float] = deque()
        self._used = self._served = self._refused = 0
        self._served_sent = self._refused_sent = self._throttled_at = -1.0
        self._asked = 0.0
        self._members, self._members_until = 1, -math.inf
        self._alone: Pacer | None = None
        self._closed = False
        self._changed = -math.inf
        self._task: asyncio.Task[None] | None = None
        self._nap: anyio.CancelScope | None = None
        self._nap_until = -math.inf

    def start(self, *, origin: str, waiting: Callable[[], int], wake: Callable[[], None]) -> None:
        """See `SharedPacer.start`."""
        # Braces: in a cluster all keys of one script live in one slot.
        self._keys = [f"{{{self._prefix}rate:{origin}}}:{name}" for name in ("state", "members", "served")]
        self._waiting = waiting
        self._wake = wake

    @property
    def rate(self) -> float | None:
        """Calls per second at this moment: of all processes, or of this one while Redis is away."""
        if self._alone is not None:
            return self._alone.rate
        return (self._turn.rate if self._turn else None) or self._configured

    def delay(self) -> float:
        """See `Pacer.delay`."""
        now = self._clock.monotonic()
        if self._alone is not None:
            return max(self._alone.delay(), self._paused_until - now)
        usable = now - SLOT_SECONDS - self._round_trip / 2
        while self._held and self._due(self._held[0]) < usable:
            self._held.popleft()
        delay = self._delay(now)
        if delay > 0:
            self._poke()
        return delay

    def take(self, ticket: int) -> None:
        """See `Pacer.take`."""
        if self._alone is not None:
            self._alone.take(ticket)
            return
        if self._turn is not None and self._turn.probe:
            self._turn = evolve(self._turn, probe=False)
        elif self._held:
            self._held.popleft()
        else:
            self._slow_start.on_sent(ticket, sent_at(ticket))
        self._used += 1
        self._poke()

    def on_success(self, ticket: int) -> None:
        """See `Pacer.on_success`."""
        if sent_at(ticket) < self._changed:
            return
        if self._alone is not None:
            self._alone.on_success(ticket)
            return
        self._slow_start.on_answer(ticket, self._clock.monotonic(), served=True)
        self._served += 1
        self._served_sent = max(self._served_sent, sent_at(ticket))
        self._poke()

    def on_throttled(self, ticket: int, *, retry_after: float | None) -> None:
        """See `Pacer.on_throttled`; the other processes learn of it when they ask next."""
        if sent_at(ticket) < self._changed:
            return
        if self._alone is not None:
            self._alone.on_throttled(ticket, retry_after=retry_after)
            return
        now = self._clock.monotonic()
        self._slow_start.on_answer(ticket, now, served=False)
        self._refused += 1
        if sent_at(ticket) > self._throttled_at or retry_after:
            self._asked = max(self._asked, retry_after or 0.0)
            self._refused_sent = max(self._refused_sent, sent_at(ticket))
            self._throttled_at = max(self._throttled_at, now)
            self._poke()

    async def aclose(self) -> None:
        """See `SharedPacer.aclose`."""
        if not on_asyncio():
            return
        self._alone, self._closed = self._alone or self._part(), True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._clients.aclose()

    def _delay(self, now: float) -> float:
        turn, paused = self._turn, self._paused_until - now
        if turn is not None and self._refused_sent < 0:
            if turn.probe:
                return 0.0
            if self._held and not turn.waiting:
                return self._due(self._held[0]) - now
            if not turn.rate and not turn.waiting:
                answers = turn.total + self._served
                return max(self._slow_start.delay(now, answers=answers, members=turn.members), paused)
        return max(paused, TICK)  # Redis is to be asked first

    def _due(self, slot: float) -> float:
        """Return when the turn of a slot comes."""
        turn = self._turn
        return self._paused_until + ((slot - turn.front) / turn.rate if turn is not None and turn.rate else 0.0)

    @property
    def _target(self) -> int:
        """The number of slots that this process may hold: its part, and at least one; none while there is no rate."""
        turn = self._turn
        if turn is None:
            return 1
        part = turn.rate * (HORIZON_SECONDS + 2 * self._round_trip) / turn.members
        return max(int(part), 1) if turn.rate else 0

    def _ask_at(self) -> float:
        """Return when to ask Redis next; infinity if there is no reason."""
        if self._closed:  # the cancellation may be lost: before anyio 4.16, to a nap that ends at the same moment
            return math.inf
        turn, waiting = self._turn, self._waiting() > 0
        needs_slots = turn is None or turn.waiting or (turn.rate and len(self._held) <= self._target // 2)
        if self._alone is not None:
            seconds = RETRY_SECONDS
        elif self._refused_sent >= 0 or (self._served and turn is not None and turn.waiting):
            seconds = 0.0
        elif needs_slots and (waiting or self._used):
            seconds = min(self._paused_until - self._read_at, SECOND)
        elif self._served:
            seconds = REPORT_SECONDS
        elif waiting:  # the rate may have grown since
            due = self._due(self._held[0]) if self._held else math.inf
            seconds = min(max((due - self._read_at) / 2, REPORT_SECONDS), SECOND)
        else:
            return math.inf
        return self._read_at + max(seconds, GAP_SECONDS)

    def _poke(self) -> None:
        """Let the task ask when it is time to."""
        at = self._ask_at()
        if self._task is None and at < math.inf and self._alone is None:
            self._task = running_loop(NAME).create_task(self._ask_while_needed())
        elif self._nap is not None and at < self._nap_until:
            self._nap.cancel()

    async def _ask_while_needed(self) -> None:
        try:
            while (at := self._ask_at()) < math.inf:
                now = self._clock.monotonic()
                if at > now:
                    with anyio.CancelScope() as self._nap:
                        self._nap_until = at
                        await self._clock.sleep(at - now)
                    continue
                try:
                    await self._ask()
                except self._failures as error:
                    self._on_failure(error)
                self._wake()
        finally:
            self._task = None

    async def _ask(self) -> None:
        """Report to Redis, and take what it gives."""
        began, waiting = self._clock.monotonic(), self._waiting()
        wanted = max(min(self._target, waiting + self._used) - len(self._held), 0)
        served, refusals, self._served, self._refused, self._used = self._served, self._refused, 0, 0, 0
        refused = self._refused_sent
        self._member = self._member or secrets.token_hex(8)
        arguments = [
            self._member,
            self._configured or 0,
            self._turn.limit if self._turn else 0,
            wanted,
            int(waiting > 0),
            served,
            began - self._served_sent,
            began - refused if refused >= 0 else "",
            self._asked,
            self._slow_start.latency,
            refusals,
        ]
        turn = Turn(**json.loads(await self._run(arguments)))
        if self._refused_sent <= refused:
            self._refused_sent, self._asked = -1.0, 0.0
        self._on_turn(turn, began)

    async def _run(self, arguments: list[float | str]) -> bytes | str:
        answer: bytes | str = await ask(
            self._clients.client(),
            lambda client: client.register_script(SCRIPT)(self._keys, arguments),
            timeout=TIMEOUT_SECONDS,
        )
        return answer

    def _on_turn(self, turn: Turn, began: float) -> None:
        if self._closed:
            return
        now = self._clock.monotonic()
        if self._alone is not None:
            _log.info("Redis (%s) is back: the rate limit is shared again", self._clients.label)
            self._alone, self._changed = None, now
            # Some of the others still go by their parts, and some already by the whole: what that costs says nothing.
            self._throttled_at = now + 1.5 * RETRY_SECONDS
        self._round_trip = now - began
        self._read_at = (now + began) / 2
        self._paused_until = self._read_at + turn.again
        if self._held and turn.first <= self._held[-1]:
            self._held.clear()  # Redis has lost its queue
        self._turn = turn
        self._held.extend(turn.first + number for number in range(int(turn.slots)))
        if turn.members >= self._members or now > self._members_until:
            self._members, self._members_until = turn.members, now + GONE_SECONDS

    def _on_failure(self, error: Exception) -> None:
        """Go on at this process's part of the rate known last, until Redis is back."""
        self._read_at = now = self._clock.monotonic()
        if self._alone is None:
            _log.warning(
                "Redis (%s) cannot be used for the rate limit (%s): going on with a limit of its own until it is back",
                self._clients.label,
                type(error).__name__,
            )
            self._alone, self._changed, self._refused_sent = self._part(), now, -1.0
            self._held.clear()

    def _part(self) -> Pacer:
        """Return a pace of this process alone: its part of the rate, or of the limit."""
        if self._configured is not None:
            return ConfiguredPace(self._configured / self._members, clock=self._clock)
        limit = self._turn.limit if self._turn else 0.0
        return AdaptivePace(clock=self._clock, most=limit / self._members or None)


@frozen
class RedisRateLimit:
    """A rate limit that processes share through Redis; asyncio only. Needs the extra `redis`.

    All clients that name the same Redis, prefix and project share one rate and one pause after a 429. The rate is found
    by all of them together unless it is configured. While Redis is away there is one warning, and each process goes on
    with its part.

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
        own_clients(self.url, timeout=TIMEOUT_SECONDS, owner=NAME)

    def pace(self, clock: Clock) -> SharedPace:
        """See `RateLimitPolicy.pace`."""
        return SharedPace(self.url, prefix=self.prefix, configured=self.requests_per_second, clock=clock)

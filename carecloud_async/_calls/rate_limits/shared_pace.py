"""`RedisRateLimit`, a limit that processes share, and `SharedPace`, the part that one process has in it.

The numbers of the limit are in Redis, and the law is in `pace`: a process that learns something lets the law say what
the numbers are now, and sets them unless another process was first; then it looks at them again.

The script in Redis does not know the law: each process brings the rate. It counts served calls, hands out numbered
slots, whose turns come at that rate, and sets the numbers that the law says if no other process has set any since that
one read them (`version`).
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from collections import deque
from collections.abc import Callable

import anyio
from attrs import evolve, field, fields, frozen
from attrs.validators import optional

from carecloud_async._base.runtime.clock import Clock
from carecloud_async._base.runtime.event_loops import on_asyncio
from carecloud_async._base.runtime.redis_connections import RedisClients, ask, own_clients, redis_library, running_loop
from carecloud_async._base.runtime.validators import number
from carecloud_async._calls.rate_limits.pace import (
    BACK_AFTER,
    FIRST_CALLS,
    MANY_CALLS,
    MORE_PER_ANSWER,
    REST,
    TICK,
    Limit,
    Pace,
    Pacer,
    ServedCalls,
    catch_up,
    finite,
    sent_at,
)

__all__ = ["RedisRateLimit"]

_log = logging.getLogger("carecloud_async.rate_limit")

NAME = "RedisRateLimit"
#: Redis that does not answer within this is away, and is asked again after RETRY_SECONDS (seconds).
TIMEOUT_SECONDS = 1.0
RETRY_SECONDS = 1.0
#: A process holds slots for this long, and for two round trips to Redis more (seconds).
HORIZON_SECONDS = 0.1
#: The shortest time between two questions, how long calls that were served may be unreported, and how often a process
#: that waits looks for news (seconds).
GAP_SECONDS = 0.005
REPORT_SECONDS = 0.05
LOOK_SECONDS = 0.1
#: A slot can be used until this long after its time, and for half a round trip to Redis more (seconds).
SLOT_SECONDS = 0.25

#: The numbers that the law says, in Redis.
_LAW = tuple(each.name for each in fields(Limit) if each.name != "most")

#: A process that has not asked for this long no longer counts (seconds).
GONE_SECONDS = 5
#: Seconds for which Redis keeps the numbers of a limit that is not used.
FORGET_SECONDS = 3600

# KEYS: the numbers, the members. ARGV: member, calls served, version, slots wanted, calls per second (0 in a pause, and
# if no limit is known), calls that may be caught up; then, to set numbers: seconds until the next probe, names, values.
SCRIPT = f"""
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local numbers, members = KEYS[1], KEYS[2]
for key, kind in pairs({{[numbers] = 'hash', [members] = 'zset'}}) do
  if redis.call('TYPE', key).ok ~= kind then redis.call('DEL', key) end  -- another program wrote it
end
local function get(name, missing) return tonumber(redis.call('HGET', numbers, name)) or missing or 0 end
local function set(name, value) redis.call('HSET', numbers, name, string.format('%.6f', value)) end
if now < get('now') - 1 then redis.call('DEL', numbers, members) end  -- the clock went back
local rest, served, wanted, rate = now - get('now', now), tonumber(ARGV[2]), tonumber(ARGV[4]), tonumber(ARGV[5])
local room, front, tail, slots = get('room', {FIRST_CALLS}), get('front'), get('tail'), -1
room = room + served * {MORE_PER_ANSWER} + rest * {FIRST_CALLS}  -- answers that never come cost a tenth of a second
if rest >= {REST} then room = {FIRST_CALLS} set('began', get('began') + rest) end
set('now', now)
redis.call('ZADD', members, now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', members, '-inf', now - {GONE_SECONDS})
local passed = now - get('second')
if served > 0 and passed >= 2 then set('second', now) set('before', -1) set('count', 0)
elseif served > 0 and passed >= 1 then set('second', now - passed + 1) set('before', get('count')) set('count', 0) end
set('count', get('count') + served)
if get('version') == tonumber(ARGV[3]) then
  front = math.min(front + (now - get('at', now)) * rate, tail + ARGV[6])
  set('at', now)
  if #ARGV > 6 then
    redis.call('HSET', numbers, unpack(ARGV, 8))
    set('version', get('version') + 1)
    set('probe', now + ARGV[7])
  end
  slots = rate > 0 and wanted or math.min(wanted, math.floor(room))
  tail, room = tail + slots, room - slots
  if rate == 0 and slots > 0 then front = tail end
end
set('front', front) set('tail', tail) set('room', room)
redis.call('EXPIRE', numbers, {FORGET_SECONDS})
redis.call('EXPIRE', members, {FORGET_SECONDS})
return {{slots, redis.call('ZCARD', members), redis.call('HGETALL', numbers)}}
"""


class SharedPace(Pacer):
    """A pace that processes share; see `Pacer` for the methods. Its `Limit` has the times of Redis's clock.

    Args:
        url: where the Redis is, as `redis-py` takes it.
        prefix: what the names of the keys begin with.
        most: calls per second of all processes together that are never to be exceeded.
    """

    def __init__(self, url: str, *, prefix: str, most: float, clock: Clock) -> None:
        self._prefix = prefix
        self._clock = clock
        self._clients: RedisClients = own_clients(url, timeout=TIMEOUT_SECONDS, owner=NAME)
        exceptions = redis_library(NAME).exceptions
        self._failures = (exceptions.RedisError, exceptions.RedisClusterException, OSError)
        self._member = ""  # chosen at the first question: a client that was made may cross a fork
        self._limit = Limit(most=most)
        self._version = -1.0  # of the numbers in Redis; none was read yet
        self._members = 1
        self._calls = ServedCalls()  # of all processes, when Redis was read
        self._room = 0.0  # calls that may leave while no limit is known
        self._learnt = -math.inf  # when this process learnt of the last pause's end
        self._probe_at = 0.0  # when the next probe may be asked for
        self._own_probe_at = math.inf  # when a call of this process may leave as a probe
        self._ahead = 0.0  # Redis's clock, less the monotonic one
        self._asked_at = self._read_at = -math.inf
        self._round_trip = 0.0
        self._slots: deque[float] = deque()  # numbers
        self._front = 0.0  # the number whose turn was when Redis was read
        self._served = self._used = 0  # calls since Redis was asked
        self._news: Callable[[Limit, float], Limit] | None = None
        self._news_at = -math.inf
        self._alone: Pace | None = None
        self._closed = False
        self._task: asyncio.Task[None] | None = None
        self._nap: anyio.CancelScope | None = None
        self._nap_until = -math.inf

    def start(self, *, origin: str, waiting: Callable[[], int], wake: Callable[[], None]) -> None:
        """See `Pacer.start`."""
        # Braces: in a cluster all keys of one script live in one slot.
        self._keys = [f"{{{self._prefix}rate:{origin}}}:{name}" for name in ("numbers", "members")]
        self._waiting = waiting
        self._wake = wake

    @property
    def rate(self) -> float | None:
        """Calls per second at this moment: of all processes, or of this one while Redis is away."""
        return finite(self._rate(self._clock.monotonic())) if self._alone is None else self._alone.rate

    def delay(self) -> float:
        """See `Pacer.delay`."""
        now = self._clock.monotonic()
        if self._alone is not None:
            return self._alone.delay()
        delay = self._delay(now)
        if delay > 0:
            self._poke()
        return delay

    def take(self, ticket: int) -> None:
        """See `Pacer.take`."""
        if self._alone is not None:
            self._alone.take(ticket)
            return
        if self._limit.pause:
            self._own_probe_at = math.inf
        elif self._slots:
            self._slots.popleft()
        self._used += 1
        self._poke()

    def on_success(self, ticket: int) -> None:
        """See `Pacer.on_success`."""
        if self._alone is not None:
            self._alone.on_success(ticket)
            return
        sent = sent_at(ticket)
        self._served += 1
        if self._limit.pause and self._news is None:
            self._tell(lambda limit, now: limit.with_success(sent + self._ahead, now))
        self._poke()

    def on_throttled(self, ticket: int, *, retry_after: float | None) -> None:
        """See `Pacer.on_throttled`; the other processes learn of it when they ask next."""
        if self._alone is not None:
            self._alone.on_throttled(ticket, retry_after=retry_after)
            return
        # A call that left before this process knew of the last pause's end belongs to that pause.
        sent, asked = sent_at(ticket), retry_after or 0.0
        left = -math.inf if sent < self._learnt else sent + self._ahead
        self._tell(lambda limit, now: limit.with_refusal(left, now, asked=asked, calls=self._calls))
        self._poke()

    async def aclose(self) -> None:
        """See `Pacer.aclose`."""
        if not on_asyncio():
            return
        self._alone, self._closed = self._alone or self._part(), True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._clients.aclose()

    def _tell(self, news: Callable[[Limit, float], Limit]) -> None:
        """Have the law look at something that happened, as soon as the numbers are those in Redis."""
        if news(self._limit, self._clock.monotonic() + self._ahead) is not self._limit:
            self._news, self._news_at = news, self._clock.monotonic()

    def _rate(self, now: float) -> float:
        return self._limit.rate(now + self._ahead)

    def _delay(self, now: float) -> float:
        """Return the seconds until the next call may leave, or until Redis was asked."""
        if self._news is not None or now - self._asked_at >= REST:
            return TICK
        if self._limit.pause:
            paused = self._limit.refused - self._ahead - now
            return max(paused, TICK if self._own_probe_at == math.inf else self._own_probe_at - now)
        if self._is_free(now):
            return 0.0
        rate = self._rate(now)
        while self._slots:
            due = self._read_at + (self._slots[0] - self._front) / rate
            if due >= now - SLOT_SECONDS - self._round_trip / 2:
                return due - now
            self._slots.popleft()
        return TICK

    def _is_free(self, now: float) -> bool:
        """Return whether no call needs a slot."""
        return self._room >= MANY_CALLS and self._rate(now) == math.inf

    def _wanted(self, limit: Limit, now: float) -> int:
        """Return the slots to ask for: at most this process's part of the next moment, and at least one."""
        if limit.pause or self._is_free(now):
            return 0
        rate, held, waiting = limit.rate(now + self._ahead), len(self._slots), self._waiting()
        if rate == math.inf:
            return max(waiting - held, 0)
        # Calls that left come back. More slots than they need make up for a slow Redis, but let them leave in bursts.
        demand = waiting + self._used * (1 if limit.most == math.inf else 2)
        part = max(int(rate * (HORIZON_SECONDS + 2 * self._round_trip) / self._members), 1)
        return max(min(part, demand) - held, 0) if held <= part // 2 else 0

    def _ask_at(self, now: float) -> float:
        """Return when to ask Redis next; infinity if there is no reason."""
        if self._closed:  # the cancellation may be lost: before anyio 4.16, to a nap that ends at the same moment
            return math.inf
        if self._alone is not None:
            return self._asked_at + RETRY_SECONDS
        waiting, seconds = self._waiting() > 0, math.inf
        if self._news is not None or (waiting and now - self._asked_at >= REST):
            seconds = GAP_SECONDS
        elif self._limit.pause:
            if waiting and self._own_probe_at == math.inf:
                seconds = min(max(self._probe_at - self._asked_at, GAP_SECONDS), LOOK_SECONDS)
        elif self._wanted(self._limit, now):
            # While no limit is known there are more slots when there are more answers.
            seconds = GAP_SECONDS if self._served or self._rate(now) < math.inf or self._room >= 1 else LOOK_SECONDS
        elif waiting:
            seconds = LOOK_SECONDS
        return self._asked_at + min(seconds, REPORT_SECONDS if self._served else math.inf)

    def _poke(self) -> None:
        """Let the task ask when it is time to."""
        at = self._ask_at(self._clock.monotonic())
        if self._task is None and at < math.inf and self._alone is None:
            self._task = running_loop(NAME).create_task(self._ask_while_needed())
        elif self._nap is not None and at < self._nap_until:
            self._nap.cancel()

    async def _ask_while_needed(self) -> None:
        try:
            while (at := self._ask_at(now := self._clock.monotonic())) < math.inf:
                if at > now:
                    with anyio.CancelScope() as self._nap:
                        self._nap_until = at
                        await self._clock.sleep(at - now)
                    self._nap = None
                    continue
                try:
                    await self._ask()
                except self._failures as error:
                    self._on_failure(error)
                self._wake()
        finally:
            self._task = None

    def _next_limit(self, began: float) -> tuple[Limit, float]:
        """Return the limit to set, and the seconds until a probe may leave; the known limit if nothing is new."""
        now, known, news = began + self._ahead, self._limit, self._news
        if news is not None:
            if self._news_at > self._read_at and self._rate(began) == math.inf:
                return known, 0.0  # the calls that were served until then are read first
            limit = news(known, now)
            if limit is not known:
                return limit, max(limit.pause, limit.refused - now)
        if known.pause and began >= self._probe_at and self._waiting() and self._own_probe_at == math.inf:
            return known.with_probe(), 0.0
        return known, 0.0

    async def _ask(self) -> None:
        """Report to Redis, set what the law says, and take slots."""
        began, news = self._clock.monotonic(), self._news
        now = began + self._ahead
        limit, wait = self._next_limit(began)
        is_set, probe_at = limit is not self._limit, math.inf
        if is_set and limit.pause:  # the process that sets a pause sends the next probe
            probe_at, limit = began + wait, limit.with_probe()
            wait += limit.pause
        wanted, rate = self._wanted(limit, began), 0.0 if limit.pause else finite(limit.rate(now)) or 0.0
        served, self._served, self._used = self._served, 0, 0
        self._member = self._member or secrets.token_hex(8)
        words: list[float | str] = [self._member, served, self._version, wanted, rate, rate * catch_up(limit)]
        if is_set:
            words += [wait, *(part for name in _LAW for part in (name, getattr(limit, name)))]
        slots, self._members, pairs = await self._run(words)
        numbers = {name.decode(): _number(text) for name, text in zip(pairs[::2], pairs[1::2], strict=False)}
        self._on_numbers(numbers, began)
        self._slots.extend(numbers["tail"] - each for each in reversed(range(max(slots, 0))))
        if slots >= 0:
            self._own_probe_at = min(self._own_probe_at, probe_at)
        if self._news is news and news is not None and news(self._limit, now) is self._limit:
            self._news = None  # it is said, or says nothing new

    async def _run(self, arguments: list[float | str]) -> tuple[int, int, list[bytes]]:
        return await ask(
            self._clients.client(),
            lambda client: client.register_script(SCRIPT)(self._keys, arguments),
            timeout=TIMEOUT_SECONDS,
        )

    def _on_numbers(self, numbers: dict[str, float], began: float) -> None:
        """Take the numbers that are in Redis."""
        now = self._clock.monotonic()
        if self._alone is not None:
            _log.info("Redis (%s) is back: the rate limit is shared again", self._clients.label)
            self._alone = None
        self._asked_at, self._round_trip, self._read_at = now, now - began, (now + began) / 2
        self._ahead = numbers["now"] - self._read_at
        known, self._version = self._limit, numbers.get("version", 0.0)
        self._limit = Limit(most=known.most, **{name: numbers.get(name, 0.0) for name in _LAW})
        self._calls = ServedCalls(**{name: numbers.get(name, 0.0) for name in ("now", "second", "count", "before")})
        self._room, self._front = numbers["room"], numbers["front"]
        self._probe_at = numbers.get("probe", 0.0) - self._ahead
        if self._slots and self._slots[-1] > numbers["tail"]:
            self._slots.clear()  # Redis has lost its queue
        if not self._limit.pause:
            self._own_probe_at = math.inf
            if self._limit.began > known.began:
                self._learnt = now
        if not self._version and known.served:  # Redis is empty: what this process knows is put there
            lost = evolve(known, began=numbers["now"] - BACK_AFTER, pause=0.0)
            self._news = lambda limit, _: limit if limit.served else lost

    def _on_failure(self, error: Exception) -> None:
        """Go on at this process's part of the rate known last, until Redis is back."""
        self._asked_at = self._clock.monotonic()
        if self._alone is None:
            _log.warning(
                "Redis (%s) cannot be used for the rate limit (%s): going on with a limit of its own until it is back",
                self._clients.label,
                type(error).__name__,
            )
            self._alone, self._news = self._part(), None
            self._slots.clear()

    def _part(self) -> Pace:
        """Return a pace of this process alone: its part of the rate, and no more than that."""
        part = min(self._limit.served or math.inf, self._limit.most) / self._members
        spread = int(self._member or "0", 16) % 1000 / 1000  # the processes do not begin at the same moment
        return Pace(clock=self._clock, most=part, wait=spread / part)


def _number(text: bytes) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) else 0.0


@frozen
class RedisRateLimit:
    """A rate limit that processes share through Redis; asyncio only. Needs the extra `redis`.

    All clients that name the same Redis, prefix and project share one rate and one pause after a 429. While Redis is
    away there is one warning, and each process goes on with its part.

    Attributes:
        url: `redis://:password@host:6379/0`, `rediss://…` or `unix://…`.
        requests_per_second: the most calls that leave per second, of all processes together; none if left out.
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
        return SharedPace(self.url, prefix=self.prefix, most=self.requests_per_second or math.inf, clock=clock)

"""The rate that several processes share: slots, counts and the search for the limit, all in one Redis.

Redis gives out slots (one script, one round trip for several calls) and keeps the counts. What a 429 means is decided
by `RateSearch` in the process that got it, on the shared state, and written back only if nobody was faster.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from attrs import asdict, define, evolve, frozen

from carecloud_async.calls.pacing import PAUSES
from carecloud_async.calls.rate_search import PROBE_SECONDS, REMEMBERED_SECONDS, RateSearch
from carecloud_async.calls.slow_start import UNANSWERED_SECONDS, room
from carecloud_async.runtime.clock import Clock

#: Slots are given out at most this far ahead: a 429 seen by one process stops the others after it (seconds).
HORIZON_SECONDS = 0.05
#: Seconds of unused rate that may be caught up at once; slots are given out ahead, so little is needed.
CATCH_UP_SECONDS = 0.02
#: An idle fleet starts cold again after this long (seconds).
FORGET_SECONDS = 3600
#: Any number of calls under way, as Lua reads it.
MOST_ROOM = 1e9
#: While the limit is hardly known the rate is at most this times the estimate, and more by the part for each call that
#: was served: nobody may have called for a while.
UNTRIED_FACTOR = 2.0
UNTRIED_PART = 0.5

# KEYS: the state, times at which served calls were sent, members, slots given out without a rate that may still be
# under way, members whose slot would be too far ahead, in the order in which they came.
# ARGV: version that the member knows, its rate or 0, slots wanted, its name, horizon, probe seconds, catch-up, seconds
# to forget, seconds to remember, calls that may be under way without a rate, seconds after which one of them counts no
# more; then the ages of the calls that were served since its last report.
# Returns: now, version, calls, members, slots, first slot, the time to ask again.
_LEASE = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local state, answers, members, away, queue = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local rate, wanted, horizon = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[5])
local function get(name) return tonumber(redis.call('HGET', state, name) or '0') or 0 end
local function text(number) return string.format('%.6f', number) end
for i = 12, #ARGV do
  local moment = now - tonumber(ARGV[i])
  redis.call('ZADD', answers, text(moment), ARGV[4] .. ':' .. text(moment) .. ':' .. i)
end
if #ARGV >= 12 then
  redis.call('HINCRBY', state, 'calls', #ARGV - 11)
  redis.call('ZPOPMIN', away, #ARGV - 11)
  redis.call('ZREMRANGEBYSCORE', answers, '-inf', text(now - tonumber(ARGV[9])))
end
redis.call('ZADD', members, text(now), ARGV[4])
redis.call('ZREMRANGEBYSCORE', members, '-inf', text(now - 1))
for i = 1, 5 do redis.call('EXPIRE', KEYS[i], ARGV[8]) end
local fleet = redis.call('ZCARD', members)
local version = redis.call('HGET', state, 'version') or ''
local slots, first, again = 0, now, now
local soon = now + 0.01 * math.max(1, fleet / 10)
local function answer()
  return {text(now), version, get('calls'), fleet, slots, text(first), text(again)}
end
if version ~= ARGV[1] or wanted == 0 then return answer() end
local paused, due = get('paused_until'), now
if rate > 0 then due = get('last_slot') + 1 / rate end
if now < paused then again = paused return answer() end
if redis.call('HGET', state, 'probing') == '1' then
  local probe = get('probe_until')
  if now < probe then again = math.min(probe, soon) return answer() end
  if now < due then again = due return answer() end
  slots = 1
  redis.call('HSET', state, 'probe_until', text(now + tonumber(ARGV[6])), 'probed_at', text(now))
elseif rate == 0 then
  redis.call('ZREMRANGEBYSCORE', away, '-inf', text(now - tonumber(ARGV[11])))
  slots = math.max(0, math.min(wanted, math.floor(tonumber(ARGV[10]) - redis.call('ZCARD', away))))
  for i = 1, slots do redis.call('ZADD', away, text(now), ARGV[4] .. ':' .. text(now) .. ':' .. i) end
  if slots == 0 then again = soon return answer() end
else
  redis.call('ZREMRANGEBYSCORE', queue, '-inf', text(now - math.max(1, 2 * fleet / rate)))
  redis.call('ZADD', queue, 'NX', text(now), ARGV[4])
  local turn = math.max(due, paused) + redis.call('ZRANK', queue, ARGV[4]) / rate - horizon
  if now < turn then again = turn return answer() end
  redis.call('ZREM', queue, ARGV[4])
  slots = math.max(1, math.min(wanted, math.floor(rate * horizon / fleet)))
  first = math.max(due, paused, now - tonumber(ARGV[7]))
end
local interval = 0
if rate > 0 then interval = 1 / rate end
redis.call('HSET', state, 'last_slot', text(first + (slots - 1) * interval))
return answer()
"""

# KEYS: the state. ARGV: version that the writer knows; then names and values. Returns 1 if they were written.
_WRITE = """
local version = redis.call('HGET', KEYS[1], 'version') or ''
if version ~= ARGV[1] then return 0 end
local fields = {}
for i = 2, #ARGV do fields[#fields + 1] = ARGV[i] end
redis.call('HSET', KEYS[1], 'version', tostring((tonumber(version) or 0) + 1), unpack(fields))
return 1
"""

Run = Callable[[Callable[[Any], Awaitable[Any]]], Awaitable[Any]]


@frozen(kw_only=True)
class Lease:
    """Slots that a process may use.

    Attributes:
        slots: the number of slots; zero if it has to ask again.
        first: time of the first slot, by Redis's clock.
        interval: seconds between two slots; zero while no limit is known.
        again: time to ask again, by Redis's clock.
        now: the time by Redis's clock.
        members: the number of processes that asked within the last second.
    """

    slots: int
    first: float
    interval: float
    again: float
    now: float
    members: int


@define(kw_only=True)
class _State:
    """The shared state as this process read it last.

    Attributes:
        version: of the state.
        pauses: pauses in a row, where the rate was told.
        paused_until: when calls may leave again.
        asked_until: the same, as far as the server asked for it.
        probed_at: when the last call went ahead.
        search: what is known of the limit.
    """

    version: str
    pauses: int = 0
    paused_until: float = 0.0
    asked_until: float = 0.0
    probed_at: float = 0.0
    search: RateSearch


class SharedRate:
    """One project's rate in one Redis.

    Args:
        run: runs work with a Redis client; it raises what goes wrong.
        key: what the names of the keys begin with.
        member: this process's name among those that share the rate.
        told: calls per second that the user set; `None` to search for them.
        clock: the clock of this process.
    """

    def __init__(self, *, run: Run, key: str, member: str, told: float | None, clock: Clock) -> None:
        self._run = run
        # Braces: in a cluster all keys of one script live in one slot.
        self._keys = [f"{{{key}}}:{name}" for name in ("state", "answers", "members", "away", "queue")]
        self._member = member
        self._told = told
        self._state: _State | None = None
        self._changing: anyio.Lock | None = None
        self._clock = clock
        self._now = 0.0
        self._read_at = 0.0

    @property
    def recovering(self) -> bool:
        """Whether no call has been served since the last refusal, as known here."""
        return self._state is not None and (self._state.pauses > 0 or self._state.search.waiting)

    @property
    def rate(self) -> float | None:
        """Calls per second of all processes together, as known here; `None` while no limit is known."""
        if self._told is not None:
            return self._told
        search = None if self._state is None else self._state.search
        if search is None or search.limit is None or (search.waiting and search.refusals == 1):
            return None
        found = search.rate(self._now + self._clock.monotonic() - self._read_at)
        if found is None or search.trusted:
            return found
        return min(found, search.limit * (UNTRIED_FACTOR + UNTRIED_PART * search.calls))

    async def lease(self, *, wanted: int, ages: list[float]) -> Lease:
        """Ask for slots and report the calls served since the last time.

        Args:
            wanted: the number of slots that would be used at once; with zero it is a report only.
            ages: the seconds since each call was sent that was answered, and not with 429.
        """
        while True:
            if self._state is None:
                await self._read()
            state = self._known()
            rate = self.rate
            fixed = (HORIZON_SECONDS, PROBE_SECONDS, CATCH_UP_SECONDS, FORGET_SECONDS, REMEMBERED_SECONDS)
            open_ = (min(room(state.search.calls), MOST_ROOM), UNANSWERED_SECONDS)
            arguments = [state.version, rate or 0, wanted, self._member, *fixed, *open_, *ages]
            now, version, calls, members, slots, first, again = await self._script(_LEASE, self._keys, arguments)
            state.search.calls, ages = int(calls), []
            self._set_time(float(now))
            if _text(version) != state.version:
                await self._read()
                continue
            return Lease(
                slots=int(slots),
                first=float(first),
                interval=1 / rate if rate else 0.0,
                again=float(again),
                now=self._now,
                members=int(members),
            )

    async def on_throttled(
        self, age: Callable[[], float], *, held: float, latency: float, retry_after: float | None
    ) -> None:
        """Note a 429: all processes pause, and the rate drops once for calls that were under way together.

        Args:
            age: returns the seconds since the call was sent.
            held: seconds for which the call's slot had been held then: a slot given out before a refusal belongs to it.
            latency: seconds that answers take, on the average.
            retry_after: seconds that the server asked to wait, if that is imposed on all calls.
        """

        def change(state: _State, now: float) -> _State | None:
            before, sent = _kept(state.search), now - age()
            if sent - held <= state.search.throttled_at:
                sent = min(sent, state.search.throttled_at)
            asked_until = max(state.asked_until, now + (retry_after or 0.0))
            if self._told is not None:
                state, told = _told_pause(state, sent, now)
                pause: float | None = told
            else:
                state.search.latency = latency or state.search.latency
                pause = state.search.on_throttled(sent, now, retry_after=retry_after)
            until = state.paused_until if pause is None or retry_after is not None else now + pause
            changed = evolve(state, paused_until=max(until, asked_until), asked_until=asked_until)
            return changed if changed.paused_until > state.paused_until or _kept(state.search) != before else None

        await self._change(change)

    async def on_recovered(self, age: Callable[[], float], *, latency: float) -> None:
        """Note that a call was served, which may end a wait.

        Args:
            age: returns the seconds since it was sent.
            latency: see `on_throttled`.
        """

        def change(state: _State, now: float) -> _State | None:
            if self._told is not None:
                is_later = state.pauses > 0 and now - age() > state.search.throttled_at
                return evolve(state, pauses=0) if is_later else None
            if not state.search.ends_wait(now - age()):
                return None
            state.search.latency = latency
            state.search.on_recovered(now - age(), now)
            return evolve(state, paused_until=max(state.asked_until, now))

        await self._change(change)

    def _known(self) -> _State:
        if self._state is None:
            raise RuntimeError("the shared state was not read")
        return self._state

    async def _change(self, change: Callable[[_State, float], _State | None]) -> None:
        """Read, change and write until nobody else has written in between; one change after the other here."""
        if self._changing is None:
            self._changing = anyio.Lock()
        async with self._changing:
            while True:
                await self._read()
                state = self._known()
                before = _turn(state)
                changed = change(state, self._now)
                if changed is None or await self._write(changed, is_turn=_turn(changed) != before):
                    return

    async def _read(self) -> None:
        """Read the state, and make it if there is none."""
        fields, sent, clock = await self._run(
            lambda client: (
                client.pipeline(transaction=True)
                .hgetall(self._keys[0])
                .zrange(self._keys[1], 0, -1, withscores=True)
                # The time is read with the rest: what is stored counts from it.
                .time()
                .execute()
            )
        )
        self._set_time(clock[0] + clock[1] / 1_000_000)
        known = {_text(name): _text(value) for name, value in fields.items()}
        if "version" not in known:
            self._state = _State(version="", search=RateSearch())
            await self._write(self._state, is_turn=True)
            await self._read()
            return
        search = RateSearch(**json.loads(known["search"]))
        search.served = [score for _, score in sent]
        # The counter holds late reports of calls that were sent before the refusal, too.
        is_fresh = search.last_refused > self._now - REMEMBERED_SECONDS
        later = len(search.served) - bisect_right(search.served, search.last_refused)
        search.calls = later if is_fresh else int(known.get("calls", "0"))
        self._state = _State(
            version=known["version"],
            pauses=int(known["pauses"]),
            paused_until=float(known["paused_until"]),
            asked_until=float(known["asked_until"]),
            probed_at=float(known.get("probed_at", "0")),
            search=search,
        )

    async def _write(self, state: _State, *, is_turn: bool) -> bool:
        """Write the state unless another process was faster.

        Args:
            state: the state, with the version that was read.
            is_turn: whether a wait or a pause begins or ends, after which slots and calls count anew.
        """
        search = state.search
        fields: dict[str, Any] = {
            "pauses": state.pauses,
            "paused_until": f"{state.paused_until:.6f}",
            "asked_until": f"{state.asked_until:.6f}",
            "search": json.dumps(_kept(search)),
        }
        if is_turn:
            fields["calls"] = search.calls
            fields["probing"] = int(search.waiting and self._told is None)
            fields["probe_until"] = 0
        arguments = [state.version, *(part for pair in fields.items() for part in pair)]
        return bool(await self._script(_WRITE, self._keys[:1], arguments))

    def _set_time(self, now: float) -> None:
        """Note what Redis's clock has just shown."""
        self._now, self._read_at = now, self._clock.monotonic()

    async def _script(self, script: str, keys: list[str], arguments: list[Any]) -> Any:
        return await self._run(lambda client: client.register_script(script)(keys, arguments))


def _told_pause(state: _State, sent: float, now: float) -> tuple[_State, float]:
    """Return the state after a 429 where the rate was told, and the seconds to pause."""
    pauses = state.pauses
    if sent > state.search.throttled_at:
        state.search.throttled_at = now
        pauses += 1
    return evolve(state, pauses=pauses), PAUSES[min(max(pauses, 1), len(PAUSES)) - 1]


def _turn(state: _State) -> tuple[Any, ...]:
    """Return what changes when a wait or a pause begins or ends."""
    return state.pauses, state.paused_until, state.search.waiting, state.search.refusals


def _kept(search: RateSearch) -> dict[str, Any]:
    """Return what is stored as one value; calls are counted, and their times kept, beside it."""
    return {name: value for name, value in asdict(search).items() if name not in {"served", "calls"}}


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value

"""The one script by which processes share a limit in Redis: reports in, a place in the queue of slots out.

**Slots** are numbered. A process takes the next numbers, at most its part, and keeps them until their turn comes:
`front` moves on by the rate, and stands still while all calls pause. So turns are in the order of asking, whatever the
rate becomes. If a process is gone, only the few slots that it held are lost.

**The model** is `RateModel`; a test holds both equal. A configured rate has no model: it pauses after a refusal.

**What is stored** is read as numbers within bounds; anything else counts as missing. Fields that this version does not
know stay. If Redis's clock goes back, the state is moved with it; if it leaps ahead, that time counts as idle.
"""

from __future__ import annotations

from attrs import frozen

from carecloud_async.rate_limits import model
from carecloud_async.rate_limits.pacing import CATCH_UP_SECONDS

#: Seconds after which a process that has not asked is no more part of the fleet. Those that wait ask once a second.
GONE_SECONDS = 5.0
#: Seconds for which Redis keeps the state of a limit that nobody uses.
FORGET_SECONDS = 3600

_CONSTANTS = {name: value for name, value in vars(model).items() if name.isupper()} | {
    "GONE_SECONDS": GONE_SECONDS,
    "CATCH_UP_SECONDS": CATCH_UP_SECONDS,
    "FORGET_SECONDS": FORGET_SECONDS,
}

# KEYS: the state, the members. ARGV: member, name of a new queue, configured rate or 0, limit to begin with or 0, slots
# wanted, whether a call waits, calls served, seconds since the last of them was sent or -1, seconds since the last
# refused call was sent or -1, seconds that its answer asks to wait or 0, latency.
# Returns a `Turn` as JSON.
SCRIPT = (
    "".join(f"local {name} = {value}\n" for name, value in _CONSTANTS.items())
    + """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local state, members = KEYS[1], KEYS[2]
local function text(number) return string.format('%.6f', number) end
local function arg(i) return tonumber(ARGV[i]) or 0 end
local configured, hint, wanted, waits, latency = arg(3), arg(4), arg(5), ARGV[6] == '1', arg(11)
for i, kind in ipairs({'hash', 'zset'}) do
  local found = redis.call('TYPE', KEYS[i]).ok
  if found ~= kind and found ~= 'none' then redis.call('DEL', KEYS[i]) end
end
local stored, fields = redis.call('HGETALL', state), {}
for i = 1, #stored, 2 do fields[stored[i]] = stored[i + 1] end
local function get(name, least, most, missing)
  local value = tonumber(fields[name])
  if value and value >= least and value <= most then return value end
  return missing
end
local queue = fields.queue or ''
if #queue < 8 or #queue > 64 then queue = ARGV[2] end
local s = {}
local seen = get('seen', 0, 1e12, now)
local back = math.min(now - seen, 0)
local stamps = {'grown_from', 'since', 'refused', 'learnt', 'trusted_until', 'floor_until', 'probe', 'paused_until'}
for _, name in ipairs(stamps) do
  s[name] = get(name, 0, 1e12, 0) + back
end
seen = seen + back
s.limit = get('limit', SLOWEST, 1e7, hint > 0 and math.max(hint, SLOWEST) or 0)
s.grown_from = math.min(math.max(s.grown_from, now - 3600), now)
s.since = math.min(math.max(s.since, now - 3600), now)
s.refused, s.learnt = math.min(s.refused, now), math.min(s.learnt, now)
s.trusted_until = math.min(s.trusted_until, now + 10 * SECOND)
s.floor, s.floor_until = get('floor', 0, 1e7, 0), math.min(s.floor_until, now + 10 * SECOND)
s.hold = get('hold', HOLD, BACKOFF * 10 * SECOND, HOLD)
s.served = get('served', 0, 1e9, 0)
s.total = get('total', 0, 1e12, 0)
s.waiting = get('waiting', 0, 1, 0)
s.asked, s.doubled = get('asked', 0, 30, 0), get('doubled', 0, 1, 0)
s.pause = get('pause', 0, LONGEST_PAUSE, 0)
s.refused_rate = get('refused_rate', SLOWEST, 1e7, s.limit)
if s.probe > now + LONGEST_PAUSE then s.probe = now end
if s.paused_until > now + 30 then s.paused_until = now end
if not fields.grown_from then s.grown_from, s.since = now, now end

redis.call('ZREMRANGEBYSCORE', members, '-inf', text(now - GONE_SECONDS))
redis.call('ZREMRANGEBYSCORE', members, '(' .. text(now), '+inf')
redis.call('ZADD', members, text(now), ARGV[1])
local fleet = redis.call('ZCARD', members)

local function rate(moment)
  if configured > 0 then return configured end
  if s.limit == 0 then return 0 end
  local grown = math.max(moment - s.grown_from, 0) / (1 + PATIENCE * s.asked)
  local near = s.limit * (1 + (1 - BETA) * math.min(grown / K - 1, 1) ^ 3)
  return math.min(math.max(near * 2 ^ math.min(math.max(grown - s.hold, 0) / DOUBLING, 60), SLOWEST), 1e7)
end
local function idle(seconds)
  s.grown_from = math.min(s.grown_from + seconds, now)
  local left = math.exp(-seconds / SECOND)
  s.since = now - (math.max(now - seconds - s.since, 0) + (1 - left) * SECOND) * left
  s.served = s.served * left
end
local function next_pause()
  if s.pause > 0 then s.pause = math.min(s.pause * BACKOFF, LONGEST_PAUSE)
  else s.pause = math.min(math.max(1 / s.refused_rate, SHORTEST_PAUSE), SECOND) end
  return s.pause
end

-- The queue goes on.
local tail = get('tail', 0, 1e15, 0)
local speed = rate(now)
local ahead = configured * CATCH_UP_SECONDS  -- late wake-ups must not slow a configured rate down
local front = math.max(get('front', -1, tail + ahead, tail), tail - 2 * fleet - speed * SECOND)
local passed = math.min(now - seen, SECOND)
local open = s.waiting == 0 and now >= s.paused_until
if open and speed > 0 then
  passed = math.min(passed, now - s.paused_until)
  local spare = passed * speed - (tail - front)
  front = math.min(front + passed * speed, tail + ahead)
  local unused = math.max(spare / speed, 0) + math.max(now - seen - SECOND, 0)
  if unused > SHORTEST_PAUSE then idle(unused) end
elseif s.limit == 0 and s.waiting == 0 then
  idle(now - seen)
end

-- What the process reports.
local served, served_age, refused_age, asked = arg(7), arg(8), arg(9), arg(10)
s.served = s.served + served
if s.limit == 0 then s.total = s.total + served end
if served_age >= 0 then
  local sent = now - served_age
  if configured > 0 then
    if sent > s.learnt then s.pause = 0 end
  elseif s.waiting == 1 and sent > s.refused + latency / 4 then
    s.waiting = 0
    if now >= s.trusted_until then
      local whole = now - s.since - s.asked
      local seconds = math.max(whole - s.pause / 2, s.asked > 0 and SECOND or SHORTEST_PAUSE)
      local measured = s.served / seconds
      local floor = now < s.floor_until and s.floor or 0
      if seconds < SHORT then measured = (s.served + 1) / seconds end
      if now - s.refused - s.asked > SECOND + 1 / s.refused_rate then
        s.trusted_until = now + math.min(whole, 10 * SECOND)
        s.hold = math.min(math.max(BACKOFF * whole, HOLD), BACKOFF * 10 * SECOND)
      else
        if s.doubled == 1 then
          s.hold = HOLD
          s.floor, s.floor_until = math.min(measured, s.refused_rate), now + math.min(whole, 10 * SECOND)
          measured = math.max(measured, (s.refused_rate + s.limit * (2 - BETA)) / 2)
        end
        if seconds >= SHORT then s.trusted_until = now + SECOND end
      end
      s.limit = math.max(math.min(measured, s.refused_rate), floor, SLOWEST)
    end
    s.grown_from, s.since, s.learnt, s.served = now, now, now, 0
    front = math.max(front - math.max(1 - served_age * rate(now), 0), -1)  -- the probe had a slot, too
  end
end
if refused_age >= 0 then
  local sent = now - refused_age
  if configured > 0 then
    if sent > s.learnt then
      s.learnt = now
      s.pause = s.pause > 0 and math.min(2 * s.pause, LONGEST_PAUSE) or SECOND
    end
    if asked <= 0 then s.paused_until = math.max(s.paused_until, now + s.pause) end
  elseif s.waiting == 0 and sent > s.learnt then
    s.refused_rate = s.limit > 0 and rate(now) or 1e7
    s.doubled = 0
    if s.limit > 0 and (sent - s.grown_from) / (1 + PATIENCE * s.asked) > s.hold then s.doubled = 1 end
    s.waiting, s.refused, s.pause, s.asked = 1, sent, 0, 0
    s.probe = now + next_pause()
  end
  if asked > 0 then
    s.paused_until = math.max(s.paused_until, now + asked)
    if s.waiting == 1 then s.asked = math.max(s.asked, asked) end
  end
end

-- What it gets.
speed = rate(now)
local first, slots, probe = tail, 0, 0
local again = math.max(s.paused_until - now, 0)
if s.waiting == 1 then
  if waits and again == 0 and now >= s.probe then
    probe = 1
    s.since = s.since + math.max(now - math.max(s.probe, s.paused_until) - SHORTEST_PAUSE, 0)
    s.probe = now + next_pause()
  end
  again = math.max(again, s.probe - now)
end
if speed > 0 then
  slots = math.floor(wanted)
  tail = tail + slots
end

s.seen, s.tail, s.front = now, tail, front
redis.call('HSET', state, 'queue', queue)
for name, value in pairs(s) do redis.call('HSET', state, name, text(value)) end
redis.call('EXPIRE', state, FORGET_SECONDS)
redis.call('EXPIRE', members, FORGET_SECONDS)
return cjson.encode({queue = queue, front = front, first = first, slots = slots, rate = speed, probe = probe == 1,
  again = again, members = fleet, waiting = s.waiting == 1, total = s.total, limit = s.limit})
"""
)


@frozen(kw_only=True)
class Turn:
    """What a process was given.

    Attributes:
        queue: name of the queue that the slots are numbered in; another one makes the slots of this one void.
        front: the number whose turn it is.
        first: number of the first slot.
        slots: how many.
        rate: calls per second of all processes together; 0 while no limit is known.
        probe: whether one call may go ahead while calls are refused.
        again: seconds until the pause ends or the next probe may leave.
        members: processes that share the limit.
        waiting: whether calls are refused.
        total: calls that were served before there was a limit.
        limit: the limit that is believed; 0 for none.
    """

    queue: str
    front: float
    first: float
    slots: int
    rate: float
    probe: bool
    again: float
    members: int
    waiting: bool
    total: float
    limit: float

"""The one script by which processes share a limit in Redis: reports in, a place in the queue of slots out.

**Slots** are numbered. A process takes the next numbers, at most its part, and keeps them until their turn comes:
`front` moves on by the rate, and stands still while all calls pause. So turns are in the order of asking, whatever the
rate becomes. If a process is gone, only the few slots that it held are lost.

**The model** is `RateModel`; a test holds both equal. A configured rate has no model: it pauses after a refusal.

**What is stored** is read as numbers within bounds; anything else counts as missing. Fields that this version does not
know stay. Calls and growth are counted by clocks of the script's own, which steps of Redis's clock hardly change.

**Why a script**, which says again what `RateModel` says in Python: a report is one round trip and never conflicts. The
alternatives were tried with the model in Python and as many reports as processes make at 40 calls a second, on a busy
machine. Under an optimistic transaction (`WATCH`) there were 0.07 repeats for each report of four processes and 0.2 of
twenty; the slowest report took 1.3 s in place of 0.3. With a lease there were 0.12 and 0.4 waits, and of twenty
processes one report in a hundred took 0.2 s. No whole limiter was built on either.
"""

from __future__ import annotations

from attrs import frozen

from carecloud_async._calls.rate_limits import model
from carecloud_async._calls.rate_limits.pacing import CATCH_UP_SECONDS

#: A process that has not asked for this long no longer counts (seconds). Processes that wait ask once a second.
GONE_SECONDS = 5.0
#: Seconds for which Redis keeps the state of a limit that is not used.
FORGET_SECONDS = 3600

_CONSTANTS = {name: value for name, value in vars(model).items() if name.isupper()} | {
    "GONE_SECONDS": GONE_SECONDS,
    "CATCH_UP_SECONDS": CATCH_UP_SECONDS,
    "FORGET_SECONDS": FORGET_SECONDS,
    "STEPS": round(model.LONG_WINDOW / model.STEP) + 1,
}

# KEYS: the state, the members, the history. ARGV: member, configured rate or 0, limit to begin with or 0, slots wanted,
# whether a call waits, calls served, seconds since the last of them was sent, seconds since the last refused call was
# sent or '', seconds that its answer asks to wait or 0, latency, calls refused.
# Returns a `Turn` as JSON.
SCRIPT = (
    "".join(f"local {name} = {value}\n" for name, value in _CONSTANTS.items())
    + """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local state, members, history = KEYS[1], KEYS[2], KEYS[3]
local function text(number) return string.format('%.6f', number) end
local function arg(i) return tonumber(ARGV[i]) or 0 end
local configured, hint, wanted, waits, latency = arg(2), arg(3), arg(4), ARGV[5] == '1', arg(10)
local served, served_age, refused_age, asked = arg(6), arg(7), tonumber(ARGV[8]), arg(9)
local refusals = math.max(arg(11), refused_age and 1 or 0)
for i, kind in ipairs({'hash', 'zset', 'hash'}) do
  local found = redis.call('TYPE', KEYS[i]).ok
  if found ~= kind and found ~= 'none' then redis.call('DEL', KEYS[i]) end
end

-- What is stored.
local stored, fields = redis.call('HGETALL', state), {}
for i = 1, #stored, 2 do fields[stored[i]] = stored[i + 1] end
local function get(name, least, most, missing)
  local value = tonumber(fields[name])
  if value and value >= least and value <= most then return value end
  return missing
end
local seen, s = get('seen', 0, now, now), {busy = get('busy', 0, 1e9, 0), time = get('time', 0, 1e9, 0)}
s.limit = get('limit', SLOWEST, 1e7, hint > 0 and math.max(hint, SLOWEST) or 0)
s.began, s.served, s.least = get('began', 0, s.busy, s.busy), get('served', 0, 1e9, 0), get('least', 0, 1e7, -1)
s.long, s.long_until = get('long', 0, 1, 0), get('long_until', 0, s.busy + 3 * LONG_WINDOW, 0)
s.waiting, s.refused, s.learnt = get('waiting', 0, 1, 0), get('refused', 0, now, now), get('learnt', 0, now, 0)
s.asked, s.pause = get('asked', 0, 30, 0), get('pause', 0, LONGEST_PAUSE, 0)
s.probe, s.paused_until = get('probe', 0, now + LONGEST_PAUSE, now), get('paused_until', 0, now + 30, 0)
s.total, s.average = get('total', 0, 1e12, 0), get('average', 0, 1e7, 0)
s.early_limit = get('early_limit', SLOWEST, 1e7, 0)
s.early = s.early_limit > 0 and get('early', 0, 1e9, 0) or 0
s.early_served, s.early_refused = get('early_served', 0, 1e12, 0), get('early_refused', 0, 1e12, 0)

redis.call('ZREMRANGEBYSCORE', members, '-inf', text(now - GONE_SECONDS))
redis.call('ZREMRANGEBYSCORE', members, '(' .. text(now), '+inf')
redis.call('ZADD', members, text(now), ARGV[1])
local fleet = redis.call('ZCARD', members)

-- The model.
local function rate()
  if configured > 0 or s.limit == 0 then return configured end
  local window = s.long == 1 and LONG_WINDOW or SECOND
  local grown = (s.busy - s.began) / (K * (window / SECOND) ^ (1 / 3) * (1 + BACKOFF * s.asked / SECOND))
  return math.min(math.max(s.limit * BETA ^ ((1 - math.min(grown, 8)) ^ 3), SLOWEST), 1e7)
end
local function count(seconds)
  local first, last = (s.time - seconds) / STEP, s.time / STEP
  local sum = 0
  for _, entry in ipairs(redis.call('HVALS', history)) do
    local step, number = string.match(entry, '^(%d+) (%d+)$')
    step = tonumber(step) or last + 1
    if step >= math.floor(first) and step <= last then sum = sum + number * math.min(step + 1 - first, 1) end
  end
  return sum
end
local function count_early(speed)
  if s.limit == 0 or speed >= s.limit * BELOW then s.early = 0 return end
  if s.early == 0 then s.early_limit, s.early_served, s.early_refused = s.limit, 0, refusals end
  s.early = s.early + 1
end
local function measure(speed)
  local seconds = math.max(math.min(SECOND, s.busy), TICK)
  local measured, whole = count(seconds) / seconds, count(LONG_WINDOW) / LONG_WINDOW
  if measured < whole * BETA and math.abs(whole - s.average) < whole / 20 then
    s.long_until = math.max(s.long_until, s.busy + LONG_WINDOW)
  end
  s.average, s.long = whole, s.busy < s.long_until and 1 or 0
  if s.long == 1 or whole > measured then measured = whole
  elseif s.busy - s.began < SECOND then s.least = math.max(s.busy >= SECOND and s.limit / 2 or 0, SLOWEST) end
  s.limit = math.max(math.min(measured, math.max(speed, s.limit)), SLOWEST)
end

-- The queue and the clock of the model go on; time in which no slot was wanted does not count.
local tail = get('tail', 0, 1e15, 0)
local ahead = configured * CATCH_UP_SECONDS  -- late wake-ups must not slow a configured rate down
local speed = rate()
local front = math.max(get('front', -1, tail + ahead, tail), tail - 2 * fleet - speed * SECOND)
local passed = math.min(now - seen, SECOND)
s.time = s.time + passed
if s.waiting == 1 then
  passed = math.min(passed, math.max(math.max(s.probe, s.paused_until) + TICK - now + passed, 0))
elseif speed == 0 then
  if now - seen < SECOND then passed = math.min(passed, 2 * STEP)
  else passed, s.busy, s.began, s.served = 0, 0, 0, 0 end  -- perhaps of a process that is gone
elseif now >= s.paused_until then
  local open = math.min(passed, now - s.paused_until)
  passed = math.min(passed, passed - open + math.max(tail - front, 0) / speed + TICK)
  front = math.min(front + open * speed, tail + ahead)
end
s.busy = s.busy + passed

-- What the process reports.
s.served, s.early_served = s.served + served, s.early_served + served
s.early_refused = s.early_refused + refusals
if s.limit == 0 then s.total = s.total + served end
if served > 0 then  -- a ring of counts, each with its step
  local step = math.floor(s.time / STEP)
  local of, number = string.match(redis.call('HGET', history, step % STEPS) or '', '^(%d+) (%d+)$')
  number = tonumber(of) == step and number + served or served
  redis.call('HSET', history, step % STEPS, string.format('%d %d', step, number))
  local sent = now - served_age
  if configured > 0 then
    if sent > s.learnt then s.pause = 0 end
  elseif s.waiting == 1 and sent > s.refused + latency / 4 then
    if s.least >= 0 then
      local measured = (s.served + 1) / math.max(s.busy - s.began, TICK)
      s.limit = math.max(math.min(s.limit, measured), math.min(s.limit, s.least))
    end
    s.waiting, s.began, s.served, s.learnt = 0, s.busy, 0, now
    front = math.max(front - math.max(1 - served_age * rate(), 0), -1)  -- the probe had a slot, too
  end
end
if refused_age then
  local sent = now - refused_age
  s.paused_until = math.max(s.paused_until, now + asked)
  if configured > 0 then
    if sent > s.learnt then
      s.learnt, s.pause = now, s.pause > 0 and math.min(2 * s.pause, LONGEST_PAUSE) or SECOND
    end
    if asked <= 0 then s.paused_until = math.max(s.paused_until, now + s.pause) end
  elseif s.waiting == 1 then
    s.asked = math.max(s.asked, asked)
    if sent - s.refused > BACKOFF * SECOND + s.asked then
      s.limit, s.least = math.max(count(LONG_WINDOW + now - s.refused) / LONG_WINDOW, SLOWEST), -1
      s.long, s.long_until = 1, s.busy + 3 * LONG_WINDOW
    end
  elseif sent > s.learnt then
    speed = s.limit > 0 and rate() or 1e7
    s.pause = s.limit > 0 and math.min(math.max(1 / speed, TICK), SECOND) or FIRST_PAUSE
    s.waiting, s.refused, s.asked, s.least = 1, sent, asked, -1
    count_early(speed)
    measure(speed)
    if s.early > MOST_EARLY and s.early_refused <= RANDOM_PART * (s.early_served + s.early_refused) then
      s.limit, s.least = s.early_limit, -1
    end
    if s.long == 1 then s.pause = SECOND end
    s.probe, s.pause = now + s.pause, math.min(s.pause * BACKOFF, LONGEST_PAUSE)
  end
end

-- What it gets.
speed = rate()
local first, slots, probe = tail, speed > 0 and math.floor(wanted) or 0, false
local again = math.max(s.paused_until - now, 0)
if s.waiting == 1 then
  probe = waits and again == 0 and now >= s.probe
  if probe then s.probe, s.pause = now + s.pause, math.min(s.pause * BACKOFF, LONGEST_PAUSE) end
  again = math.max(again, s.probe - now)
end
tail = tail + slots

s.seen, s.tail, s.front = now, tail, front
for name, value in pairs(s) do redis.call('HSET', state, name, text(value)) end
for i = 1, 3 do redis.call('EXPIRE', KEYS[i], FORGET_SECONDS) end
return cjson.encode({front = front, first = first, slots = slots, rate = speed, probe = probe,
  again = again, members = fleet, waiting = s.waiting == 1, total = s.total, limit = s.limit})
"""
)


@frozen(kw_only=True)
class Turn:
    """The script's answer to one process.

    Attributes:
        front: the number whose turn it is.
        first: number of the first slot. If that number was given before, Redis lost the queue and started another one.
        slots: how many.
        rate: calls per second of all processes together; 0 while no limit is known.
        probe: whether one call may go ahead while calls are refused.
        again: seconds until the pause ends or the next probe may leave.
        members: processes that share the limit.
        waiting: whether calls are refused.
        total: calls that were served before there was a limit.
        limit: the limit that is believed; 0 for none.
    """

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

"""The script by which processes share the numbers of a limit. It does not know the law: each process brings the rate.

It counts served calls, hands out numbered slots, whose turns come at that rate, and sets the numbers that the law says
if no other process has set any since that one read them (`version`).
"""

from carecloud_async._calls.rate_limits.law import FIRST_CALLS, MORE_PER_ANSWER, REST

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

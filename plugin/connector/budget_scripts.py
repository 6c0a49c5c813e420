"""The two Redis scripts of the budget: take room for a call, and learn from an answer.

Times are in microseconds of the Redis server, so that all processes count by one clock. Keys: a hash with
`limit` (learned capacity), `block` (no call before), `strikes` (refusals in a row), `tat` (next free moment) and
`start` (since when calls flow); and a sorted set of calls by the time at which they leave the window. Both may
vanish at any moment: what is missing means a fresh start with the published limits.

A rule over one second is paced: calls get evenly spaced moments (the generic cell rate algorithm without a burst)
at 97 % of the limit, 90 % for limits below 10. The first second runs slower, because opening connections delays
the first calls so that later ones would catch up with them. A rule over a longer time is a sliding window with one
call of reserve, and 0.2 % + 0.2 s longer than bol's own, for calls that are on their way.
"""

COMMON = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local function text(number) return string.format('%.0f', number) end
local function field(name) return tonumber(redis.call('HGET', KEYS[1], name) or nil) end
local published, seconds = tonumber(ARGV[1]), tonumber(ARGV[2])
local window = seconds * 1000000
local function keep()
  redis.call('PEXPIRE', KEYS[1], math.max(3600000, seconds * 2000))
end
"""

# ARGV: capacity, seconds, urgent (1 or 0), how far ahead a moment may be promised, unique id of the call.
# Answer: {1, wait} = go after this wait; {0, wait} = no room, ask again after this wait.
ACQUIRE = (
    COMMON
    + """
local urgent, ahead = ARGV[3] == '1', tonumber(ARGV[4])
local capacity = field('limit') or published
local block = field('block') or 0
if seconds <= 1 then
  local share = 0.97
  if capacity < 10 then share = 0.9 end
  local step = window / (capacity * share)
  local tat, start = field('tat') or 0, field('start')
  local slot = math.max(now, block, tat)
  if slot - now > ahead then return {0, text(slot - now - ahead / 2)} end
  if not start or tat < now - window then start = slot end
  local next_step = step
  if slot - start < window then next_step = step * 1.2 end
  redis.call('HSET', KEYS[1], 'tat', text(slot + next_step), 'start', text(start))
  keep()
  return {1, text(slot - now)}
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', text(now))
local room = capacity - 1
if not urgent then room = room - math.floor(capacity / 5) end
if room < 1 then room = 1 end
local used = redis.call('ZCARD', KEYS[2])
if used < room and block <= now then
  redis.call('ZADD', KEYS[2], text(now + window * 1.002 + 200000), ARGV[5])
  redis.call('PEXPIRE', KEYS[2], math.ceil(seconds * 2000))
  return {1, '0'}
end
local free_at = block
if used >= room then
  local leaves = redis.call('ZRANGE', KEYS[2], used - room, used - room, 'WITHSCORES')
  free_at = math.max(free_at, tonumber(leaves[2]))
end
return {0, text(free_at - now)}
"""
)

# ARGV: capacity, seconds, status, limit, remaining, reset in seconds, retry-after in microseconds, unique id;
# -1 where the answer does not say. Only ever lowers what is left; a limit may go either way.
LEARN = (
    COMMON
    + """
local status, limit, remaining = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local reset, retry_after = tonumber(ARGV[6]), tonumber(ARGV[7])
if limit > 0 then redis.call('HSET', KEYS[1], 'limit', limit) end
if status == 429 then
  local block = field('block') or 0
  local wait = retry_after
  if block <= now then
    local strikes = redis.call('HINCRBY', KEYS[1], 'strikes', 1)
    if wait < 0 then wait = math.min(60, 2 ^ (strikes - 1)) * 1000000 end
  end
  redis.call('HSET', KEYS[1], 'block', text(math.max(block, now + wait)))
  keep()
  return 1
end
redis.call('HDEL', KEYS[1], 'strikes')
local capacity = field('limit') or published
if remaining >= 0 and seconds <= 1 then
  if remaining == 0 then
    local step = window / (capacity * 0.97)
    redis.call('HSET', KEYS[1], 'tat', text(math.max(now, field('tat') or 0) + step))
  end
elseif remaining >= 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', text(now))
  local missing = (capacity - remaining) - redis.call('ZCARD', KEYS[2])
  local leaves = now + window
  if reset > 0 and reset < seconds then leaves = now + reset * 1000000 end
  for i = 1, math.min(missing, capacity) do
    redis.call('ZADD', KEYS[2], text(leaves), ARGV[8] .. ':' .. i)
  end
  if missing > 0 then redis.call('PEXPIRE', KEYS[2], math.ceil(seconds * 2000)) end
end
keep()
return 0
"""
)

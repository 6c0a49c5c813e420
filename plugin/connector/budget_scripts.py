"""The two Redis scripts of the budget: take room for a call, and learn from its answer.

Times are in microseconds of the Redis server, so that all processes count by one clock. Keys: a hash with
`limit` (learned capacity), `block` (no call before), `strikes` (refusals in a row) and `tat` (next free moment); a
sorted set of calls that landed, by the time at which they leave bol's window; one of calls in flight, by the time
at which they are given up. All may vanish at any moment: what is missing means a fresh start.

When a call reaches bol is not known, only that it is before its answer is here. So a call in flight takes room
until it landed, and a window's length after that: a program that is held up and then sends all at once stays within
the limit. Rules over one second are also paced: calls get evenly spaced moments (the generic cell rate algorithm
without a burst) at 98 % of the limit, 90 % for limits below 10. Rules over a longer time allow bursts, with one call
of reserve.
"""

COMMON = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local function text(number) return string.format('%.0f', number) end
local function field(name) return tonumber(redis.call('HGET', KEYS[1], name) or nil) end
local published, seconds = tonumber(ARGV[1]), tonumber(ARGV[2])
local window, paced = seconds * 1000000, seconds <= 1
local landed, flying = KEYS[2], KEYS[3]
local function keep()
  for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, math.max(3600, seconds * 2)) end
end
redis.call('ZREMRANGEBYSCORE', landed, '-inf', text(now))
redis.call('ZREMRANGEBYSCORE', flying, '-inf', text(now))
"""

# ARGV: capacity, seconds, urgent (1 or 0), how far ahead a moment may be promised, unique id of the call, how long
# to wait for its answer. Answer: {1, wait} = go after this wait; {0, wait} = no room, ask again after this wait.
ACQUIRE = (
    COMMON
    + """
local urgent, ahead = ARGV[3] == '1', tonumber(ARGV[4])
local capacity = field('limit') or published
local room, slot = capacity, math.max(now, field('block') or 0)
if paced then
  slot = math.max(slot, field('tat') or 0)
else
  room = room - 1
  if not urgent then room = room - math.floor(capacity / 5) end
end
local over = redis.call('ZCARD', flying) + redis.call('ZCOUNT', landed, '(' .. text(slot), '+inf')
  - (math.max(room, 1) - 1)
if over > 0 then
  local leaving = redis.call(
    'ZRANGEBYSCORE', landed, '(' .. text(slot), '+inf', 'WITHSCORES', 'LIMIT', over - 1, 1)
  if not leaving[2] then return {0, '20000'} end
  slot = tonumber(leaving[2])
end
if slot - now > ahead then return {0, text(slot - now - ahead / 2)} end
if paced then
  local share = 0.98
  if capacity < 10 then share = 0.9 end
  redis.call('HSET', KEYS[1], 'tat', text(slot + window / (capacity * share)))
end
redis.call('ZADD', flying, text(slot + tonumber(ARGV[6]) + window), ARGV[5])
keep()
return {1, text(slot - now)}
"""
)

# ARGV: capacity, seconds, status (0: no answer), limit, remaining, reset in seconds, retry-after in microseconds,
# unique id, how long ago the call reached bol at least. -1 where the answer does not say. What is left is only ever
# lowered; a limit may go either way.
LEARN = (
    COMMON
    + """
local status, limit, remaining = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local reset, retry_after = tonumber(ARGV[6]), tonumber(ARGV[7])
redis.call('ZPOPMIN', flying)
redis.call('ZADD', landed, text(now + window - tonumber(ARGV[9])), ARGV[8])
if limit > 0 then redis.call('HSET', KEYS[1], 'limit', limit) end
if status == 429 then
  local block, wait = field('block') or 0, retry_after
  if block <= now then
    local strikes = redis.call('HINCRBY', KEYS[1], 'strikes', 1)
    if wait < 0 then wait = math.min(60, 2 ^ (strikes - 1)) * 1000000 end
  end
  redis.call('HSET', KEYS[1], 'block', text(math.max(block, now + wait)))
elseif status > 0 then
  redis.call('HDEL', KEYS[1], 'strikes')
end
if status ~= 429 and remaining >= 0 then
  local capacity = field('limit') or published
  local missing = capacity - remaining - redis.call('ZCARD', landed) - redis.call('ZCARD', flying)
  -- Over a second our count and bol's differ by the calls on their way; only more than that is somebody else.
  if paced and missing <= capacity / 10 then missing = 0 end
  local leaves = now + window
  if reset > 0 and reset < seconds then leaves = now + reset * 1000000 end
  for i = 1, math.min(missing, capacity) do
    redis.call('ZADD', landed, text(leaves), ARGV[8] .. ':' .. i)
  end
end
keep()
return 0
"""
)

"""The Redis scripts of the budget: take room for a call, learn from its answer, and look at what is used.

Times are in microseconds of the Redis server, so that all processes count by one clock. Keys: a hash with
`limit` (learned capacity), `block` (no call before), `strikes` (refusals in a row) and `tat` (next free moment); a
sorted set of calls that landed, by the time at which they leave bol's window; one of calls in flight, by the time
at which they are given up; and one of bulk calls, by the time at which they leave the window. All may vanish at any moment: what is missing means a fresh start.

When a call reaches bol is not known, only that it is before its answer is here. So a call in flight takes room
until it landed, and a window's length after that: a program that is held up and then sends all at once stays within
the limit. Rules over one second are also paced: calls get evenly spaced moments (the generic cell rate algorithm
without a burst) at 98 % of the limit, 90 % for limits below 10. Rules over a longer time allow bursts, with one call
of reserve.

Bulk work leaves room: half of rules over a longer time, of which a third is its own however many urgent calls there
are, and while urgent calls wait for a moment (`urgent`: until when that is believed) it may use no more than two fifths
of any limit.
"""

COMMON = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local BULK_SHARE = 0.4
local function text(number) return string.format('%.0f', number) end
local function field(name) return tonumber(redis.call('HGET', KEYS[1], name) or nil) end
local published, seconds = tonumber(ARGV[1]), tonumber(ARGV[2])
local window, paced = seconds * 1000000, seconds <= 1
local landed, flying, bulk = KEYS[2], KEYS[3], KEYS[4]
local function keep()
  for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, math.max(3600, seconds * 2)) end
end
redis.call('ZREMRANGEBYSCORE', landed, '-inf', text(now))
redis.call('ZREMRANGEBYSCORE', flying, '-inf', text(now))
redis.call('ZREMRANGEBYSCORE', bulk, '-inf', text(now))
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
  if not urgent and redis.call('ZCARD', bulk) >= math.floor(capacity / 3) then
    room = room - math.floor(capacity / 2)
  end
end
local over = redis.call('ZCARD', flying) + redis.call('ZCOUNT', landed, '(' .. text(slot), '+inf')
  - (math.max(room, 1) - 1)
if over > 0 then
  local leaving = redis.call(
    'ZRANGEBYSCORE', landed, '(' .. text(slot), '+inf', 'WITHSCORES', 'LIMIT', over - 1, 1)
  if not leaving[2] then return {0, '20000'} end
  slot = tonumber(leaving[2])
end
if urgent then
  -- Who is told to wait longer than its turn takes is waiting; a little more than that, so that asking again is seen.
  if slot - now > window / capacity * 2 then
    redis.call('HSET', KEYS[1], 'urgent', text(slot + math.max(100000, window / 50)))
  end
elseif (field('urgent') or 0) > now then
  local over_share = redis.call('ZCARD', bulk) - math.max(math.floor(capacity * BULK_SHARE), 1) + 1
  if over_share > 0 then
    -- Promising it a later moment would push back the urgent calls behind it.
    local leaving = redis.call('ZRANGE', bulk, over_share - 1, over_share - 1, 'WITHSCORES')
    return {0, text(math.max(20000, tonumber(leaving[2]) - now))}
  end
end
if slot - now > ahead then return {0, text(slot - now - ahead / 2)} end
if paced then
  local share = 0.98
  if capacity < 10 then share = 0.9 end
  redis.call('HSET', KEYS[1], 'tat', text(slot + window / (capacity * share)))
end
redis.call('ZADD', flying, text(slot + tonumber(ARGV[6]) + window), ARGV[5])
if not urgent then redis.call('ZADD', bulk, text(slot + window), ARGV[5]) end
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

# ARGV: capacity, seconds. Answer: {limit, calls that count in bol's window, microseconds until calls are made again}.
LOOK = (
    COMMON
    + """
local block = field('block') or 0
return {text(field('limit') or published), redis.call('ZCARD', landed), text(math.max(0, block - now))}
"""
)

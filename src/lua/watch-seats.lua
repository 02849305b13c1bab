-- Says that somebody watches the seats: changes are published from now on, for as long as this is said again.
--
-- KEYS[1] meta          as in hold.lua
-- ARGV[1] forMs         for how long
--
-- Returns the revision of the seats, or nil when the performance is not warm.

local metaKey = KEYS[1]

local meta = redis.call('HMGET', metaKey, 'kind', 'revision')
if not meta[1] then
  return false
end
local time = redis.call('TIME')
redis.call('HSET', metaKey, 'watchedUntil', string.format('%.0f', tonumber(time[1]) * 1000 + tonumber(ARGV[1])))
return tonumber(meta[2])

-- A sign of life of users who wait: moves the moment when their absence counts as leaving. Whoever has left stays away.
--
-- KEYS[1] queue:seen   (as in queue-serve.lua)
-- ARGV[1] absenceMs     from now
-- ARGV[2..]             user ids, 3,000 at most
--
-- Returns the number of users given.

local seenKey = KEYS[1]

local time = redis.call('TIME')
local absentAt = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + tonumber(ARGV[1]))
local writes = {}
for i = 2, #ARGV do
  writes[#writes + 1] = absentAt
  writes[#writes + 1] = ARGV[i]
end
redis.call('ZADD', seenKey, 'XX', unpack(writes))
return #ARGV - 1

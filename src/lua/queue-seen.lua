-- A sign of life of users who wait: moves the moment when their absence counts as leaving. Whoever has left stays away.
--
-- KEYS[1] queue:seen   (as in queue-serve.lua)
-- ARGV[1] absenceMs     from now
-- ARGV[2..]             user ids
--
-- Returns the number of users given.

local seenKey = KEYS[1]
-- Users a command: Lua's stack takes 8,000.
local SLICE_MAX = 3500

local time = redis.call('TIME')
local absentAt = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + tonumber(ARGV[1]))
for first = 2, #ARGV, SLICE_MAX do
  local writes = {}
  for i = first, math.min(first + SLICE_MAX - 1, #ARGV) do
    writes[#writes + 1] = absentAt
    writes[#writes + 1] = ARGV[i]
  end
  redis.call('ZADD', seenKey, 'XX', unpack(writes))
end
return #ARGV - 1

-- Reads the journal entries of one performance that are older than a given age, the oldest first. The age is measured by the
-- clock that made the entry ids.
--
-- KEYS[1] journal       as in hold.lua
-- ARGV[1] ageMs         what is younger is on its way still
-- ARGV[2] countMax      entries
--
-- Returns [Unix milliseconds now, [[entry id, [field, value]], ...], entries of any age].

local time = redis.call('TIME')
local nowMs = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local last = string.format('%.0f', nowMs - tonumber(ARGV[1]))
return { nowMs, redis.call('XRANGE', KEYS[1], '-', last, 'COUNT', ARGV[2]), redis.call('XLEN', KEYS[1]) }

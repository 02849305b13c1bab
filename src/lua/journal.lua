-- Reads the journal entries that are older than a given age, the oldest first, of one performance or of several that are at
-- one node. The age is measured by the clock that made the entry ids.
--
-- KEYS[1..]   journal    as in hold.lua, one a performance
-- ARGV[1]     ageMs      what is younger is on its way still
-- ARGV[2]     countMax   entries a performance
--
-- Returns [Unix milliseconds now, [[[entry id, [field, value]], ...], entries of any age] a performance]; 0 in place of the
-- latter where the journal is empty, as nearly all are at any moment.

local time = redis.call('TIME')
local nowMs = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local last = string.format('%.0f', nowMs - tonumber(ARGV[1]))

local journals = {}
for i = 1, #KEYS do
  local length = redis.call('XLEN', KEYS[i])
  journals[i] = length > 0 and { redis.call('XRANGE', KEYS[i], '-', last, 'COUNT', ARGV[2]), length } or 0
end
return { nowMs, journals }

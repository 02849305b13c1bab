-- The clock of the node that has the key: the nodes of a cluster have one each, and no two clocks are compared.
--
-- KEYS[1] meta          as in hold.lua; only its place matters
--
-- Returns Unix milliseconds.

local time = redis.call('TIME')
return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

-- Reads what stands at the head of a performance, with the time by which its holds end.
--
-- KEYS[1] meta          as in hold.lua
--
-- Returns nil when the performance is not warm, else [kind, places, remaining, load, revision, nowMs], all as text.

local metaKey = KEYS[1]

local meta = redis.call('HMGET', metaKey, 'kind', 'places', 'remaining', 'load', 'revision')
if not meta[1] then
  return false
end
local time = redis.call('TIME')
meta[6] = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
return meta

-- Notes in meta that places were taken over from holds whose time was over: MySQL may have sold them, and Redis not been told.
-- By the end of this minute it has been, or the performance was loaded anew. Needs metaKey.
local function markUnsure()
  local time = redis.call('TIME')
  redis.call('HSET', metaKey, 'unsureUntil', string.format('%.0f', tonumber(time[1]) * 1000 + 60000))
end

-- Tells a load under way that MySQL has changed since it began. The value is new each time. Needs voidKey.
local function makeVoid(id)
  local time = redis.call('TIME')
  redis.call('SET', voidKey, time[1] .. '.' .. time[2] .. ' ' .. id, 'EX', 60)
end

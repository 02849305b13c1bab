-- Gives the pass back that a reservation was made with: the next one in the queue may come. Needs ticketsKey, activeKey
-- and usedKey.
local function endPass(userId, reservationId)
  if redis.call('HGET', usedKey, userId) ~= reservationId then
    return
  end
  redis.call('HDEL', usedKey, userId)
  redis.call('ZREM', activeKey, userId)
  local rest = string.match(redis.call('HGET', ticketsKey, userId) or '', '^N( .+)$')
  if rest then
    redis.call('HSET', ticketsKey, userId, 'L' .. rest)
  end
end

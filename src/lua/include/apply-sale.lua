-- Makes the seats of a reservation occupied that MySQL has sold: it never lapses. Returns true when it is known here.
-- Needs seatsKey, reservationsKey and expiryKey, and `changes` as giveBack does.
--   row   [reservationId, userId as text, [seat, version, ...]]; versions as MySQL has them
local function applySale(row)
  local id, seatVersions = row[1], row[3]
  local userId, rest = string.match(redis.call('HGET', reservationsKey, id) or '', '^(%d+) %d+( .*)$')
  if not userId then
    return false
  end
  redis.call('HSET', reservationsKey, id, userId .. ' 0' .. rest)
  redis.call('ZREM', expiryKey, id)
  for k = 1, #seatVersions, 2 do
    local seat, version = seatVersions[k], seatVersions[k + 1]
    local owner = string.match(redis.call('HGET', seatsKey, seat) or '', '^%a %d+ %d+ (.+)$')
    if owner == id then
      redis.call('HSET', seatsKey, seat, 'O ' .. version .. ' 0 ' .. id)
      if changes then
        changes[#changes + 1] = seat
        changes[#changes + 1] = 2
      end
    end
  end
  return true
end

-- Frees everything one reservation holds: its seats, or its places, its user's slot, its end in the index.
-- A seat is freed only while this reservation owns it. Needs seatsKey, reservationsKey, usersKey and expiryKey, and
-- `changes`, where the freed seats are noted for those who watch; nil while nobody does.
--   id        reservation id
--   value     its value in the reservations hash
--   versions  seat (text) -> version that MySQL gave the freed seat; nil: one more than the seat has here
-- Returns the number of places freed.
local function giveBack(id, value, versions)
  local userId, _, partySize, seatList = string.match(value, '^(%d+) (%d+) (%d+) (.*)$')
  local freed = tonumber(partySize)
  for seat in string.gmatch(seatList, '%d+') do
    local version, owner = string.match(redis.call('HGET', seatsKey, seat) or '', '^%a (%d+) %d+ (.+)$')
    if owner == id then
      local freeVersion = versions and versions[seat] or (tonumber(version) + 1)
      redis.call('HSET', seatsKey, seat, string.format('A %d', freeVersion))
      freed = freed + 1
      if changes then
        changes[#changes + 1] = tonumber(seat)
        changes[#changes + 1] = 0
      end
    end
  end
  local ids = redis.call('HGET', usersKey, userId)
  if ids == id then
    redis.call('HDEL', usersKey, userId)
  elseif ids then
    local from, to = string.find(ids, id, 1, true)
    if from then
      -- Ids stand apart by one space: cut the id with the space before it, or after it when it is the first.
      local rest = from == 1 and string.sub(ids, to + 2) or (string.sub(ids, 1, from - 2) .. string.sub(ids, to + 1))
      redis.call('HSET', usersKey, userId, rest)
    end
  end
  redis.call('HDEL', reservationsKey, id)
  redis.call('ZREM', expiryKey, id)
  return freed
end

-- Tells Redis of reservations that MySQL has sold: their seats are occupied, they never lapse, the pass is spent.
-- Compares the reservation id before it touches a seat. Safe to run twice.
--
-- KEYS[1] meta   KEYS[2] seats   KEYS[3] reservations   KEYS[4] expiry   (as in hold.lua)
-- KEYS[5] void          as in release.lua
-- KEYS[6] queue:tickets   KEYS[7] queue:active   KEYS[8] queue:used   (as in queue-serve.lua)
-- ARGV[1] sales         msgpack: [[reservationId, userId as text, [seat, version, ...]], ...]; versions as MySQL has them
-- ARGV[2] channel       as in hold.lua
--
-- Returns the number of sales found here, or -1 when the performance is not warm. Publishes as hold.lua.

local metaKey, seatsKey, reservationsKey, expiryKey, voidKey, ticketsKey, activeKey, usedKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8]

-- @include make-void
-- @include end-pass

local sales = cmsgpack.unpack(ARGV[1])
for i = 1, #sales do
  endPass(sales[i][2], sales[i][1])
end
local meta = redis.call('HMGET', metaKey, 'kind', 'watchedUntil')
if not meta[1] then
  makeVoid(sales[1][1])
  return -1
end

local changes, found = {}, 0
for i = 1, #sales do
  local id, seatVersions = sales[i][1], sales[i][3]
  local userId, rest = string.match(redis.call('HGET', reservationsKey, id) or '', '^(%d+) %d+( .*)$')
  if userId then
    found = found + 1
    redis.call('HSET', reservationsKey, id, userId .. ' 0' .. rest)
    redis.call('ZREM', expiryKey, id)
    for k = 1, #seatVersions, 2 do
      local seat, version = seatVersions[k], seatVersions[k + 1]
      local owner = string.match(redis.call('HGET', seatsKey, seat) or '', '^%a %d+ %d+ (.+)$')
      if owner == id then
        redis.call('HSET', seatsKey, seat, 'O ' .. version .. ' 0 ' .. id)
        changes[#changes + 1] = seat
        changes[#changes + 1] = 2
      end
    end
  end
end
if found > 0 then
  local revision = redis.call('HINCRBY', metaKey, 'revision', 1)
  local time = redis.call('TIME')
  if meta[2] and tonumber(meta[2]) > tonumber(time[1]) * 1000 then
    redis.call('PUBLISH', ARGV[2], cmsgpack.pack({ revision, changes }))
  end
end
return found

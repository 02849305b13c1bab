-- Tells Redis of reservations that MySQL has sold: their seats are occupied, they never lapse, the pass is spent.
-- Compares the reservation id before it touches a seat. Safe to run twice.
--
-- KEYS[1] meta   KEYS[2] seats   KEYS[3] reservations   KEYS[4] expiry   (as in hold.lua)
-- KEYS[5] late          as in release.lua
-- KEYS[6] queue:tickets   KEYS[7] queue:active   KEYS[8] queue:used   (as in queue-serve.lua)
-- ARGV[1] sales         msgpack: [[reservationId, userId as text, [seat, version, ...]], ...]; versions as MySQL has them
-- ARGV[2] channel       as in hold.lua
--
-- Returns the number of sales found here, or -1 when the performance is not warm. Publishes as hold.lua.

local metaKey, seatsKey, reservationsKey, expiryKey, lateKey, ticketsKey, activeKey, usedKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8]

-- @include tell-late
-- @include end-pass

local sales = cmsgpack.unpack(ARGV[1])
for i = 1, #sales do
  endPass(sales[i][2], sales[i][1])
end
local meta = redis.call('HMGET', metaKey, 'kind', 'watchedUntil')
if not meta[1] then
  tellLate('sale', sales)
  return -1
end

local changes, found = {}, 0

-- @include apply-sale

for i = 1, #sales do
  if applySale(sales[i]) then
    found = found + 1
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

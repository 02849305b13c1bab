-- Tells Redis of reservations that MySQL has given up: cancelled, expired. The one release path.
-- Compares the reservation id before it frees a seat. Safe to run twice.
--
-- KEYS[1] meta   KEYS[2] seats   KEYS[3] reservations   KEYS[4] users   KEYS[5] expiry   (as in hold.lua)
-- KEYS[6] late          list: what was told while the performance was cold, for the load that puts it in place
-- KEYS[7] queue:tickets   KEYS[8] queue:active   KEYS[9] queue:used   (as in queue-serve.lua)
-- ARGV[1] releases      msgpack: [[reservationId, userId as text, 1 when its queue pass ends with it else 0,
--                       [seat, version, ...]], ...]; versions as MySQL has them now
-- ARGV[2] channel       as in hold.lua
--
-- Returns the places remaining now, or -1 when the performance is not warm. Publishes as hold.lua.

local metaKey, seatsKey, reservationsKey, usersKey, expiryKey, lateKey, ticketsKey, activeKey, usedKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]

local releases = cmsgpack.unpack(ARGV[1])
local meta = redis.call('HMGET', metaKey, 'kind', 'watchedUntil')
local time = redis.call('TIME')
local changes = meta[2] and tonumber(meta[2]) > tonumber(time[1]) * 1000 and {} or nil

-- @include give-back
-- @include apply-release
-- @include tell-late
-- @include end-pass

for i = 1, #releases do
  if releases[i][3] == 1 then
    endPass(releases[i][2], releases[i][1])
  end
end
if not meta[1] then
  tellLate('release', releases)
  return -1
end

local freed = 0
for i = 1, #releases do
  freed = freed + applyRelease(releases[i])
end
if freed > 0 then
  local revision = redis.call('HINCRBY', metaKey, 'revision', 1)
  if changes then
    redis.call('PUBLISH', ARGV[2], cmsgpack.pack({ revision, changes }))
  end
end
return redis.call('HINCRBY', metaKey, 'remaining', freed)

-- Tells Redis of reservations that MySQL has given up: cancelled, expired. The one release path.
-- Compares the reservation id before it frees a seat. Safe to run twice.
--
-- KEYS[1] meta   KEYS[2] seats   KEYS[3] reservations   KEYS[4] users   KEYS[5] expiry   (as in hold.lua)
-- KEYS[6] void          string: written while the performance is cold, so that a load under way starts again
-- ARGV[1] releases      msgpack: [[reservationId, seat, version, seat, version, ...], ...]; versions as MySQL has them now
--
-- Returns the places remaining now, or -1 when the performance is not warm.

local metaKey, seatsKey, reservationsKey, usersKey, expiryKey, voidKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]

-- @include give-back
-- @include make-void

local releases = cmsgpack.unpack(ARGV[1])
if redis.call('EXISTS', metaKey) == 0 then
  makeVoid(releases[1][1])
  return -1
end

local freed = 0
for i = 1, #releases do
  local release = releases[i]
  local stored = redis.call('HGET', reservationsKey, release[1])
  if stored then
    local versions = {}
    for k = 2, #release, 2 do
      versions[tostring(release[k])] = release[k + 1]
    end
    freed = freed + giveBack(release[1], stored, versions)
  end
end
if freed > 0 then
  redis.call('HINCRBY', metaKey, 'revision', 1)
end
return redis.call('HINCRBY', metaKey, 'remaining', freed)

-- Gives back holds that MySQL refused (its versions are ahead: Redis has lost writes) and marks the performance cold,
-- so that the next request loads it from MySQL. Safe to run twice.
--
-- KEYS[1] meta   KEYS[2] seats   KEYS[3] reservations   KEYS[4] users   KEYS[5] expiry   (as in hold.lua)
-- ARGV[1] channel       as in hold.lua
-- ARGV[2..]      reservation ids; none: the performance is marked cold whatever it holds
--
-- Returns 1 when one of them was still held here and the performance is cold now, else 0. Publishes msgpack [-1, []] then:
-- whoever watches the seats must read them anew.

local metaKey, seatsKey, reservationsKey, usersKey, expiryKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

local changes = nil

-- @include give-back

local isHeld = #ARGV == 1
for i = 2, #ARGV do
  local stored = redis.call('HGET', reservationsKey, ARGV[i])
  if stored then
    giveBack(ARGV[i], stored, nil)
    isHeld = true
  end
end
-- Where none is known, somebody else has taken them back and loaded the performance since.
if not isHeld or redis.call('DEL', metaKey) == 0 then
  return 0
end
redis.call('PUBLISH', ARGV[1], cmsgpack.pack({ -1, {} }))
return 1

-- Gives back holds that MySQL refused (its versions are ahead: Redis has lost writes) and marks the performance cold,
-- so that the next request loads it from MySQL. Safe to run twice.
--
-- KEYS[1] meta   KEYS[2] seats   KEYS[3] reservations   KEYS[4] users   KEYS[5] expiry   (as in hold.lua)
-- ARGV[1..]      reservation ids; none: the performance is marked cold whatever it holds
--
-- Returns 1 when one of them was still held here and the performance is cold now, else 0.

local metaKey, seatsKey, reservationsKey, usersKey, expiryKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

-- @include give-back

local isHeld = #ARGV == 0
for i = 1, #ARGV do
  local stored = redis.call('HGET', reservationsKey, ARGV[i])
  if stored then
    giveBack(ARGV[i], stored, nil)
    isHeld = true
  end
end
-- Where none is known, somebody else has taken them back and loaded the performance since.
return isHeld and redis.call('DEL', metaKey) or 0

-- Removes journal entries whose holds MySQL has settled. Safe to run twice.
-- A load under way may have read MySQL before that and would find the holds neither there nor here: it is made void.
--
-- KEYS[1] meta   KEYS[2] journal   (as in hold.lua)   KEYS[3] void   (as in warm.lua)
-- ARGV[1..]      entry ids
--
-- Returns the number of entries removed.

local metaKey, journalKey, voidKey = KEYS[1], KEYS[2], KEYS[3]

-- @include make-void

if redis.call('EXISTS', metaKey) == 0 then
  makeVoid(ARGV[1])
end
return redis.call('XDEL', journalKey, unpack(ARGV))

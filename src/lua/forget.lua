-- Removes journal entries whose holds MySQL has settled, of one performance or of several that are at one node. Safe to run
-- twice. A load under way may have read MySQL before that and would find the holds neither there nor here: it is made void.
--
-- KEYS[1] meta   KEYS[2] journal   (as in hold.lua)   KEYS[3] void   (as in warm.lua), then the three of the next performance
-- ARGV[1..]      entry ids of a performance, apart by a blank
--
-- Returns the number of entries removed.

local metaKey, journalKey, voidKey = KEYS[1], KEYS[2], KEYS[3]

-- @include make-void

local removed = 0
for i = 1, #ARGV do
  metaKey, journalKey, voidKey = unpack(KEYS, 3 * i - 2, 3 * i)
  local ids = {}
  for id in string.gmatch(ARGV[i], '%S+') do
    ids[#ids + 1] = id
  end
  if redis.call('EXISTS', metaKey) == 0 then
    makeVoid(ids[1])
  end
  removed = removed + redis.call('XDEL', journalKey, unpack(ids))
end
return removed

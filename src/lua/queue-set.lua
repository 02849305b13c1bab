-- Puts the settings of a waiting room in place, those of MySQL, unless newer ones are here. Safe to run twice.
--
-- KEYS[1] meta   KEYS[2] queue   (as in queue-serve.lua)   KEYS[3] void   (as in warm.lua)
-- ARGV[1] revision      of the settings
-- ARGV[2..]             fields and values of the queue hash: mode, rate, maxActive, passMs, opensAt, draw
--
-- Returns 1 when they are in force, 0 when newer ones were, -1 when the performance is not warm: its load brings them.

local metaKey, queueKey, voidKey = KEYS[1], KEYS[2], KEYS[3]

-- @include make-void
-- @include set-room

local isSet = setRoom(tonumber(ARGV[1]), ARGV, 2)
if redis.call('EXISTS', metaKey) == 0 then
  makeVoid(ARGV[1])
  return -1
end
redis.call('HSET', metaKey, 'queue', redis.call('HGET', queueKey, 'mode') == 'on' and 1 or 0)
return isSet and 1 or 0

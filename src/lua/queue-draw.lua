-- Gives early tickets the numbers that the draw gave them: one part of a draw, in any order. Safe to run twice.
--
-- KEYS[1] queue   KEYS[2] queue:tickets   KEYS[3] queue:waiting   KEYS[4] queue:early   KEYS[5] queue:line
--                       (as in queue-serve.lua)
-- ARGV[1] numbers       msgpack: [the first arrival of this part, [its number, the next one's, ...]]
-- ARGV[2] range         'first last' arrival of the draw
-- ARGV[3] channel       set on the last part: the draw is over, and the gateways hear of it; '' on the others
--
-- Returns the number of tickets that got theirs. Publishes as queue-admit.lua, with 1 as the head's last element.

local queueKey, ticketsKey, waitingKey, earlyKey, lineKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

local part = cmsgpack.unpack(ARGV[1])
local first, numbers = part[1], part[2]
local early = redis.call('ZRANGEBYSCORE', earlyKey, first, first + #numbers - 1, 'WITHSCORES')
local tickets, waiting, bits = {}, {}, {}
for i = 1, #early, 2 do
  local user, arrival = early[i], tonumber(early[i + 1])
  local number = numbers[arrival - first + 1]
  tickets[#tickets + 1] = user
  tickets[#tickets + 1] = 'N ' .. arrival .. ' ' .. number
  waiting[#waiting + 1] = number
  waiting[#waiting + 1] = user
  for _, word in ipairs({ 'SET', 'u1', number, 1 }) do
    bits[#bits + 1] = word
  end
end
if #tickets > 0 then
  redis.call('HSET', ticketsKey, unpack(tickets))
  redis.call('ZADD', waitingKey, unpack(waiting))
  redis.call('BITFIELD', lineKey, unpack(bits))
  redis.call('ZREMRANGEBYSCORE', earlyKey, first, first + #numbers - 1)
end
if ARGV[3] ~= '' then
  local firstArrival, lastArrival = string.match(ARGV[2], '^(%d+) (%d+)$')
  firstArrival, lastArrival = tonumber(firstArrival), tonumber(lastArrival)
  local room = redis.call('HMGET', queueKey, 'earlyFrom', 'earlyTo', 'issued')
  local earlyFrom, earlyTo, issued = tonumber(room[1]) or 0, tonumber(room[2]) or 0, tonumber(room[3]) or 0
  local isDue = earlyTo > 0 and earlyFrom >= firstArrival and earlyFrom <= lastArrival
  -- One that was restored behind its part gets its number when the draw, due still, is given again.
  if isDue and redis.call('ZCOUNT', earlyKey, earlyFrom, math.min(earlyTo, lastArrival)) == 0 then
    -- Where Redis has gone back in time the draw that MySQL has may be of more tickets, or of fewer: the rest is due then.
    local isOver = earlyTo <= lastArrival
    redis.call('HSET', queueKey, 'earlyFrom', isOver and 0 or lastArrival + 1, 'earlyTo', isOver and 0 or earlyTo, 'issued', math.max(issued, lastArrival))
    local head = cmsgpack.pack({ 0, 0, 0, {}, {}, -1, 1 })
    redis.call('PUBLISH', ARGV[3], struct.pack('>I4', #head) .. head)
  end
end
return #tickets / 2

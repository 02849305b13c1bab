-- Gives early tickets the numbers that the draw gave them: one part of a draw, in any order. Safe to run twice.
--
-- KEYS[1] queue   KEYS[2] queue:tickets   KEYS[3] queue:waiting   KEYS[4] queue:early   KEYS[5] queue:line
--                       (as in queue-serve.lua)
-- ARGV[1] numbers       msgpack: [the first arrival of this part, [its number, the next one's, ...]]
-- ARGV[2] range         'earlyFrom earlyTo' of the draw
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
  local range = redis.call('HMGET', queueKey, 'earlyFrom', 'earlyTo')
  if (range[1] or '') .. ' ' .. (range[2] or '') == ARGV[2] then
    redis.call('HSET', queueKey, 'earlyFrom', 0, 'earlyTo', 0)
    local head = cmsgpack.pack({ 0, 0, 0, {}, {}, -1, 1 })
    redis.call('PUBLISH', ARGV[3], struct.pack('>I4', #head) .. head)
  end
end
return #tickets / 2

-- Serves the requests of one waiting room in order of arrival: joins, looks, leaves, restored places.
-- Safe to run twice: a user has one record, and a repeat finds it.
--
-- KEYS[1] meta            as in hold.lua; its presence means warm, its field queue is 1 while a pass is needed
-- KEYS[2] queue           hash: the settings (mode, rate, maxActive, passMs, opensAt, draw, revision), counts (issued,
--                         admitted), watermark, the early tickets not drawn yet (earlyFrom, earlyTo; 0 none, or not
--                         closed), and what queue-admit.lua keeps of its rounds
-- KEYS[3] queue:tickets   hash: userId -> 'state arrival number'; state E early, N numbered, L left, X expired
-- KEYS[4] queue:waiting   sorted set: userId by number
-- KEYS[5] queue:early     sorted set: userId by arrival, until the draw
-- KEYS[6] queue:active    sorted set: userId by the end of the pass
-- KEYS[7] queue:seen      sorted set: userId by the moment its absence counts as leaving
-- KEYS[8] queue:line      bitmap: bit n is 1 while number n waits; meaningless up to the watermark
-- KEYS[9] queue:used      hash: userId -> the reservation made with the pass
-- ARGV[1] requests        msgpack: [[kind, userId as text, arrival, number], ...]; kind 0 join, 1 look, 2 leave, 3 restore
-- ARGV[2] absenceMs       without a sign of life for this long, a waiting user has left
--
-- Returns nil when the performance is not warm, else msgpack [rate, opensAt or 0, [result, ...]]; one result a request:
--   [0]  open: the room is off      [1, arrival, number, position]  joined      [2, arrival, number, position]  waits
--   [3, arrival, number, endMs]  admitted      [4]  left      [5]  expired      [6]  lost: Redis knows nothing of it
-- number and position are 0 until the draw; opensAt is 0 once the room is open.

local metaKey, queueKey, ticketsKey, waitingKey, earlyKey, activeKey, seenKey, lineKey, usedKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local OPEN, JOINED, WAITS, ADMITTED, LEFT, EXPIRED, LOST = 0, 1, 2, 3, 4, 5, 6
local JOIN, LOOK, LEAVE, RESTORE = 0, 1, 2, 3

local meta = redis.call('HMGET', metaKey, 'kind', 'queue')
if not meta[1] then
  return false
end
local isOff = meta[2] ~= '1'
local time = redis.call('TIME')
local nowMs = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local room = redis.call('HMGET', queueKey, 'issued', 'opensAt', 'draw', 'earlyFrom', 'earlyTo', 'measuredRate')
local issued, opensAt, isDraw = tonumber(room[1]) or 0, tonumber(room[2]) or 0, room[3] == '1'
local earlyFrom, earlyTo, rate = tonumber(room[4]) or 0, tonumber(room[5]) or 0, tonumber(room[6]) or 0
local isOpen = nowMs >= opensAt
local absentAt = string.format('%.0f', nowMs + tonumber(ARGV[2]))

-- Whoever joins from now on is not early any more: the draw is among those who were.
local issuedBefore, earlyFromBefore, earlyToBefore = issued, earlyFrom, earlyTo
if earlyFrom > 0 and earlyTo == 0 and (isOpen or not isDraw) then
  earlyTo = issued
end

local requests = cmsgpack.unpack(ARGV[1])
local users = {}
for i = 1, #requests do
  users[i] = requests[i][2]
end
local records, endOf = {}, {}
local values = redis.call('HMGET', ticketsKey, unpack(users))
local ends = redis.call('ZMSCORE', activeKey, unpack(users))
for i = 1, #users do
  records[users[i]] = values[i]
  endOf[users[i]] = ends[i] and tonumber(ends[i]) or false
end

-- Written at the end, with one command each; positions of those who joined in this call stand in positionOf until then.
local ticketWrites, waitingWrites, earlyWrites, seenWrites, bitWrites, positionOf = {}, {}, {}, {}, {}, {}
local ahead = redis.call('ZCARD', waitingKey) + redis.call('ZCARD', earlyKey)

local function writeAll(command, key, writes)
  if #writes > 0 then
    redis.call(command, key, unpack(writes))
  end
end

local function write()
  writeAll('HSET', ticketsKey, ticketWrites)
  writeAll('ZADD', waitingKey, waitingWrites)
  writeAll('ZADD', earlyKey, earlyWrites)
  writeAll('ZADD', seenKey, seenWrites)
  writeAll('BITFIELD', lineKey, bitWrites)
  ticketWrites, waitingWrites, earlyWrites, seenWrites, bitWrites, positionOf = {}, {}, {}, {}, {}, {}
end

local function add(writes, first, second)
  writes[#writes + 1] = first
  writes[#writes + 1] = second
end

local function setBit(number, bit)
  bitWrites[#bitWrites + 1] = 'SET'
  bitWrites[#bitWrites + 1] = 'u1'
  bitWrites[#bitWrites + 1] = number
  bitWrites[#bitWrites + 1] = bit
end

local function record(user, state, arrival, number)
  local value = state .. ' ' .. arrival .. ' ' .. number
  records[user] = value
  add(ticketWrites, user, value)
end

local function seen(user)
  add(seenWrites, absentAt, user)
end

local function becomeEarly(user, arrival)
  record(user, 'E', arrival, 0)
  add(earlyWrites, arrival, user)
  seen(user)
  ahead = ahead + 1
  positionOf[user] = 0
  if earlyFrom == 0 or arrival < earlyFrom then
    earlyFrom = arrival
  end
end

local function becomeNumbered(user, arrival, number)
  record(user, 'N', arrival, number)
  add(waitingWrites, number, user)
  setBit(number, 1)
  seen(user)
  ahead = ahead + 1
end

-- Whether a ticket of now is drawn later instead of getting a number.
local function isEarlyNow()
  return isDraw and not isOpen and earlyTo == 0
end

local function join(user)
  issued = issued + 1
  if isEarlyNow() then
    becomeEarly(user, issued)
    return { JOINED, issued, 0, 0 }
  end
  becomeNumbered(user, issued, issued)
  positionOf[user] = ahead
  return { JOINED, issued, issued, ahead }
end

local function expire(user, arrival, number)
  redis.call('ZREM', activeKey, user)
  redis.call('HDEL', usedKey, user)
  endOf[user] = false
  record(user, 'X', arrival, number)
  return { EXPIRED }
end

local function look(user, state, arrival, number)
  if state == 'E' then
    seen(user)
    return { WAITS, arrival, 0, 0 }
  elseif state == 'L' then
    return { LEFT }
  elseif state == 'X' then
    return { EXPIRED }
  end
  if earlyTo > 0 and arrival >= earlyFrom and arrival <= earlyTo then
    -- The draw is written in parts: until the last one nobody of it knows who stands before whom.
    seen(user)
    return { WAITS, arrival, 0, 0 }
  end
  local finish = endOf[user]
  if finish then
    return finish > nowMs and { ADMITTED, arrival, number, finish } or expire(user, arrival, number)
  end
  local position = positionOf[user]
  if not position then
    local rank = redis.call('ZRANK', waitingKey, user)
    if not rank then
      return { LOST }
    end
    position = rank + 1
    -- The early ones are before everybody who came after them.
    if earlyTo > 0 and number > earlyTo then
      position = position + redis.call('ZCARD', earlyKey)
    end
  end
  seen(user)
  return { WAITS, arrival, number, position }
end

local function leave(user, state, arrival, number)
  write()
  if state == 'E' then
    ahead = ahead - redis.call('ZREM', earlyKey, user)
  elseif state == 'N' then
    if redis.call('ZREM', waitingKey, user) == 1 then
      ahead = ahead - 1
      setBit(number, 0)
    end
    redis.call('ZREM', activeKey, user)
    redis.call('HDEL', usedKey, user)
    endOf[user] = false
  end
  redis.call('ZREM', seenKey, user)
  record(user, 'L', arrival, number)
  return { LEFT }
end

local function restore(user, arrival, number)
  write()
  issued = math.max(issued, arrival)
  -- One of a draw that is due is drawn with the others.
  if number == 0 and (isEarlyNow() or arrival >= earlyFrom and arrival <= earlyTo) then
    becomeEarly(user, arrival)
    -- Those who stand behind must count it, in this call too.
    write()
    return { WAITS, arrival, 0, 0 }
  end
  number = number > 0 and number or arrival
  becomeNumbered(user, arrival, number)
  write()
  return look(user, 'N', arrival, number)
end

local function serve(request)
  local kind, user, ticket, number = request[1], request[2], request[3], request[4]
  if isOff and kind ~= LEAVE then
    return { OPEN }
  end
  local state, arrival, given = string.match(records[user] or '', '^(%a) (%d+) (%d+)$')
  arrival, given = tonumber(arrival), tonumber(given)
  if kind == JOIN then
    if state == 'E' or state == 'N' then
      local result = look(user, state, arrival, given)
      if result[1] == WAITS or result[1] == ADMITTED then
        return result
      end
    end
    return join(user)
  end
  if state and arrival > ticket then
    -- The user has given this ticket up and joined again.
    return { LEFT }
  end
  local isKnown = state and arrival == ticket
  if state and not isKnown and (kind == LEAVE or kind == RESTORE) then
    -- Redis has gone back in time: this user had given the older ticket up.
    leave(user, state, arrival, given)
  end
  if kind == LEAVE then
    if not isKnown then
      -- Redis has lost it: it must not come back.
      record(user, 'L', ticket, 0)
      return { LEFT }
    end
    return leave(user, state, arrival, given)
  end
  local result = isKnown and look(user, state, arrival, given) or { LOST }
  if result[1] == LOST and kind == RESTORE then
    return restore(user, ticket, number)
  end
  return result
end

local results = {}
for i = 1, #requests do
  results[i] = serve(requests[i])
end
write()
if issued ~= issuedBefore or earlyFrom ~= earlyFromBefore or earlyTo ~= earlyToBefore then
  redis.call('HSET', queueKey, 'issued', issued, 'earlyFrom', earlyFrom, 'earlyTo', earlyTo)
end
return cmsgpack.pack({ rate, isOpen and 0 or opensAt, results })

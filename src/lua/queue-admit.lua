-- One round of admission of one waiting room: those who are gone leave, passes whose time is over end, and the next ones
-- are admitted in the order of their numbers: as many as the rate has earned since the last round and maxActive allows.
-- Two leaders at once do no harm: the rate is earned by the time that has passed, whoever asks.
--
-- KEYS[1] queue   KEYS[2] queue:tickets   KEYS[3] queue:waiting   KEYS[4] queue:early   KEYS[5] queue:active
-- KEYS[6] queue:seen   KEYS[7] queue:line   KEYS[8] queue:used   (as in queue-serve.lua)
-- ARGV[1] roundMs       time between two rounds; the passes of a round begin evenly over it
-- ARGV[2] channel       where the gateways that watch the room hear of the round
--
-- The queue hash keeps of the rounds: at (of the last one), allowance (people earned and not admitted), sweptAt, saidAt,
-- graceUntil, measuredRate, measuredFrom.
--
-- Returns nil when there is no room here, else msgpack [isOn, admitted, expired, left, issued, earlyFrom, earlyTo]; the
-- last two are above 0 while a draw is due.
-- Publishes the length of a head in four bytes, the head, msgpack [roundMs, watermark, measuredRate,
-- [userId, number, endMs, ...], [expired userId, ...], first number of the line or -1, 0], and the line, once a second.

local queueKey, ticketsKey, waitingKey, earlyKey, activeKey, seenKey, lineKey, usedKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local roundMs = tonumber(ARGV[1])
-- A pause of the leader is caught up on for this long, not longer: what was not admitted then comes no faster later.
local CATCH_UP_MS = 2000
local SWEEP_MS, SWEEP_MAX = 1000, 1000
-- Without a round for this long nobody could give a sign of life either.
local OUTAGE_MS, GRACE_MS = 10000, 60000
local ADMIT_MAX = 5000
local RATE_MEMORY_MS = 30000

local room = redis.call('HMGET', queueKey, 'mode', 'rate', 'maxActive', 'passMs', 'opensAt', 'draw', 'issued', 'admitted', 'watermark', 'earlyFrom', 'earlyTo', 'at', 'allowance', 'sweptAt', 'saidAt', 'graceUntil', 'measuredRate', 'measuredFrom')
if not room[1] then
  return false
end
local isOn, perSecond, maxActive, passMs = room[1] == 'on', tonumber(room[2]), tonumber(room[3]), tonumber(room[4])
local opensAt, isDraw, issued, admitted = tonumber(room[5]), room[6] == '1', tonumber(room[7]) or 0, tonumber(room[8]) or 0
local watermark, earlyFrom, earlyTo = tonumber(room[9]) or 0, tonumber(room[10]) or 0, tonumber(room[11]) or 0
local at, allowance, sweptAt, saidAt = tonumber(room[12]) or 0, tonumber(room[13]) or 0, tonumber(room[14]) or 0, tonumber(room[15]) or 0
local graceUntil, measuredRate, measuredFrom = tonumber(room[16]) or 0, tonumber(room[17]) or 0, tonumber(room[18]) or 0

local time = redis.call('TIME')
local nowMs = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
if at > 0 and nowMs - at > OUTAGE_MS then
  graceUntil = nowMs + GRACE_MS
end
local passedMs = at > 0 and math.max(0, math.min(nowMs - at, CATCH_UP_MS)) or roundMs

local function exact(number)
  return string.format('%.3f', number)
end

local expired, left = {}, 0

-- Those of the absent who still wait; the admitted stand in `seen` too, and a pass ends by its own time.
local function waitingOf(absent)
  local numbers = redis.call('ZMSCORE', waitingKey, unpack(absent))
  local early = earlyFrom > 0 and redis.call('ZMSCORE', earlyKey, unpack(absent)) or {}
  local gone = {}
  for i = 1, #absent do
    if numbers[i] or early[i] then
      gone[#gone + 1] = absent[i]
    end
  end
  return gone
end

-- Writes how the tickets of the expired and the gone ended, with one command for both; returns the bits of the gone.
local function writeEnds(gone)
  local users = {}
  for i = 1, #expired do
    users[i] = expired[i]
  end
  for i = 1, #gone do
    users[#users + 1] = gone[i]
  end
  local values, writes, bits = redis.call('HMGET', ticketsKey, unpack(users)), {}, {}
  for i = 1, #users do
    local rest, number = string.match(values[i] or '', '^%a (%d+ (%d+))$')
    if rest then
      writes[#writes + 1] = users[i]
      writes[#writes + 1] = (i <= #expired and 'X ' or 'L ') .. rest
    end
    if i > #expired then
      for _, word in ipairs({ 'SET', 'u1', tonumber(number) or 0, 0 }) do
        bits[#bits + 1] = word
      end
    end
  end
  if #writes > 0 then
    redis.call('HSET', ticketsKey, unpack(writes))
  end
  return bits
end

local function sweep()
  expired = redis.call('ZRANGEBYSCORE', activeKey, '-inf', exact(nowMs), 'LIMIT', 0, SWEEP_MAX)
  local absent = nowMs < graceUntil and {} or redis.call('ZRANGEBYSCORE', seenKey, '-inf', exact(nowMs), 'LIMIT', 0, SWEEP_MAX)
  -- More may be due: go on in the next round.
  if #expired < SWEEP_MAX and #absent < SWEEP_MAX then
    sweptAt = nowMs
  end
  local gone = {}
  if #absent > 0 then
    redis.call('ZREM', seenKey, unpack(absent))
    gone = waitingOf(absent)
  end
  if #expired == 0 and #gone == 0 then
    return
  end
  local bits = writeEnds(gone)
  if #expired > 0 then
    redis.call('ZREM', activeKey, unpack(expired))
    redis.call('HDEL', usedKey, unpack(expired))
  end
  if #gone > 0 then
    redis.call('ZREM', waitingKey, unpack(gone))
    if earlyFrom > 0 then
      redis.call('ZREM', earlyKey, unpack(gone))
    end
    redis.call('BITFIELD', lineKey, unpack(bits))
    left = #gone
  end
end
if nowMs - sweptAt >= SWEEP_MS - roundMs / 2 then
  sweep()
end

-- The early ones are drawn when the room opens, or when nobody is to be drawn any more.
local isOpen = not isOn or nowMs >= opensAt
if earlyFrom > 0 and earlyTo == 0 and (isOpen or not isDraw) then
  earlyTo = issued
end

local popped = {}
if isOpen and earlyFrom == 0 then
  local earned = allowance + perSecond * passedMs / 1000
  local free = ADMIT_MAX
  if isOn then
    -- A rate of 0 is a pause, also for the one that was earned before.
    free = perSecond > 0 and math.min(free, math.floor(earned + 1e-6)) or 0
    if free > 0 then
      free = math.min(free, maxActive - redis.call('ZCARD', activeKey))
    end
  end
  if free > 0 then
    popped = redis.call('ZPOPMIN', waitingKey, free)
  end
  local count = #popped / 2
  if count >= math.floor(earned + 1e-6) then
    allowance = math.max(0, earned - count)
  else
    -- Nobody there, or no pass free: time that admits nobody earns nothing, but for the one who comes next.
    allowance = math.min(math.max(0, earned - count), 1)
  end
  if count > 0 or redis.call('ZCARD', waitingKey) > 0 then
    if measuredFrom == 0 then
      measuredFrom = nowMs - passedMs
    end
    -- A plain mean at first, then one that forgets.
    local memoryMs = math.max(math.min(nowMs - measuredFrom, RATE_MEMORY_MS), passedMs, 1)
    measuredRate = measuredRate + passedMs / memoryMs * (count * 1000 / math.max(passedMs, 1) - measuredRate)
    if measuredRate < 0.001 then
      measuredRate = 0
    end
  end
end

local news = {}
local count = #popped / 2
for first = 1, count, 2000 do
  local writes = {}
  for i = first, math.min(first + 1999, count) do
    local user, number = popped[2 * i - 1], tonumber(popped[2 * i])
    local endMs = math.floor(nowMs + (i - 1) * roundMs / count + passMs)
    writes[#writes + 1] = string.format('%.0f', endMs)
    writes[#writes + 1] = user
    news[#news + 1] = tonumber(user)
    news[#news + 1] = number
    news[#news + 1] = endMs
    watermark = math.max(watermark, number)
  end
  redis.call('ZADD', activeKey, unpack(writes))
end
admitted = admitted + count

local isSaid = nowMs - saidAt >= SWEEP_MS - roundMs / 2
if isSaid then
  saidAt = nowMs
end
redis.call('HSET', queueKey, 'admitted', admitted, 'watermark', watermark, 'earlyTo', earlyTo, 'at', exact(nowMs), 'allowance', string.format('%.9f', allowance), 'sweptAt', exact(sweptAt), 'saidAt', exact(saidAt), 'graceUntil', exact(graceUntil), 'measuredRate', exact(measuredRate), 'measuredFrom', exact(measuredFrom))
if isSaid or count > 0 or #expired > 0 then
  local firstByte = math.floor((watermark + 1) / 8)
  -- While a draw is due its tickets have no bits yet, and those behind them would seem to be first.
  local isLine = isSaid and earlyTo == 0
  local line = isLine and redis.call('GETRANGE', lineKey, firstByte, -1) or ''
  for i = 1, #expired do
    expired[i] = tonumber(expired[i])
  end
  local head = cmsgpack.pack({ roundMs, watermark, measuredRate, news, expired, isLine and firstByte * 8 or -1, 0 })
  redis.call('PUBLISH', ARGV[2], struct.pack('>I4', #head) .. head .. line)
end
return cmsgpack.pack({ isOn and 1 or 0, count, #expired, left, issued, earlyTo > 0 and earlyFrom or 0, earlyTo })

-- Decides the hold requests of one performance, one by one, in order of arrival, and journals what it grants.
-- Safe to run twice with the same reservation ids: a granted one is found again and answered as before.
--
-- KEYS[1] meta          hash: what the performance is; its presence means warm
-- KEYS[2] seats         hash: seat -> 'A version' | 'H version endMs reservationId' | 'O version 0 reservationId';
--                       a seat without an entry is available at version 0
-- KEYS[3] reservations  hash: reservationId -> 'userId endMs partySize journalId seat,seat'; endMs 0 when confirmed
-- KEYS[4] users         hash: userId -> live reservation ids, apart by a space
-- KEYS[5] expiry        sorted set: reservationId by endMs (capacity performances; a seat carries its own end)
-- KEYS[6] journal       stream: field h -> 'reservationId userId endMs partySize amount holdSeconds seats versions supersedes'
-- ARGV[1] requests      msgpack: [[reservationId, userId, partySize, seat, ...], ...]; partySize 0 for seats
--
-- Returns nil when the performance is not warm, else msgpack:
--   [remaining, price, holdSeconds, [result, ...]], one result a request:
--   [0, endMs, journalId, [version, ...], [superseded reservationId, ...]]   held
--   [2, seat, ...]          taken           [3]  sold out         [4, reservationId]  limit of the user reached
--   [5]  not open yet       [6]  closed     [7, seat, ...]  no such seat
--   [8]  seats asked of a capacity performance, or places of a seated one       [9, partySizeMax]  party too large

local metaKey, seatsKey, reservationsKey, usersKey, expiryKey, journalKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local HELD, SEAT_TAKEN, SOLD_OUT, ALREADY_RESERVED, NOT_OPEN, CLOSED, NO_SEAT, WRONG_KIND, PARTY_TOO_LARGE = 0, 2, 3, 4, 5, 6, 7, 8, 9

local meta = redis.call('HMGET', metaKey, 'kind', 'places', 'remaining', 'price', 'holdSeconds', 'perUser', 'partyMax', 'opensAt', 'closesAt')
if not meta[1] then
  return false
end
local seated = meta[1] == 'seated'
local places, remaining, price, holdSeconds = tonumber(meta[2]), tonumber(meta[3]), tonumber(meta[4]), tonumber(meta[5])
local perUser, partyMax, opensAt, closesAt = tonumber(meta[6]), tonumber(meta[7]), tonumber(meta[8]), tonumber(meta[9])

local time = redis.call('TIME')
local nowMs = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local endMs = nowMs + holdSeconds * 1000
local endText = string.format('%.0f', endMs)
local changed = false

-- @include give-back

-- The reservation's live ids of this user: held and not over, or confirmed.
local function liveReservations(userId)
  local ids = redis.call('HGET', usersKey, userId)
  local live, count = nil, 0
  for id in string.gmatch(ids or '', '%S+') do
    local stored = redis.call('HGET', reservationsKey, id)
    local finish = stored and tonumber(string.match(stored, '^%d+ (%d+)'))
    if finish and (finish == 0 or finish > nowMs) then
      live, count = live or id, count + 1
    end
  end
  return ids, live, count
end

-- Gives back reservations whose time is over; MySQL expires them in the transaction that stores the new hold.
local function supersede(ids)
  for i = 1, #ids do
    local stored = redis.call('HGET', reservationsKey, ids[i])
    if stored then
      remaining = remaining + (giveBack(ids[i], stored, nil))
    end
  end
end

-- Looks at the seats without changing anything. Returns versions before the hold and whom it supersedes, or a refusal.
local function lookAtSeats(seats)
  local unknown = nil
  for i = 1, #seats do
    if seats[i] > places then
      unknown = unknown or { NO_SEAT }
      unknown[#unknown + 1] = seats[i]
    end
  end
  if unknown then
    return nil, unknown
  end
  local values = redis.call('HMGET', seatsKey, unpack(seats))
  local versions, lapsed, taken = {}, {}, nil
  for i = 1, #seats do
    local value = values[i]
    if not value then
      versions[i] = 0
    elseif string.byte(value) == 65 then -- 'A'
      versions[i] = tonumber(string.sub(value, 3))
    else
      local state, version, finish, owner = string.match(value, '^(%a) (%d+) (%d+) (.+)$')
      if state == 'H' and tonumber(finish) <= nowMs then
        -- The release raises the version by one, as it does in MySQL.
        versions[i] = tonumber(version) + 1
        if not lapsed[owner] then
          lapsed[owner] = true
          lapsed[#lapsed + 1] = owner
        end
      else
        taken = taken or { SEAT_TAKEN }
        taken[#taken + 1] = seats[i]
      end
    end
  end
  if taken then
    return nil, taken
  end
  return versions, lapsed
end

-- Whom a party has to supersede to find its places; nil when there are not enough even then.
local function lookForPlaces(partySize)
  local lapsed, free = {}, remaining
  if free >= partySize then
    return lapsed
  end
  local due = redis.call('ZRANGEBYSCORE', expiryKey, '-inf', nowMs, 'LIMIT', 0, 1000)
  for i = 1, #due do
    local stored = redis.call('HGET', reservationsKey, due[i])
    if stored then
      lapsed[#lapsed + 1] = due[i]
      free = free + tonumber(string.match(stored, '^%d+ %d+ (%d+)'))
      if free >= partySize then
        return lapsed
      end
    end
  end
  return nil
end

-- The answer to a request that was granted before: a resent pipeline, a repeated call.
local function grantedBefore(stored, id, seats)
  local finish, journalId = string.match(stored, '^%d+ (%d+) %d+ (%S+)')
  local versions = {}
  for i = 1, #seats do
    versions[i] = tonumber(string.match(redis.call('HGET', seatsKey, seats[i]) or '', '^%a (%d+)')) or 0
  end
  return { HELD, tonumber(finish), journalId, versions, {} }
end

local function decide(request)
  local id, userId, partySize = request[1], request[2], request[3]
  local seats = {}
  for i = 4, #request do
    seats[i - 3] = request[i]
  end

  local stored = redis.call('HGET', reservationsKey, id)
  if stored then
    return grantedBefore(stored, id, seats)
  end
  if nowMs < opensAt then
    return { NOT_OPEN }
  end
  if closesAt > 0 and nowMs >= closesAt then
    return { CLOSED }
  end
  if seated ~= (partySize == 0) then
    return { WRONG_KIND }
  end
  if partySize > partyMax then
    return { PARTY_TOO_LARGE, partyMax }
  end
  local ids, live, count = liveReservations(userId)
  if count >= perUser then
    return { ALREADY_RESERVED, live }
  end

  local versions, lapsed = {}, nil
  if seated then
    local refusal
    versions, refusal = lookAtSeats(seats)
    if not versions then
      return refusal
    end
    lapsed = refusal
  else
    lapsed = lookForPlaces(partySize)
    if not lapsed then
      return { SOLD_OUT }
    end
  end

  -- Granted. From here on only writes.
  if #lapsed > 0 then
    supersede(lapsed)
    ids = redis.call('HGET', usersKey, userId)
  end
  for i = 1, #seats do
    versions[i] = versions[i] + 1
    redis.call('HSET', seatsKey, seats[i], string.format('H %d %s %s', versions[i], endText, id))
  end
  local seatList = table.concat(seats, ',')
  local count = seated and #seats or partySize
  local journalId = redis.call('XADD', journalKey, '*', 'h', string.format('%s %d %s %d %.0f %d %s %s %s', id, userId, endText,
    partySize, count * price, holdSeconds, seatList == '' and '-' or seatList, #versions == 0 and '-' or table.concat(versions, ','),
    #lapsed == 0 and '-' or table.concat(lapsed, ',')))
  redis.call('HSET', reservationsKey, id, string.format('%d %s %d %s %s', userId, endText, partySize, journalId, seatList))
  redis.call('HSET', usersKey, userId, ids and (ids .. ' ' .. id) or id)
  if not seated then
    redis.call('ZADD', expiryKey, endText, id)
  end
  remaining = remaining - count
  changed = true
  return { HELD, endMs, journalId, versions, lapsed }
end

local requests = cmsgpack.unpack(ARGV[1])
local results = {}
for i = 1, #requests do
  results[i] = decide(requests[i])
end
if changed then
  redis.call('HSET', metaKey, 'remaining', remaining)
  redis.call('HINCRBY', metaKey, 'revision', 1)
end
return cmsgpack.pack({ remaining, price, holdSeconds, results })

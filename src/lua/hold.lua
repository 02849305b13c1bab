-- Decides hold requests, those of a performance one by one, in order of arrival, and journals what it grants. A call may be
-- for several performances where all keys are at one node; what breaks one of them leaves the others as they are.
-- Safe to run twice with the same reservation ids: a granted one is found again and answered as before.
--
-- endMs is what the client is told and what MySQL goes by, a little later. Here a seat is kept until finishMs, `grace`
-- milliseconds after it: in between MySQL may still sell it to its holder. In time it is free by the release that follows
-- MySQL's expiry job; only where that is late is a hold taken over here, when finishMs is past.
--
-- KEYS[1] meta          hash: what the performance is; its presence means warm
-- KEYS[2] seats         hash: seat -> 'A version' | 'H version finishMs reservationId' | 'O version 0 reservationId';
--                       a seat without an entry is available at version 0
-- KEYS[3] reservations  hash: reservationId -> 'userId finishMs partySize seat,seat'; finishMs 0 when confirmed
-- KEYS[4] users         hash: userId -> live reservation ids, apart by a space
-- KEYS[5] expiry        sorted set: reservationId by finishMs (capacity performances; a seat carries its own end)
-- KEYS[6] journal       stream: an entry a call, field h -> msgpack [endMs, holdSeconds, [[reservationId, userId,
--                       partySize, [seat, ...], [version, ...], amount, [superseded reservationId, ...]], ...]]
-- KEYS[7] queue:tickets  KEYS[8] queue:active  KEYS[9] queue:used   (as in queue-serve.lua; read while a pass is needed)
--                       then the nine of the next performance, and so on
-- ARGV[1] requests      msgpack, a list a performance: [[[reservationId, userId as text, partySize, [seat, ...], pass], ...],
--                       ...]; partySize 0 for seats; pass: the number of its ticket, 0 for none, -1 for one that is not good
-- ARGV[2..] channel     where the gateways whose clients watch the seats hear of changes, one a performance
--
-- Returns msgpack, a reply a performance: false when it is not warm, a text with what is broken, else
--   [remaining, price, holdSeconds, endMs, journalId or '', [result, ...], 1 or 0], one result a request; 1 where places
--   were taken over lately from holds whose time was over, which MySQL may have sold: grants of now are sure once MySQL has them
--   [0, [version, ...], [superseded reservationId, ...]]   held
--   [1, endMs, [version, ...], [superseded ...]]           held by an earlier call
--   [2, seat, ...]          taken           [3]  sold out         [4, reservationId]  limit of the user reached
--   [5]  not open yet       [6]  closed     [7, seat, ...]  no such seat
--   [8]  seats asked of a capacity performance, or places of a seated one       [9, partySizeMax]  party too large
--   [10]  a pass is needed     [11]  the pass is not the user's, over, or used by a live reservation
-- Publishes, while somebody watches, msgpack [revision, [seat, status as in SeatStatus, ...]], in order of the changes.
--
-- All that the requests touch is read with one command a hash and written with one: half the time of commands and a journal
-- entry a hold. In calls of 100 on a busy machine 4.9 us a hold and 4.8 a refusal, 1.9 of them before the first decision. Of
-- 100 performances in one call a hold takes 25 us: 2.5 for its turn, 5.3 for meta, 4.7 for what else is read, 1.8 for the
-- decision, 10.8 for four hashes and a journal written; in a call each a third more, here and in the gateway. One field of
-- meta with nine numbers in place of nine fields gained nothing: taking it apart costs what finding them does.

local metaKey, seatsKey, reservationsKey, usersKey, expiryKey, journalKey, ticketsKey, activeKey, usedKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local HELD, HELD_BEFORE, SEAT_TAKEN, SOLD_OUT, ALREADY_RESERVED, NOT_OPEN, CLOSED, NO_SEAT, WRONG_KIND, PARTY_TOO_LARGE, PASS_REQUIRED, PASS_INVALID = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
-- What a seat's value begins with: 'A', 'O'.
local AVAILABLE, OCCUPIED = 65, 79
-- Fields a command: Lua's stack takes 8,000.
local FIELDS_MAX = 4000

local time = redis.call('TIME')
local nowMs = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

-- Of the performance at hand, set by `serve`. `changes`: seat, status, seat, status, ... in the order they change; nil while
-- nobody watches.
local seated, places, remaining, price, holdSeconds, perUser, partyMax, isPassNeeded, endMs, grace, isUnsure
local endText, finishText, changes, closedCode

-- @include give-back
-- @include mark-unsure
-- @include journal-entry

-- Whole numbers as text, each made once: Lua and Redis print them as floats, four times a hold (1.5 us a hold more).
local texts = {}
local function text(number)
  local made = texts[number]
  if not made then
    made = string.format('%d', number)
    texts[number] = made
  end
  return made
end

-- What was read (false: no entry), and what is to be written, as field, value, field, value, ...
local stored, userIds, seatValues, tickets, passEnds, usedBy
local reservationWrites, userWrites, seatWrites, expiryWrites, usedWrites

local function readAll(command, key, fields, into)
  for first = 1, #fields, FIELDS_MAX do
    local last = math.min(first + FIELDS_MAX - 1, #fields)
    local values = redis.call(command, key, unpack(fields, first, last))
    for i = first, last do
      into[fields[i]] = values[i - first + 1]
    end
  end
end

local function read(key, field, from)
  local value = from[field]
  if value == nil then
    value = redis.call('HGET', key, field)
    from[field] = value
  end
  return value
end

local function writeAll(command, key, writes)
  for first = 1, #writes, FIELDS_MAX do
    redis.call(command, key, unpack(writes, first, math.min(first + FIELDS_MAX - 1, #writes)))
  end
end

local function write()
  writeAll('HSET', seatsKey, seatWrites)
  writeAll('HSET', reservationsKey, reservationWrites)
  writeAll('HSET', usersKey, userWrites)
  writeAll('ZADD', expiryKey, expiryWrites)
  writeAll('HSET', usedKey, usedWrites)
  reservationWrites, userWrites, seatWrites, expiryWrites, usedWrites = {}, {}, {}, {}, {}
end

-- Whether the pass is this user's own and not over.
local function isPassGood(userId, pass)
  local number = string.match(tickets[userId] or '', '^N %d+ (%d+)$')
  return pass > 0 and tonumber(number) == pass and passEnds[userId] and tonumber(passEnds[userId]) > nowMs
end

-- The first live reservation of this user, held and not over or confirmed, and how many there are.
local function liveReservations(ids)
  local live, count = nil, 0
  for id in string.gmatch(ids, '%S+') do
    local value = read(reservationsKey, id, stored)
    local finish = value and tonumber(string.match(value, '^%d+ (%d+)'))
    if finish and (finish == 0 or finish > nowMs) then
      live, count = live or id, count + 1
    end
  end
  return live, count
end

-- Gives back reservations whose time is over; MySQL expires them in the transaction that stores the new hold.
-- Rare: what is read and written so far is settled first, so that giveBack meets Redis as it is.
local function supersede(ids)
  write()
  isUnsure = true
  markUnsure()
  for i = 1, #ids do
    local value = redis.call('HGET', reservationsKey, ids[i])
    if value then
      remaining = remaining + giveBack(ids[i], value, nil)
    end
  end
  stored, userIds, seatValues = {}, {}, {}
end

-- Looks at the seats without changing anything. Returns versions before the hold and whom it supersedes, or nil and
-- the refusal.
local function lookAtSeats(seats)
  local versions, lapsed, taken, unknown = {}, nil, nil, nil
  for i = 1, #seats do
    local seat = seats[i]
    if seat > places then
      unknown = unknown or { NO_SEAT }
      unknown[#unknown + 1] = seat
    else
      local value = read(seatsKey, text(seat), seatValues)
      local state = value and string.byte(value)
      if not value then
        versions[i] = 0
      elseif state == AVAILABLE then
        versions[i] = tonumber(string.sub(value, 3))
      elseif state == OCCUPIED or tonumber(string.match(value, '^H %d+ (%d+)')) > nowMs then
        taken = taken or { SEAT_TAKEN }
        taken[#taken + 1] = seat
      else
        local version, owner = string.match(value, '^H (%d+) %d+ (.+)$')
        -- The release raises the version by one, as it does in MySQL.
        versions[i] = tonumber(version) + 1
        lapsed = lapsed or {}
        if not lapsed[owner] then
          lapsed[owner] = true
          lapsed[#lapsed + 1] = owner
        end
      end
    end
  end
  if unknown or taken then
    return nil, unknown or taken
  end
  return versions, lapsed
end

-- Whom a party has to supersede to find its places: nil for nobody, false when there are not enough even then.
local function lookForPlaces(partySize)
  if remaining >= partySize then
    return nil
  end
  writeAll('ZADD', expiryKey, expiryWrites)
  expiryWrites = {}
  local lapsed, free = {}, remaining
  local due = redis.call('ZRANGEBYSCORE', expiryKey, '-inf', string.format('%.0f', nowMs), 'LIMIT', 0, 1000)
  for i = 1, #due do
    local value = read(reservationsKey, due[i], stored)
    if value then
      lapsed[#lapsed + 1] = due[i]
      free = free + tonumber(string.match(value, '^%d+ %d+ (%d+)'))
      if free >= partySize then
        return lapsed
      end
    end
  end
  return false
end

-- Whom a hold granted before superseded: the journal knows while MySQL does not.
local function supersededBy(id)
  local entries = redis.call('XREVRANGE', journalKey, '+', '-', 'COUNT', 1000)
  for i = 1, #entries do
    local holds = journalEntry(entries[i][2][2])[3]
    for k = 1, #holds do
      if holds[k][1] == id then
        return holds[k][7]
      end
    end
  end
  return {}
end

-- The answer to a request that was granted before: a resent pipeline, a repeated call.
local function grantedBefore(id, value, seats)
  local versions = {}
  for i = 1, #seats do
    versions[i] = tonumber(string.match(read(seatsKey, text(seats[i]), seatValues) or '', '^%a (%d+)')) or 0
  end
  local finish = tonumber(string.match(value, '^%d+ (%d+)'))
  return { HELD_BEFORE, finish == 0 and 0 or finish - grace, versions, supersededBy(id) }
end

local granted

local function decide(request)
  local id, userId, partySize, seats, pass = request[1], request[2], request[3], request[4], request[5]
  local before = read(reservationsKey, id, stored)
  if before then
    return grantedBefore(id, before, seats)
  end
  if isPassNeeded and not isPassGood(userId, pass) then
    return { pass == 0 and PASS_REQUIRED or PASS_INVALID }
  end
  if closedCode then
    return { closedCode }
  end
  if seated ~= (partySize == 0) then
    return { WRONG_KIND }
  end
  if partySize > partyMax then
    return { PARTY_TOO_LARGE, partyMax }
  end
  local ids = read(usersKey, userId, userIds)
  -- Fewer ids than one may have are not looked at, live or not.
  if ids and select(2, string.gsub(ids, ' ', '')) + 1 >= perUser then
    local live, count = liveReservations(ids)
    if count >= perUser then
      return { ALREADY_RESERVED, live }
    end
  end
  -- One pass, one reservation: what was made with it lives. One that has ended, or that MySQL refused, gives it back.
  local used = usedBy[userId]
  if used and used ~= id and liveReservations(used) then
    return { PASS_INVALID }
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
    if lapsed == false then
      return { SOLD_OUT }
    end
  end

  -- Granted. From here on only writes.
  local superseded = {}
  if lapsed then
    for i = 1, #lapsed do
      superseded[i] = lapsed[i]
    end
    supersede(superseded)
    ids = read(usersKey, userId, userIds)
  end
  local count = seated and #seats or partySize
  local seatTexts = {}
  for i = 1, #seats do
    local seat = seats[i]
    local seatText = text(seat)
    local version = versions[i] + 1
    local value = 'H ' .. text(version) .. ' ' .. finishText .. ' ' .. id
    versions[i] = version
    seatTexts[i] = seatText
    seatValues[seatText] = value
    seatWrites[#seatWrites + 1] = seatText
    seatWrites[#seatWrites + 1] = value
    if changes then
      changes[#changes + 1] = seat
      changes[#changes + 1] = 1
    end
  end
  if isPassNeeded then
    usedBy[userId] = id
    usedWrites[#usedWrites + 1] = userId
    usedWrites[#usedWrites + 1] = id
    -- Whoever pays is still inside, however long the pass was good for: one command, since it is rare beside the others.
    redis.call('ZADD', activeKey, 'GT', endText, userId)
  end
  local value = userId .. ' ' .. finishText .. ' ' .. text(partySize) .. ' ' .. table.concat(seatTexts, ',')
  stored[id] = value
  reservationWrites[#reservationWrites + 1] = id
  reservationWrites[#reservationWrites + 1] = value
  local mine = ids and (ids .. ' ' .. id) or id
  userIds[userId] = mine
  userWrites[#userWrites + 1] = userId
  userWrites[#userWrites + 1] = mine
  if not seated then
    expiryWrites[#expiryWrites + 1] = finishText
    expiryWrites[#expiryWrites + 1] = id
  end
  remaining = remaining - count
  granted[#granted + 1] = { id, userId, partySize, seats, versions, count * price, superseded }
  return { HELD, versions, superseded }
end

local function readRequested(requests)
  local ids, users, seats = {}, {}, {}
  for i = 1, #requests do
    local request = requests[i]
    ids[i], users[i] = request[1], request[2]
    for k = 1, #request[4] do
      seats[#seats + 1] = text(request[4][k])
    end
  end
  readAll('HMGET', reservationsKey, ids, stored)
  readAll('HMGET', usersKey, users, userIds)
  if seated then
    readAll('HMGET', seatsKey, seats, seatValues)
  end
  if isPassNeeded then
    readAll('HMGET', ticketsKey, users, tickets)
    readAll('ZMSCORE', activeKey, users, passEnds)
    readAll('HMGET', usedKey, users, usedBy)
  end
end

-- The requests of the performance whose keys begin at `first`.
local function serve(first, requests, channel)
  metaKey, seatsKey, reservationsKey, usersKey, expiryKey, journalKey, ticketsKey, activeKey, usedKey = unpack(KEYS, first, first + 8)
  local meta = redis.call('HMGET', metaKey, 'kind', 'places', 'remaining', 'price', 'holdSeconds', 'perUser', 'partyMax', 'opensAt', 'closesAt', 'queue', 'watchedUntil', 'grace', 'unsureUntil', 'revision')
  if not meta[1] then
    return false
  end
  seated = meta[1] == 'seated'
  places, remaining, price, holdSeconds = tonumber(meta[2]), tonumber(meta[3]), tonumber(meta[4]), tonumber(meta[5])
  perUser, partyMax, isPassNeeded = tonumber(meta[6]), tonumber(meta[7]), meta[10] == '1'
  local opensAt, closesAt = tonumber(meta[8]), tonumber(meta[9])
  closedCode = nowMs < opensAt and NOT_OPEN or (closesAt > 0 and nowMs >= closesAt and CLOSED) or nil
  endMs, grace = nowMs + holdSeconds * 1000, tonumber(meta[12] or 0)
  isUnsure = tonumber(meta[13] or 0) > nowMs
  endText, finishText = text(endMs), text(endMs + grace)
  changes = meta[11] and tonumber(meta[11]) > nowMs and {} or nil
  stored, userIds, seatValues, tickets, passEnds, usedBy = {}, {}, {}, {}, {}, {}
  reservationWrites, userWrites, seatWrites, expiryWrites, usedWrites = {}, {}, {}, {}, {}
  granted = {}

  readRequested(requests)
  local results = {}
  for i = 1, #requests do
    results[i] = decide(requests[i])
  end
  local journalId = ''
  if #granted > 0 then
    write()
    journalId = redis.call('XADD', journalKey, '*', 'h', cmsgpack.pack({ endMs, holdSeconds, granted }))
    local revision = tonumber(meta[14] or 0) + 1
    redis.call('HSET', metaKey, 'remaining', text(remaining), 'revision', text(revision))
    if changes then
      redis.call('PUBLISH', channel, cmsgpack.pack({ revision, changes }))
    end
  end
  return { remaining, price, holdSeconds, endMs, journalId, results, isUnsure and 1 or 0 }
end

local lists = cmsgpack.unpack(ARGV[1])
local replies = {}
for i = 1, #lists do
  local isWell, reply = pcall(serve, 9 * i - 8, lists[i], ARGV[i + 1])
  replies[i] = isWell and reply or not isWell and tostring(type(reply) == 'table' and reply.err or reply)
end
return cmsgpack.pack(replies)

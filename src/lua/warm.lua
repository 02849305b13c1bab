-- Puts a performance loaded from MySQL in place, in one step, and replays the journal over it: holds that Redis granted
-- and MySQL does not have yet; then what MySQL did while it was read. The loader has written the hashes under its own keys
-- before.
--
-- KEYS[1] meta   KEYS[2] seats   KEYS[3] reservations   KEYS[4] users   KEYS[5] expiry   KEYS[6] journal   (as in hold.lua)
-- KEYS[7] void          string: set by what a load under way cannot make up for: it starts again
-- KEYS[8] late          as in release.lua
-- KEYS[9] queue         as in queue-serve.lua
-- KEYS[10..13]          loaded seats, reservations, users, expiry; absent where nothing was loaded
-- ARGV[1] void          what KEYS[7] held before the load began; '' for nothing
-- ARGV[2] loaded        for KEYS[10..13] in order, 1 where something was loaded, 0 where not: '1100'
-- ARGV[3] room          msgpack [revision, issued, field, value, ...] of the waiting room in MySQL; '' for none
-- ARGV[4] channel       as in hold.lua
-- ARGV[5..]             fields and values of meta
--
-- Returns 0 warmed, 1 it was warm already, 2 the load is void: MySQL has changed or Redis has forgotten it, load again.
-- Publishes msgpack [-1, []] where it warmed: whoever watches the seats must read them anew.

local metaKey, seatsKey, reservationsKey, usersKey, expiryKey, journalKey, voidKey, lateKey, queueKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local changes = nil

if redis.call('EXISTS', metaKey) == 1 then
  redis.call('UNLINK', KEYS[10], KEYS[11], KEYS[12], KEYS[13])
  return 1
end
local isWhole = (redis.call('GET', voidKey) or '') == ARGV[1]
for i = 10, 13 do
  -- Redis may have forgotten what was loaded: a missing hash must not pass for an empty one.
  isWhole = isWhole and tostring(redis.call('EXISTS', KEYS[i])) == string.sub(ARGV[2], i - 9, i - 9)
end
if not isWhole then
  redis.call('UNLINK', KEYS[10], KEYS[11], KEYS[12], KEYS[13])
  return 2
end

for i = 2, 5 do
  redis.call('UNLINK', KEYS[i])
  if redis.call('EXISTS', KEYS[i + 8]) == 1 then
    redis.call('RENAME', KEYS[i + 8], KEYS[i])
    redis.call('PERSIST', KEYS[i])
  end
end
redis.call('HSET', metaKey, unpack(ARGV, 5))

-- @include set-room

if ARGV[3] ~= '' then
  local room = cmsgpack.unpack(ARGV[3])
  setRoom(room[1], room, 3)
  -- Where Redis has lost the room, numbers go on behind those that were given out.
  redis.call('HSETNX', queueKey, 'issued', room[2])
end
if redis.call('HGET', queueKey, 'mode') == 'on' then
  redis.call('HSET', metaKey, 'queue', 1)
end

-- @include journal-entry
-- @include mark-unsure
-- @include give-back
-- @include apply-release
-- @include apply-sale

local grace = tonumber(redis.call('HGET', metaKey, 'grace') or 0)
local replayed = 0
local function replay(endMs, hold)
  local id, userId, partySize, seats, versions, superseded = hold[1], hold[2], hold[3], hold[4], hold[5], hold[7]
  if redis.call('HEXISTS', reservationsKey, id) == 1 then
    return
  end
  -- Those whose places it took over, unless they were paid meanwhile.
  for i = 1, #superseded do
    local value = redis.call('HGET', reservationsKey, superseded[i])
    if value and string.match(value, '^%d+ (%d+)') ~= '0' then
      replayed = replayed - giveBack(superseded[i], value, nil)
      markUnsure()
    end
  end
  -- A seat that MySQL has moved on since will be refused by its version anyway: leave it to MySQL.
  for i = 1, #seats do
    local state, version = string.match(redis.call('HGET', seatsKey, seats[i]) or 'A 0', '^(%a) (%d+)')
    if state ~= 'A' or tonumber(version) ~= versions[i] - 1 then
      return
    end
  end
  local finish = string.format('%.0f', endMs + grace)
  for i = 1, #seats do
    redis.call('HSET', seatsKey, seats[i], 'H ' .. versions[i] .. ' ' .. finish .. ' ' .. id)
  end
  redis.call('HSET', reservationsKey, id, userId .. ' ' .. finish .. ' ' .. partySize .. ' ' .. table.concat(seats, ','))
  local ids = redis.call('HGET', usersKey, userId)
  redis.call('HSET', usersKey, userId, ids and (ids .. ' ' .. id) or id)
  if partySize > 0 then
    redis.call('ZADD', expiryKey, finish, id)
  end
  replayed = replayed + (partySize > 0 and partySize or #seats)
end

local entries = redis.call('XRANGE', journalKey, '-', '+')
for i = 1, #entries do
  local entry = journalEntry(entries[i][2][2])
  for k = 1, #entry[3] do
    replay(entry[1], entry[3][k])
  end
end
-- After the journal: what was held there may have been sold or given up since. What the snapshot has already is left as it is.
local late = redis.call('LRANGE', lateKey, 0, -1)
redis.call('DEL', lateKey)
for i = 1, #late do
  local told = cmsgpack.unpack(late[i])
  for k = 1, #told[2] do
    if told[1] == 'release' then
      replayed = replayed - applyRelease(told[2][k])
    else
      applySale(told[2][k])
    end
  end
end
if replayed ~= 0 then
  redis.call('HINCRBY', metaKey, 'remaining', -replayed)
end
redis.call('PUBLISH', ARGV[4], cmsgpack.pack({ -1, {} }))
return 0

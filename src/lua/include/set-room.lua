-- Writes the settings of a waiting room, fields and values from `first` on in `list`, unless those here are newer.
-- Needs queueKey. Returns true when they were written.
local function setRoom(revision, list, first)
  if revision < (tonumber(redis.call('HGET', queueKey, 'revision')) or 0) then
    return false
  end
  redis.call('HSET', queueKey, 'revision', revision, unpack(list, first))
  return true
end

-- Frees what a reservation has that MySQL has given up, with the versions that MySQL gave. Returns the number of places freed.
-- Needs giveBack and what it needs.
--   row   [reservationId, userId as text, endsPass, [seat, version, ...]]
local function applyRelease(row)
  local id, seatVersions = row[1], row[4]
  local stored = redis.call('HGET', reservationsKey, id)
  if not stored then
    return 0
  end
  local versions = {}
  for k = 1, #seatVersions, 2 do
    versions[tostring(seatVersions[k])] = seatVersions[k + 1]
  end
  return giveBack(id, stored, versions)
end

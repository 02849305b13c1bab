-- The entry of the journal that these bytes are: [endMs, holdSeconds, holds], see hold.lua. One that nobody can read has no
-- holds: it stays where it is, and the recovery reports it.
local function journalEntry(bytes)
  local isRead, entry = pcall(cmsgpack.unpack, bytes)
  return isRead and type(entry) == 'table' and type(entry[3]) == 'table' and entry or { 0, 0, {} }
end

-- Tells the load that puts this cold performance in place what MySQL has done meanwhile: one under way may have read MySQL
-- before that. Needs lateKey.
--   kind   'release' or 'sale'
--   rows   as release.lua and confirm.lua get them
local function tellLate(kind, rows)
  redis.call('RPUSH', lateKey, cmsgpack.pack({ kind, rows }))
  -- Older ones are in what any load has read: one takes seconds.
  redis.call('LTRIM', lateKey, -10000, -1)
  redis.call('EXPIRE', lateKey, 60)
end

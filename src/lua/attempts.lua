-- Counts attempts to log in, for an account and for an address, and says how long to wait before the next one.
--
-- KEYS[1] attempts      hash: failures (since the last success, or since it was forgotten), until (no attempt before)
-- ARGV[1] freeMax       failures without a wait
-- ARGV[2] waitMsMax     the longest wait; the first is a second, each later one twice as long
-- ARGV[3] forgetMs      after so long without an attempt all is forgotten
-- ARGV[4] what          'begin' an attempt that counts as a failure until 'right' says otherwise; 'look' whether one may begin;
--                       'wrong' one that began after a look has failed
--
-- Returns 0 when the attempt may go on, else the milliseconds to wait.

local attemptsKey = KEYS[1]
local what = ARGV[4]
if what == 'right' then
  redis.call('DEL', attemptsKey)
  return 0
end
local time = redis.call('TIME')
local nowMs = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local stored = redis.call('HMGET', attemptsKey, 'failures', 'until')
local failures, untilMs = tonumber(stored[1]) or 0, tonumber(stored[2]) or 0
if nowMs < untilMs and what ~= 'wrong' then
  return untilMs - nowMs
end
if what == 'look' then
  return 0
end
failures = failures + 1
local waitMs = 0
if failures > tonumber(ARGV[1]) then
  waitMs = math.min(tonumber(ARGV[2]), 1000 * 2 ^ math.min(failures - tonumber(ARGV[1]) - 1, 20))
end
redis.call('HSET', attemptsKey, 'failures', failures, 'until', string.format('%.0f', nowMs + waitMs))
redis.call('PEXPIRE', attemptsKey, ARGV[3])
return 0

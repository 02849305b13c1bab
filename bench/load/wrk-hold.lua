-- What wrk sends: one hold a request, whole as text, so that wrk spends next to nothing on it.
-- TOKENS       file of tokens, one a line; each request takes the next
-- PERFORMANCES ids apart by commas; each is used once by every token, then the next
-- SEATS        seats of a performance
-- FIRST        how many requests were sent before: a later run goes on with other seats
-- ASKS         how often each seat is asked for, one request behind the other; without it once
local tokens = {}
for line in io.lines(os.getenv('TOKENS')) do
  tokens[#tokens + 1] = 'POST /v1/reservations HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ' .. line
    .. '\r\nContent-Type: application/json\r\nContent-Length: '
end
local performances = {}
for id in string.gmatch(os.getenv('PERFORMANCES'), '%d+') do
  performances[#performances + 1] = id
end
local seats = tonumber(os.getenv('SEATS'))
local sent = tonumber(os.getenv('FIRST'))
local asks = tonumber(os.getenv('ASKS') or '1')

function request()
  local place = math.floor(sent / asks)
  local performance = performances[math.floor(place / seats) % #performances + 1]
  local body = '{"performanceId":' .. performance .. ',"seats":[' .. (place % seats + 1) .. ']}'
  sent = sent + 1
  return tokens[sent % #tokens + 1] .. #body .. '\r\n\r\n' .. body
end

-- Not among those that --latency prints.
function done(_, latency)
  io.write(string.format('p95 %d us\n', latency:percentile(95)))
end

-- What wrk sends: one hold a request, whole as text, so that wrk spends next to nothing on it.
-- TOKENS       file of tokens, one a line; each request takes the next
-- PERFORMANCES ids apart by commas; each is used once by every token, then the next
-- SEATS        seats of a performance
-- FIRST        how many requests were sent before: a later run goes on with other seats
-- ASKS         how often each seat is asked for, one request behind the other; without it once
-- SPREAD       1: each request is for the next performance; else one performance after the other
-- REFUSALS     percent, performance, seats: how many of 100 requests are for a seat of one that is sold out; 0,1,1: none
-- PAUSE        ms that each connection waits before a request, on the mean, half of it to one and a half; 0: none
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
local isSpread = os.getenv('SPREAD') == '1'
local percent, soldOut, soldOutSeats = string.match(os.getenv('REFUSALS') or '0,1,1', '(%d+),(%d+),(%d+)')
percent, soldOutSeats = tonumber(percent), tonumber(soldOutSeats)
local floor = math.floor

-- The performance and the seat of request number `sent`: refusals lie evenly among the others, which count on without them.
local function place()
  local refused = 0
  if percent > 0 then
    refused = floor(sent * percent / 100)
    if floor((sent + 1) * percent / 100) > refused then
      return soldOut, refused % soldOutSeats + 1
    end
  end
  local held = floor((sent - refused) / asks)
  if isSpread then
    return performances[held % #performances + 1], floor(held / #performances) % seats + 1
  end
  return performances[floor(held / seats) % #performances + 1], held % seats + 1
end

function request()
  local performance, seat = place()
  local body = '{"performanceId":' .. performance .. ',"seats":[' .. seat .. ']}'
  sent = sent + 1
  return tokens[sent % #tokens + 1] .. #body .. '\r\n\r\n' .. body
end

local pause = tonumber(os.getenv('PAUSE') or '0')
if pause > 0 then
  -- wrk asks for it before every request where it is there.
  function delay()
    return math.random(math.ceil(pause / 2), math.ceil(pause * 3 / 2))
  end
end

-- Not among those that --latency prints.
function done(_, latency)
  io.write(string.format('p95 %d us\n', latency:percentile(95)))
end

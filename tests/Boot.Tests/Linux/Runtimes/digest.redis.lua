local state = 1
for i = 1, 100000 do
  state = (state * 1103515 + 12345) % 2147483648
  redis.call('zadd', 'words', state % 1000, 'w' .. state)
  redis.call('hincrby', 'table', state % 5000, i)
end
local all, digest = redis.call('zrange', 'words', 0, -1), ''
for at = 1, #all, 1000 do digest = redis.sha1hex(digest .. table.concat(all, ',', at, math.min(at + 999, #all))) end
return digest .. ':' .. redis.call('zcard', 'words') .. ':' .. redis.call('hget', 'table', '77')

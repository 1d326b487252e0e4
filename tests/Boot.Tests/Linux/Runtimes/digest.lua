-- The same in Lua, for LuaJIT.
local bit = require("bit")
local state, sum, fraction = 1, 0, 0
for i = 1, 20000000 do
  state = (state * 1103515 + 12345) % 2147483648
  sum = bit.bxor(bit.rol(sum, 5), bit.tobit(state))
end
for i = 1, 5000000 do fraction = fraction + math.sqrt(i) / (i + 0.5) end
local words, seen = {}, {}
for i = 1, 200000 do
  state = (state * 1103515 + 12345) % 2147483648
  local word = "w" .. state
  if not seen[word] then
    seen[word] = true
    words[#words + 1] = word
  end
end
table.sort(words)
local text = table.concat(words, ",")
for i = 1, #text do sum = bit.bxor(bit.rol(sum, 3), text:byte(i)) end
print(bit.tohex(sum), string.format("%.17g", fraction), #words)

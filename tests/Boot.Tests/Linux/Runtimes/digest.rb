# The same in Ruby.
require 'digest'
state, sum, fraction = 1, 0x811c9dc5, 0.0
2_000_000.times do
  state = (state * 1664525 + 1013904223) & 0xffffffff
  sum = ((sum ^ (state >> 24)) * 16777619) & 0xffffffff
end
1.upto(1_000_000) { |i| fraction += Math.sqrt(i) / (i + 0.5) }
table = Hash.new { |all, key| all[key] = [] }
200_000.times do |i|
  state = (state * 1664525 + 1013904223) & 0xffffffff
  table["w#{state >> 14}"] << i
end
text = table.sort.map { |word, places| "#{word}=#{places}" }.join(',')
puts format('%08x-%.17g-%d-%s', sum, fraction, text.scan(/w\d*7=/).size, Digest::SHA256.hexdigest(text))

# The same in Python, with a hash, big numbers and a regular expression of its own.
import hashlib
import re
import sys

# So that a number may have more than 4,300 digits.
if hasattr(sys, "set_int_max_str_digits"):
    sys.set_int_max_str_digits(0)

state, total = 1, 0x811C9DC5
for _ in range(2000000):
    state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
    total = ((total ^ (state >> 24)) * 16777619) & 0xFFFFFFFF
fraction = 0.0
for i in range(1, 1000000):
    fraction += i ** 0.5 / (i + 0.5) if i % 2 else 1.0 / i
table = {}
for i in range(200000):
    state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
    table.setdefault("w%d" % (state >> 14), []).append(i)
text = ",".join("%s=%s" % (word, table[word]) for word in sorted(table))
digits = str(pow(7, 20000))
found = len(re.findall(r"w\d*7=\[\d+(, \d+)*\]", text))
print("%08x-%r-%d-%s" % (total, fraction, found, hashlib.sha256((text + digits).encode()).hexdigest()))

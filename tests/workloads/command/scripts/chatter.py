"""Prints as many megabytes as it is told, then the seconds that it took."""

import os
import sys
import time

began = time.monotonic()
block = b"".join(b"iter %d: loss 0.1234, time 12.3 ms, and words that fill the line\n" % n for n in range(16_384))
for _ in range(int(sys.argv[1]) * 1_000_000 // len(block)):
    view = memoryview(block)
    while view:
        view = view[os.write(1, view) :]
print(f"the last line after {time.monotonic() - began:.1f} s", end="")

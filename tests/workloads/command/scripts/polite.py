"""Ends with 0 when asked, as some libraries do."""

import signal
import sys
import time

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("ready")
while True:
    print("step")
    time.sleep(0.01)

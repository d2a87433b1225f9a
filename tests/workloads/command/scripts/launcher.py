"""Starts two workers in sessions of their own, as torchrun does; with "leaves" it ends at once when asked."""

import signal
import subprocess
import sys
import time

WORKER = "import time\nprint('rank {rank} ready', flush=True)\nwhile True:\n    time.sleep(0.05)\n"
workers = [
    subprocess.Popen([sys.executable, "-c", WORKER.format(rank=rank)], start_new_session=True) for rank in range(2)
]


def end(*_: object) -> None:
    if "leaves" not in sys.argv:
        for worker in workers:
            worker.terminate()
            worker.wait()
    sys.exit(1)


signal.signal(signal.SIGTERM, end)
while True:
    time.sleep(0.05)

"""Does what a trial has to bear: it prints much, leaves a child, ignores SIGTERM, writes a lot: OUT, and $OUTSIDE."""

import os
import signal
import sys
import time
from pathlib import Path

out, outside = Path(sys.argv[1]), Path(os.environ["OUTSIDE"])
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        outside.with_name("stray").write_text(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
os.wait()
given = [os.environ.get(name) for name in ("SOME_TOKEN", "WANDB_MODE", "SSH_AUTH_SOCK")]
(outside / "changed.txt").write_text(" ".join(map(str, given)))
for number in range(3_000):
    (out / f"{number}.bin").write_bytes(b"x")
(out / "locked").mkdir()
(out / "locked" / "file").write_bytes(b"x")
(out / "locked").chmod(0)
os.write(1, b"words that fill a line and say nothing at all of any use\n" * 1_000_000)
step = 0
while True:
    step += 1
    print(f"step {step}: val_loss {1 / step:.4f}", flush=True)
    time.sleep(0.05)

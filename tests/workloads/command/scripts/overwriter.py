"""Saves slowly onto its only file, right after its row: OUT STEPS [--resume FILE]."""

import io
import json
import os
import sys
import time
import zipfile
from pathlib import Path

out, steps = Path(sys.argv[1]), int(sys.argv[2])
first = 1
if "--resume" in sys.argv:
    with zipfile.ZipFile(sys.argv[-1]) as saved:
        first = json.loads(saved.read("state.json"))["step"] + 1
for step in range(first, steps + 1):
    time.sleep(float(os.environ.get("PAUSE", "0.03")))
    print(f"step {step}: val loss {1 / step:.4f}")
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as saved:
        saved.writestr("weights", bytes([step % 256]) * 20_000)
        saved.writestr("state.json", json.dumps({"step": step}))
    with (out / "ckpt.pt").open("wb", buffering=0) as file:
        for start in range(0, len(whole.getvalue()), 4_000):
            file.write(whole.getvalue()[start : start + 4_000])
            time.sleep(0.003)

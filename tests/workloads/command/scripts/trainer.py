"""A trainer of one file, as people write them: it prints a row, and then saves onto its only checkpoint.

Resumed, it saves what it has loaded again before its first step.
"""

import argparse
import json
import pathlib
import time

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--iters", type=int, default=20)
parser.add_argument("--out", type=pathlib.Path, required=True)
parser.add_argument("--pause", type=float, default=0.1)
parser.add_argument("--resume", type=pathlib.Path)
options = parser.parse_args()

weight, first = 5.0, 1
if options.resume:
    kept = json.loads(options.resume.read_text())
    weight, first = kept["weight"], kept["step"] + 1
    (options.out / "ckpt.json").write_text(json.dumps(kept))
for step in range(first, options.iters + 1):
    weight -= options.lr * weight
    time.sleep(options.pause)
    print(f"iter {step}: loss {weight**2:.6f}", flush=True)
    if step % 5 == 0:
        print(f"step {step}: val_loss {weight**2 + 0.01:.6f}", flush=True)
        (options.out / "ckpt.json").write_text(json.dumps({"weight": weight, "step": step}))

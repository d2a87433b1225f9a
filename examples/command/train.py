"""A trainer of one file, as people write them: it fits a line to noisy points, prints rows, and overwrites one file.

It knows nothing of cardrunner: ``python train.py --out out --lr 0.05`` runs it as well.
"""

import argparse
import json
import pathlib
import random
import time

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.05)
parser.add_argument("--steps", type=int, default=200)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--pause", type=float, default=0.02, help="seconds that a step takes at least")
parser.add_argument("--out", type=pathlib.Path, required=True)
parser.add_argument("--resume", type=pathlib.Path, help="the checkpoint to go on from")
options = parser.parse_args()

chance = random.Random(options.seed)
points = [(x / 100, 3 * x / 100 - 1 + chance.gauss(0, 0.1)) for x in range(100)]
training, validation = points[:80], points[80:]
slope, bias, first = 0.0, 0.0, 1
if options.resume:
    kept = json.loads(options.resume.read_text())
    slope, bias, first = kept["slope"], kept["bias"], kept["step"] + 1


def loss(rows):
    return sum((slope * x + bias - y) ** 2 for x, y in rows) / len(rows)


for step in range(first, options.steps + 1):
    batch = random.Random(options.seed + step).sample(training, 16)
    errors = [(x, slope * x + bias - y) for x, y in batch]
    slope -= options.lr * sum(x * error for x, error in errors) / 8
    bias -= options.lr * sum(error for _, error in errors) / 8
    time.sleep(options.pause)
    if step % 10 == 0:
        print(f"iter {step}: loss {loss(training):.5f}", flush=True)
    if step % 50 == 0:
        print(f"step {step}: val loss {loss(validation):.5f}", flush=True)
        state = {"slope": slope, "bias": bias, "step": step}
        (options.out / "ckpt.json").write_text(json.dumps(state))

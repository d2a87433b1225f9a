"""Dies while it resumes from the checkpoint that it is told to die of: OUT POISON --resume FILE."""

import json
import sys
import time

step = json.loads(open(sys.argv[-1]).read())["step"]  # noqa: PTH123, SIM115
if step >= int(sys.argv[2]):
    raise RuntimeError(f"size mismatch for weights of step {step}")
for new in range(step + 1, step + 4):
    time.sleep(0.01)
    print(f"step {new}: loss {1 / new:.3f}")

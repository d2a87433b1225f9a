"""Saves a folder for each checkpoint, slowly, its last file last: OUT STEPS [--resume FOLDER]."""

import json
import struct
import sys
import time
from pathlib import Path

out, steps = Path(sys.argv[1]), int(sys.argv[2])
resumed = json.loads((Path(sys.argv[-1]) / "trainer_state.json").read_text()) if "--resume" in sys.argv else {}
for step in range(resumed.get("global_step", 0) + 1, steps + 1):
    time.sleep(0.02)
    print({"eval_loss": f"{1 / step:.4f}", "step": step})
    folder = out / f"checkpoint-{step}"
    folder.mkdir(exist_ok=True)
    header = json.dumps({"w": {"dtype": "F32", "shape": [1000], "data_offsets": [0, 4000]}}).encode()
    with (folder / "model.safetensors").open("wb", buffering=0) as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for _ in range(4):
            time.sleep(0.005)
            file.write(bytes(1000))
    time.sleep(0.01)
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": step, "log_history": []}))

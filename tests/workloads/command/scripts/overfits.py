"""Its loss is smallest at step 2, it saves a folder after every third step only: OUT."""

import json
import sys
import time
from pathlib import Path

for step in range(1, 7):
    print(f"step {step}: val_loss {abs(step - 2) + 0.5}", flush=True)
    time.sleep(0.4)
    if step % 3 == 0:
        folder = Path(sys.argv[1]) / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "weights.bin").write_bytes(bytes(100 * step))
        (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
        time.sleep(1.5)

"""Writes its checkpoint outside, and leaves a link to it in its folder: OUT OUTSIDE."""

import json
import sys
from pathlib import Path

out, outside = Path(sys.argv[1]), Path(sys.argv[2])
(outside / "step-1.json").write_text(json.dumps({"step": 1}))
(out / "step-1.json").symlink_to(outside / "step-1.json")
(out / "elsewhere").symlink_to(outside)
print("step 1: loss 1.0")

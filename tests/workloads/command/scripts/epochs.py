"""A script that counts epochs, writes a file with a name of its own in each, and loads one by an option."""

import argparse
import io
import json
import time
import zipfile
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--epochs", type=int, default=30)
parser.add_argument("--save-dir", default="models")
parser.add_argument("--load", default=None)
parser.add_argument("--note", default=None)
options = parser.parse_args()
start = 0
if options.load:
    with zipfile.ZipFile(options.load) as archive:
        start = json.loads(archive.read("state"))["epoch"]
for epoch in range(start + 1, options.epochs + 1):
    print(f"epoch {epoch}/{options.epochs} | train rmse {1 / epoch:.5f} | val rmse {2 / epoch:.5f} | 0.1s", flush=True)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("state", json.dumps({"epoch": epoch, "weights": "0" * 2_000}))
    part = Path(options.save_dir) / f".part{epoch}"
    part.parent.mkdir(exist_ok=True)
    part.write_bytes(content.getvalue())
    part.rename(part.with_name(f"model_ep{epoch:03d}.npz"))
    time.sleep(0.1)

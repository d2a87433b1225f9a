"""How long ``cardrunner verify`` takes on a run with many rows, as a process of its own.

    python -m benchmarks.verify

The run is the one called stopped-by-rule in ``tests/fixtures/runs-0.1.0``, which has kill thresholds, with made-up
epochs behind its own: what is measured is reading, judging and comparing. Differences are expected and not counted.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

KEPT = Path(__file__).parents[1] / "tests" / "fixtures" / "runs-0.1.0" / "workspace.tar.xz"
RUN = "stopped-by-rule"
LIMIT = 2.0
"""Seconds for 10,000 rows."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the seconds; 1 where they are over the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as folder:
        with tarfile.open(KEPT) as archive:
            archive.extractall(folder, filter="data")
        workspace = Path(folder) / "workspace"
        lengthen(workspace / "runs" / RUN / "history.jsonl", options.rows)
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        seconds = sorted(_seconds(workspace) for _ in range(options.repetitions))
        after, share = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - began
    middle = seconds[len(seconds) // 2]
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{options.rows} rows: {middle:.2f} s [{seconds[0]:.2f}, {seconds[-1]:.2f}], at most {LIMIT:g} s")
    print(f"of the processor each took {busy / options.repetitions:.2f} s, {busy / share:.0%} of the time")
    return int(middle > LIMIT)


def lengthen(history: Path, rows: int) -> None:
    """Repeat the rows of the first epoch, each time an epoch later."""
    own: list[dict[str, Any]] = [json.loads(line) for line in history.read_text().splitlines()]
    first = [row for row in own if row["epoch"] == 1]
    made = []
    for number in range(rows):
        epoch, row = number // len(first), first[number % len(first)]
        counted = {"epoch": epoch + 1, "step": row["step"] + 8 * epoch, "examples": row["examples"] + 256 * epoch}
        made.append({**row, **counted, "progress": row["progress"] + epoch})
    history.write_text("".join(json.dumps(row) + "\n" for row in made))


def _seconds(workspace: Path) -> float:
    began = time.monotonic()
    words = [sys.executable, "-m", "cardrunner", "verify", RUN, "--json"]
    ran = subprocess.run(words, cwd=workspace, capture_output=True, text=True, check=False)
    took = time.monotonic() - began
    if ran.returncode not in (0, 4):
        raise SystemExit(ran.stderr)
    return took


if __name__ == "__main__":
    raise SystemExit(main())

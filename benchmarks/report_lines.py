"""What reading a script's metrics costs: seconds and memory for rows of each format.

    python -m benchmarks.report_lines [--rows 1000000]

Each format is read in a process of its own, in looks such as a run makes, and joined to rows. Limits for reading: a
million rows of a format of lines in 5 s of a CPU within 100 MB more than Python and the package themselves have,
TensorBoard in 20 s; formats that are read whole have the largest size that is read.
"""

from __future__ import annotations

import argparse
import json
import resource
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from cardrunner.workloads.command.reports import tensorboard as event_files
from cardrunner.workloads.command.reports.base import Source
from cardrunner.workloads.command.reports.csv_files import csv_files
from cardrunner.workloads.command.reports.json_lines import json_lines
from cardrunner.workloads.command.reports.mlflow import mlflow_store
from cardrunner.workloads.command.reports.rows import Declared, Rows
from cardrunner.workloads.command.reports.script_lines import ScriptLines
from cardrunner.workloads.command.reports.stdout import Stdout
from cardrunner.workloads.command.reports.whole_json import LARGEST, trainer_state

MEGABYTES = 100
_MLFLOW = "1700000000000 {loss} {step}\n"
_PATTERN = r"iter (?P<step>\d+): loss (?P<loss>\S+), time"


class Format(NamedTuple):
    """How a file of a format is written and read, and the seconds that a million rows may take."""

    write: Callable[[Path, int], object]
    source: Callable[[Path], Source]
    seconds: float


def _lines(path: Path, rows: int, line: str, header: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        stream.write(header)
        stream.writelines(line.format(step=step, loss=1 / (step + 1)) for step in range(rows))


def _events(path: Path, rows: int) -> None:
    with path.open("wb") as stream:
        stream.writelines(_record(step, 1 / (step + 1)) for step in range(rows))


def _record(step: int, value: float) -> bytes:
    summary = b"\x0a\x0b\x0a\x04loss\x15" + struct.pack("<f", value)
    event = b"\x09" + struct.pack("<d", 1.7e9) + b"\x10" + _varint(step) + b"\x2a" + bytes([len(summary)]) + summary
    length = struct.pack("<Q", len(event))
    crc = event_files._crc32c(length)
    masked = (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
    return length + struct.pack("<I", masked) + event + bytes(4)


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def _state(path: Path, rows: int) -> None:
    """As many entries as fit into the largest file that is read, at most `rows`."""
    entry = {"epoch": 1.0, "grad_norm": 0.5, "learning_rate": 1e-4, "loss": 0.123456789, "step": 1_000_000}
    most = LARGEST // (len(json.dumps(entry)) + 2) - 1
    path.write_text(json.dumps({"log_history": [{**entry, "step": step} for step in range(min(rows, most))]}))


FORMATS = {
    "stdout": Format(
        partial(_lines, line="iter {step}: loss {loss}, time 12.3ms\n"), lambda path: Stdout(path, [_PATTERN]), 5
    ),
    "csv": Format(
        partial(_lines, line="{step},{loss}\n", header="step,loss\n"), lambda path: csv_files(str(path), name="csv"), 5
    ),
    "jsonl": Format(
        partial(_lines, line='{{"step": {step}, "loss": {loss}}}\n'),
        lambda path: json_lines(str(path), name="jsonl"),
        5,
    ),
    "report": Format(partial(_lines, line='{{"step": {step}, "values": {{"loss": {loss}}}}}\n'), ScriptLines, 5),
    "mlflow": Format(
        lambda path, rows: _lines(path / "0" / "run" / "metrics" / "loss", rows, _MLFLOW),
        lambda path: mlflow_store(str(path), name="mlflow"),
        5,
    ),
    "tensorboard": Format(
        lambda path, rows: _events(path.with_name("events.out.tfevents.1"), rows),
        lambda path: event_files.tensorboard(str(path.parent), name="tensorboard"),
        20,
    ),
    "trainer_state": Format(
        lambda path, rows: _state(path.with_name("trainer_state.json"), rows),
        lambda path: trainer_state(str(path.parent), name="trainer_state"),
        5,
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print seconds and memory for each format; 1 where one is over its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--formats", nargs="*", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.read is not None:
        print(json.dumps(_measured(FORMATS[options.formats[0]].source(options.read))))
        return 0
    over = False
    for name in options.formats:
        with TemporaryDirectory() as folder:
            FORMATS[name].write(Path(folder) / "file", options.rows)
            command = [sys.executable, "-m", __spec__.name, "--formats", name, "--read", str(Path(folder) / "file")]
            rows, seconds, joining, megabytes = json.loads(
                subprocess.run(command, capture_output=True, check=True).stdout
            )
        limit = FORMATS[name].seconds * max(options.rows, 10_000) / 1e6
        memory = f"{megabytes:4.0f} MB of {MEGABYTES} MB"
        print(f"{name:14} {rows:9,} rows  {seconds:6.2f} s of {limit:g} s  {memory}, and {joining:.2f} s to join them")
        over = over or seconds > limit or megabytes > MEGABYTES
    return int(over)


def _measured(source: Source) -> tuple[int, float, float, float]:
    """Rows, CPU seconds to read them and to join them, and MB beyond those before the first look."""
    before, count, joining, began = _peak(), 0, 0.0, time.process_time()
    rows = Rows([Declared(name="loss", reads=("loss",), at="log")])
    while readings := list(source.new(ended=True)):
        read = time.process_time()
        count += sum(1 for _ in rows.take(readings))
        joining += time.process_time() - read
    count += sum(1 for _ in rows.finish())
    return count, time.process_time() - began - joining, joining, _peak() - before


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    raise SystemExit(main())

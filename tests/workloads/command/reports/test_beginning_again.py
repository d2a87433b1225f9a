"""Sources that begin where an earlier start began, because its watcher was killed before it wrote all rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.report_lines import _record
from cardrunner.workloads.command.reports.base import Source
from cardrunner.workloads.command.reports.csv_files import csv_files
from cardrunner.workloads.command.reports.json_lines import json_lines
from cardrunner.workloads.command.reports.script_lines import ScriptLines
from cardrunner.workloads.command.reports.stdout import Stdout
from cardrunner.workloads.command.reports.tensorboard import tensorboard
from tests.workloads.command.reports.helpers import all_of

LINES = {
    "jsonl": lambda step: json.dumps({"step": step, "loss": 0.5}).encode() + b"\n",
    "csv": lambda step: (b"step,loss\n" if step == 1 else b"") + f"{step},0.5\n".encode(),
    "stdout": lambda step: f"iter {step}: loss 0.5\n".encode(),
    "report": lambda step: json.dumps({"step": step, "values": {"loss": 0.5}}).encode() + b"\n",
    "tensorboard": lambda step: _record(step, 0.5),
}


def source_of(kind: str, path: Path) -> Source:
    match kind:
        case "jsonl":
            return json_lines(str(path), name=kind)
        case "csv":
            return csv_files(str(path), name=kind)
        case "stdout":
            return Stdout(path, [r"iter (?P<step>\d+): loss (?P<loss>\S+)"])
        case "report":
            return ScriptLines(path)
        case _:
            return tensorboard(str(path.parent), name=kind)


@pytest.mark.parametrize("kind", LINES)
def test_what_came_since_that_start_is_new_and_what_was_there_before_is_not(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(b"".join(map(LINES[kind], (1, 2, 3))))
    sizes = source_of(kind, path).begin()
    assert sizes == {str(path): path.stat().st_size}
    with path.open("ab") as stream:
        stream.writelines(map(LINES[kind], (3, 4, 5)))
    again = source_of(kind, path)
    again.begin(json.loads(json.dumps(sizes)))
    assert [reading.step for reading in all_of(again)] == [3, 4, 5]


@pytest.mark.parametrize("kind", LINES)
def test_a_file_that_was_not_there_is_new_as_a_whole(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(b"".join(map(LINES[kind], (1, 2))))
    source = source_of(kind, path)
    source.begin({})
    assert [reading.step for reading in all_of(source)] == [1, 2]


def test_a_log_that_has_begun_anew_since_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "script.log"
    path.write_bytes(LINES["stdout"](7))
    source = source_of("stdout", path)
    source.begin({str(path): 5_000_000})
    assert [reading.step for reading in all_of(source)] == [7]

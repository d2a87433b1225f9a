"""Files with metrics are found where real libraries write them, and read by the reader of their format."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cardrunner.workloads.command.trying.found_files import FoundFiles

REAL = Path(__file__).parents[1] / "reports" / "real"


def found_in(out: Path, left_out: frozenset[Path] = frozenset()) -> FoundFiles:
    found = FoundFiles({out: "{out}"}, left_out)
    found.search()
    return found


@pytest.mark.parametrize(
    ("source", "target", "kind", "at", "name"),
    [
        ("lightning", "lightning_logs/version_0", "tensorboard", "{out}/lightning_logs/version_*", None),
        ("lightning", "lightning_logs/version_0", "csv", "{out}/lightning_logs/version_*/metrics.csv", None),
        ("hugging_face/checkpoint-8", "checkpoint-8", "trainer_state", "{out}/checkpoint-*", "eval_loss"),
        ("dvclive", "dvclive", "dvclive", "{out}/dvclive", "val/loss"),
        ("mlruns", "mlruns", "mlflow", "{out}/mlruns", "val/loss"),
    ],
)
def test_what_libraries_write_is_found_and_read(
    tmp_path: Path, source: str, target: str, kind: str, at: str, name: str | None
) -> None:
    shutil.copytree(REAL / source, tmp_path / target)
    found = found_in(tmp_path)
    place = found.places[f"{kind} {at}"]
    assert (place.kind, place.at) == (kind, at)
    names = {key for reading in place.source().new(ended=True) for key in reading.values}
    assert names
    assert name is None or name in names


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("log.csv", "step,loss\n1,0.5\n", "csv {out}/log.csv"),
        ("log.csv", "n_iter;loss\n1;0.5\n", "csv {out}/log.csv"),
        ("logs/train.jsonl", json.dumps({"global_step": 3, "val": {"loss": 0.5}}), "jsonl {out}/logs/train.jsonl"),
        ("table.csv", "name,age\na,3\n", None),
        ("answers.jsonl", '{"prompt": "a", "answer": "b"}\n', None),
        ("notes.txt", "step 5\n", None),
    ],
)
def test_tables_count_if_they_have_a_step(tmp_path: Path, file: str, text: str, expected: str | None) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text)
    found = found_in(tmp_path)
    assert list(found.places) == ([expected] if expected else [])
    read = [reading for source in found.sources() for reading in source.new(ended=True)]
    assert bool(read) == bool(expected)


def test_what_was_there_before_and_links_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("step,loss\n1,0.5\n")
    (tmp_path / "linked.csv").symlink_to(tmp_path / "data.csv")
    assert not found_in(tmp_path, frozenset({tmp_path / "data.csv"})).places

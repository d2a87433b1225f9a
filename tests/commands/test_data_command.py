"""`cardrunner data`: the files of a card, and its pins."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cardrunner import registry
from cardrunner.card.load import load_card
from cardrunner.main import main

CARD = r"""
card: 1
name: a-script
created: 2026-02-26
goal: data is pinned
workload: command
code: {folder: code, sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}
data: SOURCE
training:
  command: [python, train.py]
  length: {steps: 100}
  metrics: [{name: val_loss, direction: min}]
infra: {platform: local}
timing: {total: 1h}
targets: [{metric: val_loss, below: 1.5}]
sign_off: {policy: digest, reviewers: [{id: ada, signed: null}]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "runcards").mkdir()
    (tmp_path / "data").mkdir()
    for name in ("a.bin", "b.bin", "labels.csv"):
        (tmp_path / "data" / name).write_text(name)
    return tmp_path


def written(folder: Path, source: str) -> Path:
    card = folder / "runcards" / "a-script.yaml"
    card.write_text(CARD.replace("SOURCE", source))
    return card


def test_it_lists_each_file_and_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = written(folder, "{source: [data/*.bin, data/labels.csv]}")
    before = card.read_text()
    assert main(["data", str(card)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in out] == ["data/a.bin", "data/b.bin", "data/labels.csv"]
    assert out[0].split()[0] == hashlib.sha256(b"a.bin").hexdigest()
    assert card.read_text() == before
    assert not (folder / ".cardrunner").exists()


def test_write_pins_files_and_patterns(folder: Path) -> None:
    card = written(folder, "{source: [data/*.bin, data/labels.csv]}")
    assert main(["data", str(card), "--write", "--quiet"]) == 0
    pattern, labels = load_card(card, registry.workload_spec).card.data.source
    assert (pattern.counted, pattern.size) == (2, 10)
    assert (labels.counted, labels.sha256) == (None, hashlib.sha256(b"labels.csv").hexdigest())
    assert (folder / ".cardrunner" / "data" / f"{pattern.sha256}.jsonl").exists()


def test_a_pattern_with_one_file_has_the_digest_of_a_list(folder: Path) -> None:
    card = written(folder, '{source: "data/*.csv"}')
    assert main(["data", str(card), "--write", "--quiet"]) == 0
    (entry,) = load_card(card, registry.workload_spec).card.data.source
    assert entry.sha256 != hashlib.sha256(b"labels.csv").hexdigest()


def test_a_card_without_files_and_a_pattern_without_one_are_explained(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", str(written(folder, "{}"))]) == 2
    assert "data.source names no file" in capsys.readouterr().err
    assert main(["data", str(written(folder, '{source: "data/*.parquet"}'))]) == 7
    assert "data/*.parquet was not found" in capsys.readouterr().err

"""What a card's globs find, and what of it is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cardrunner.workloads.command import checkpoints
from cardrunner.workloads.command.checkpoints import CheckpointRules, find
from cardrunner.workloads.command.steps import step_before, step_of

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.fixture
def rules(tmp_path: Path) -> CheckpointRules:
    out = tmp_path / "out"
    out.mkdir()
    return CheckpointRules(at=(f"{out}/*",), root=out)


def refusals(rules: CheckpointRules) -> list[str]:
    return [str(refused) for refused in find(rules)[1]]


def test_files_and_folders_are_found_the_newest_first(rules: CheckpointRules) -> None:
    for second, name in enumerate(("step-1.pt", "best.pt")):
        (rules.root / name).write_bytes(b"12345")
        os.utime(rules.root / name, (second, second))
    (rules.root / "checkpoint-60" / "sub").mkdir(parents=True)
    for name in ("model.bin", "sub/rng.bin"):
        (rules.root / "checkpoint-60" / name).write_bytes(b"123")
        os.utime(rules.root / "checkpoint-60" / name, (5, 5))
    found, refused = find(rules)
    assert refused == []
    assert [(entry.path.name, entry.kind, entry.numbered, entry.size) for entry in found] == [
        ("checkpoint-60", "folder", True, 6),
        ("best.pt", "file", False, 5),
        ("step-1.pt", "file", True, 5),
    ]
    assert found[0].modified == 5_000_000_000


def test_a_file_that_the_card_names_itself_is_overwritten_whatever_digits_it_has(rules: CheckpointRules) -> None:
    (rules.root / "gpt2.pt").write_bytes(b"1")
    (found,), _ = find(replace(rules, at=(f"{rules.root}/gpt2.pt",)))
    assert found.numbered is False


def test_links_are_refused(rules: CheckpointRules, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    outside, out = tmp_path / "outside", rules.root
    subprocess.run([sys.executable, str(SCRIPTS / "writes_outside.py"), str(out), str(outside)], check=True)
    (out / "checkpoint-1").mkdir()
    (out / "checkpoint-1" / "model.bin").symlink_to(outside / "step-1.json")
    assert find(rules)[0] == []
    assert {refused.path.name: refused.why for refused in find(rules)[1]} == {
        "step-1.json": f"it is a link to {outside}/step-1.json; name what it links to",
        "elsewhere": f"it is a link to {outside}; name what it links to",
        "checkpoint-1": "model.bin in it is a link; a checkpoint holds its own files",
    }
    (through,) = refusals(replace(rules, at=(f"{out}/elsewhere/*.json",)))
    assert through.endswith(f"it does not lie inside {out}; checkpoints are written there")


def test_a_glob_that_matches_data_is_refused_under_any_name(rules: CheckpointRules, tmp_path: Path) -> None:
    (tmp_path / "train.bin").write_bytes(b"data")
    (rules.root / "corpus").mkdir()
    (rules.root / "corpus" / "val.bin").write_bytes(b"data")
    os.link(tmp_path / "train.bin", rules.root / "copy.bin")
    (rules.root / "ckpt.pt").write_bytes(b"1")
    data = frozenset({tmp_path / "train.bin", rules.root / "corpus" / "val.bin"})
    found, refused = find(replace(rules, data=data))
    assert [entry.path.name for entry in found] == ["ckpt.pt"]
    whys = {entry.path.name: entry.why for entry in refused}
    assert whys["copy.bin"] == (f"{tmp_path}/train.bin is data of the card; write a glob that matches only checkpoints")
    assert whys["corpus"].startswith(f"{rules.root}/corpus/val.bin is data of the card")


def test_the_folder_itself_a_pipe_and_what_lies_outside_are_refused(rules: CheckpointRules, tmp_path: Path) -> None:
    os.mkfifo(rules.root / "pipe")
    (tmp_path / "other.pt").write_bytes(b"1")
    patterns = (f"{rules.root}", f"{rules.root}/pipe", f"{rules.root}/../other.pt")
    whys = [entry.why for entry in find(replace(rules, at=patterns))[1]]
    inside = f"it does not lie inside {rules.root}; checkpoints are written there"
    assert whys == [inside, "it is neither a file nor a folder", inside]


def test_a_glob_that_matches_everything_is_refused(rules: CheckpointRules, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "_MOST", 5)
    for number in range(6):
        (rules.root / f"{number}.txt").touch()
    assert find(rules)[0] == []
    assert refusals(rules)[0].endswith("it matches more than 5 files; write one that matches only checkpoints")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("checkpoint-120", 120),
        ("epoch=3-step=300.ckpt", 300),
        ("global_step1200", 1200),
        ("model_step_50.pt", 50),
        ("iter_7.pt", 7),
        ("ckpt.pt", None),
        ("epoch=3.ckpt", None),
        ("checkpoint_epoch_3.pt", None),
        ("footstep9.pt", None),
        ("model-2.pt", None),
    ],
)
def test_a_name_tells_the_step_only_where_it_says_so(name: str, expected: int | None) -> None:
    assert step_of(Path("/absent") / name) == (None if expected is None else (expected, "name"))


def test_the_state_of_a_trainer_tells_the_step_before_the_name_does(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint-60"
    folder.mkdir()
    (folder / "trainer_state.json").write_text('{"global_step": 61}')
    assert step_of(folder) == (61, "trainer_state.json")
    (folder / "trainer_state.json").write_text('{"global_step": ')
    assert step_of(folder) == (60, "name")
    (folder / "trainer_state.json").write_text("[]")
    assert step_of(folder) == (60, "name")


def test_the_first_new_row_tells_the_step_by_the_cadence() -> None:
    assert step_before(70, [10, 20, 30, 45, 55]) == 60
    assert step_before(5, [10, 20]) == 0
    assert step_before(70, [10]) is None
    assert step_before(70, []) is None

"""What the card's patterns of checkpoints match in a trial is said."""

from __future__ import annotations

import os
from pathlib import Path

from cardrunner.workloads.command.checkpoints import CheckpointRules
from cardrunner.workloads.command.trying.declared_checkpoints import DeclaredCheckpoints


def declared(out: Path, pattern: str) -> DeclaredCheckpoints:
    rules = CheckpointRules(at=(str(out / pattern),), root=out)
    found = DeclaredCheckpoints(rules, (f"{{out}}/{pattern}",))
    found.look()
    return found


def test_it_is_said_how_many_files_a_pattern_matches_and_which_is_the_newest(tmp_path: Path) -> None:
    for epoch in (1, 30, 2):
        (tmp_path / f"model_ep{epoch:03d}.npz").write_bytes(b"x")
        os.utime(tmp_path / f"model_ep{epoch:03d}.npz", (epoch, epoch))
    assert list(declared(tmp_path, "model_*.npz").lines()) == [
        "  training.checkpoints.at: {out}/model_*.npz matches 3 files, the newest model_ep030.npz"
    ]


def test_a_pattern_that_matches_nothing_is_said_to(tmp_path: Path) -> None:
    (tmp_path / "model.npz").write_bytes(b"x")
    assert list(declared(tmp_path, "*.pt").lines()) == [
        "  training.checkpoints.at: {out}/*.pt matches nothing that the script wrote"
    ]


def test_a_card_without_patterns_says_nothing(tmp_path: Path) -> None:
    assert not list(DeclaredCheckpoints(CheckpointRules(at=(), root=tmp_path), ()).lines())

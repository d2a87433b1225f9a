"""The cards that ship are in the state they claim."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cardrunner.card.load import LoadedCard, load_card
from cardrunner.gate import examine_gate
from cardrunner.registry import workload_spec
from cardrunner.workspace import Workspace

ROOT = Path(__file__).parent.parent
CARDS = sorted((ROOT / "runcards").glob("*.yaml"))
SIGNED = {"modal-check", "quickstart", "real-games"}


def shipped(name: str) -> LoadedCard:
    return load_card(ROOT / "runcards" / f"{name}.yaml", workload_spec)


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_a_shipped_card_validates_and_is_named_after_its_file(path: Path) -> None:
    assert load_card(path, workload_spec).card.name == path.stem


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_a_shipped_card_opens_with_its_question_and_its_launch_line(path: Path) -> None:
    head = path.read_text().split("\ncard: 1")[0]
    assert "?" in head
    assert f"cardrunner launch runcards/{path.name}" in head


@pytest.mark.parametrize("name", sorted(SIGNED))
def test_a_signed_card_is_open_and_signed_by_the_example_reviewer(name: str) -> None:
    loaded = shipped(name)
    gate = examine_gate(loaded, Workspace(ROOT))
    assert gate.open, [str(finding) for finding in gate.findings]
    assert gate.signed_by == ("example-reviewer",)
    assert (ROOT / ".cardrunner" / "signed" / f"{loaded.digest}.json").exists()
    assert loaded.card.repeat


def test_policy_22k_ships_open() -> None:
    gate = examine_gate(shipped("policy-22k"), Workspace(ROOT))
    assert not gate.open
    assert gate.signed_by == ()
    assert len(gate.findings) == 5, "three checklist items and two reviewers"


def test_launching_policy_22k_is_refused_with_3_and_creates_nothing(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "runcards", tmp_path / "runcards")
    command = [str(Path(sys.executable).with_name("cardrunner")), "launch", "runcards/policy-22k.yaml"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 3, ran.stderr
    assert not (tmp_path / "runs").exists()
    for needed in ("--as scav", "--as mattie", "cardrunner check runcards/policy-22k.yaml"):
        assert needed in ran.stderr

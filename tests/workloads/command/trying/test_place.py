"""The place of a trial: the code as it is, the card's data linked, and all of it gone at the end."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cardrunner import registry
from cardrunner.card.load import load_card_bytes
from cardrunner.card.schema.card import Card
from cardrunner.errors import EnvironmentFailed
from cardrunner.workloads.command.starting import starter
from cardrunner.workloads.command.trying.place import trial_place
from cardrunner.workspace import Workspace


def card(*data: str) -> Card:
    text = starter(["python3", "train.py"]) + (f"data: {{source: [{', '.join(data)}]}}\n" if data else "")
    return load_card_bytes(text.encode(), file="a.yaml", resolve=registry.workload_spec, sources=()).card


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    team = tmp_path / "team"
    (team / "data").mkdir(parents=True)
    (team / "train.py").write_text("print(1)\n")
    (team / "data" / "a.bin").write_bytes(b"a")
    (team / ".gitignore").write_text("data/\n")
    who = ["-c", "user.email=a@example.org", "-c", "user.name=a"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "A script"]):
        subprocess.run(["git", *words], cwd=team, check=True)
    return team


def test_the_working_tree_is_copied_and_data_is_linked_as_at_a_launch(team: Path) -> None:
    (team / "train.py").write_text("print(2)\n")
    (team / "new.py").write_text("print(3)\n")
    with trial_place(card("data/a.bin"), Workspace(team)) as place:
        assert (place.code / "train.py").read_text() == "print(2)\n"
        assert (place.untracked, (place.code / "new.py").exists()) == (("new.py",), True)
        assert (place.code / "data" / "a.bin").resolve() == team / "data" / "a.bin"
        assert not place.root.is_relative_to(team)
    assert not place.root.exists()
    assert (team / "data" / "a.bin").read_bytes() == b"a"


def test_what_is_neither_tracked_nor_data_is_not_copied(team: Path) -> None:
    with trial_place(card(), Workspace(team)) as place:
        assert not (place.code / "data").exists()


def test_data_that_is_missing_is_told_before_anything_runs(team: Path) -> None:
    with pytest.raises(EnvironmentFailed, match=r"data/b\.bin"), trial_place(card("data/b.bin"), Workspace(team)):
        pass
    assert not list((team.parent / "temporary").iterdir())

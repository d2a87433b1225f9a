"""`cardrunner new`."""

from __future__ import annotations

from pathlib import Path

import pytest

from cardrunner import registry
from cardrunner.card.load import LoadedCard, examine_card, load_card
from cardrunner.card.starting import SCHEMA_FILE
from cardrunner.main import main

ROOT = Path(__file__).parents[2]
LEFT_TO_DO = {
    "command": ["code: has no sha256 yet: the gate opens once `cardrunner code CARD --write` has written it"],
}
"""Warnings about new cards, by workload."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The runcards of an empty workspace, which is the current folder."""
    (tmp_path / "runcards").mkdir()
    (tmp_path / "runcards" / SCHEMA_FILE).write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runcards"


def load(path: Path) -> LoadedCard:
    return load_card(path, registry.workload_spec)


@pytest.mark.parametrize("workload", registry.workload_names())
def test_a_new_card_is_valid_unsigned_and_says_what_to_fill_in(folder: Path, workload: str) -> None:
    assert main(["new", "policy-1", "--workload", workload]) == 0
    path = folder / "policy-1.yaml"
    faults = examine_card(path, registry.workload_spec)
    assert [f"{fault.path}: {fault.message}" for fault in faults] == LEFT_TO_DO.get(workload, [])
    card = load(path).card
    assert (card.name, card.workload) == ("policy-1", workload)
    assert not any(reviewer.signed for reviewer in card.sign_off.reviewers)
    assert not any(item.done for item in card.checklist)
    text = path.read_text()
    assert text.startswith("# yaml-language-server: $schema=card.schema.json\n# Which question")
    assert "#   cardrunner launch runcards/policy-1.yaml" in text
    assert "my-run" not in text
    sections = [line for line in text.splitlines() if line[:1].isalpha() and line.endswith(":")]
    above = {line: text.splitlines()[text.splitlines().index(line) - 1] for line in sections}
    assert all(comment.startswith("#") for comment in above.values()), above


def test_without_a_workload_one_is_chosen_and_the_schema_is_put_beside_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "first"]) == 0
    assert capsys.readouterr().out == "runcards/first.yaml\n"
    assert load(tmp_path / "runcards" / "first.yaml").card.workload == registry.DEFAULT_WORKLOAD
    assert '"$schema"' in (tmp_path / "runcards" / SCHEMA_FILE).read_text()


def test_it_never_writes_over_a_card(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "a"]) == 0
    before = (folder / "a.yaml").read_bytes()
    assert main(["new", "a", "--workload", "toy"]) == 2
    (folder / "b.yaml").symlink_to("nowhere.yaml")
    assert main(["new", "b"]) == 2
    assert "runcards/b.yaml exists; choose another name" in capsys.readouterr().err
    assert (folder / "a.yaml").read_bytes() == before


@pytest.mark.parametrize("name", ["../x", "A b", "", "-x", "x\n", "x/y", "a" * 65])
def test_a_name_is_a_run_name(folder: Path, name: str) -> None:
    if name.startswith("-"):
        with pytest.raises(SystemExit) as caught:
            main(["new", name])
        assert caught.value.code == 2
    else:
        assert main(["new", name]) == 2
    assert [path.name for path in folder.iterdir()] == [SCHEMA_FILE]


def test_an_unknown_workload_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "a", "--workload", "toi"]) == 2
    assert 'did you mean "toy"?' in capsys.readouterr().err


@pytest.mark.parametrize("name", ["quickstart", "real-games", "policy-22k"])
def test_a_copy_has_another_name_no_signatures_no_ticks_and_knows_what_it_is_built_on(folder: Path, name: str) -> None:
    original = ROOT / "runcards" / f"{name}.yaml"
    assert main(["new", "next-one", "--from", str(original)]) == 0
    card, old = load(folder / "next-one.yaml").card, load(original).card
    assert card.name == "next-one"
    assert card.lineage is not None
    assert card.lineage.built_on == (name,)
    assert all(reviewer.signed is None for reviewer in card.sign_off.reviewers)
    assert not any(item.done or item.by or item.at or item.evidence for item in card.checklist)
    assert card.training == old.training
    assert card.after_training.download != old.after_training.download
    text = (folder / "next-one.yaml").read_text()
    assert "cardrunner launch runcards/next-one.yaml" in text
    assert text.count("yaml-language-server") == 1
    comments = {line.strip() for line in original.read_text().splitlines() if line.strip().startswith("# ")}
    assert {line for line in comments if name not in line} <= {line.strip() for line in text.splitlines()}


def test_a_copy_of_a_card_that_extends_one_still_finds_it(folder: Path) -> None:
    main(["new", "base", "--workload", "toy"])
    (folder / "team").mkdir()
    own = "extends: ../base.yaml\nname: other\nchecklist: [{item: x, done: true, by: scav}]\n"
    (folder / "team" / "other.yaml").write_text(f"{own}sign_off: {{reviewers: [{{id: scav}}]}}\n")
    assert main(["new", "third", "--from", "runcards/team/other.yaml"]) == 0
    loaded = load(folder / "third.yaml")
    assert loaded.card.extends == "base.yaml"
    assert loaded.card.lineage is not None
    assert loaded.card.lineage.built_on == ("other",)
    assert not loaded.card.checklist[0].done


def test_a_card_with_faults_is_not_copied(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "a", "--from", str(ROOT / "tests/cards/invalid/typo-in-key.yaml")]) == 2
    assert "unknown key" in capsys.readouterr().err
    assert not (folder / "a.yaml").exists()


def test_comments_of_a_copy_name_its_own_file_and_its_own_folder(folder: Path) -> None:
    main(["new", "first", "--workload", "toy"])
    card = folder / "first.yaml"
    own = "goal: as runs/first and runcards/first.yaml say   # see runs/first/results.md, not runs/first-2\n"
    lines = card.read_text().splitlines(keepends=True)
    start = next(number for number, line in enumerate(lines) if line.startswith("goal:"))
    card.write_text("".join((*lines[:start], own, *lines[start + 2 :])))
    assert main(["new", "second", "--from", str(card)]) == 0
    text = (folder / "second.yaml").read_text()
    assert "# Who has to agree: `cardrunner sign runcards/second.yaml" in text
    assert "goal: as runs/first and runcards/first.yaml say   # see runs/second/results.md, not runs/first-2\n" in text


def test_without_a_terminal_the_printed_sign_line_says_how(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "a", "--workload", "command"]) == 0
    assert "  cardrunner sign runcards/a.yaml --as reviewer   # without a terminal add --yes" in capsys.readouterr().err

"""Cards that extend another one."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any

import pytest

from cardrunner import registry
from cardrunner.card.digest import signed_content
from cardrunner.card.load import LoadedCard, examine_card, load_card, load_card_bytes
from cardrunner.card.markdown import render_card
from cardrunner.card.schema.sign_off import Signature
from cardrunner.commands.card_edits import save_edits
from cardrunner.errors import CardError, IntegrityError
from cardrunner.gate import examine_gate
from cardrunner.gate.checklist import item_entries, tick
from cardrunner.main import main
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.frozen import load_frozen, with_changes
from cardrunner.workspace import Workspace

CARDS = Path(__file__).parents[2] / "cards"
CHILD = """\
extends: base.yaml
card: 1
name: child
author: null
training: {seed: 7}
lineage: null
checklist: []
sign_off: {reviewers: [{id: scav, signed: null}]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workspace with a base card that is signed and ticked."""
    (tmp_path / "runcards").mkdir()
    base = (CARDS / "valid" / "policy-22k-short.yaml").read_bytes()
    (tmp_path / "runcards" / "base.yaml").write_bytes(base)
    return tmp_path / "runcards"


def child(folder: Path, text: str = CHILD, name: str = "child.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def load(path: Path) -> LoadedCard:
    return load_card(path, registry.workload_spec)


def faults(path: Path) -> list[str]:
    return [str(fault) for fault in examine_card(path, registry.workload_spec) if fault.severity == "error"]


def one(path: Path) -> str:
    (fault,) = faults(path)
    return fault


def test_mappings_are_merged_lists_are_replaced_and_null_overrides(folder: Path) -> None:
    base = load(folder / "base.yaml").card
    timing = "timing: {calibration: [1], epoch: 30 min, data_load: 2 min, stated: null, notes: [a]}\n"
    loaded = load(child(folder, CHILD + timing.replace("null", "{training: null, total: null, cost: null}")))
    card = loaded.card
    assert card.name == "child"
    assert card.training.seed == 7
    assert card.training.batch_size == base.training.batch_size
    assert card.lineage is None
    assert card.timing.calibration == (1.0,)
    assert card.timing.notes == ("a",)
    assert [reviewer.id for reviewer in card.sign_off.reviewers] == ["scav"]


def test_what_is_signed_is_the_whole_and_not_how_it_is_split_into_files(folder: Path) -> None:
    loaded = load(child(folder))
    value: dict[str, Any] = loaded.value()
    assert value["extends"] == "base.yaml"
    assert "extends" not in signed_content(loaded.card)
    moved = folder / "deeper"
    again = load(child(moved, CHILD.replace("base.yaml", "../base.yaml")))
    assert again.digest == loaded.digest
    (folder / "base.yaml").write_text((folder / "base.yaml").read_text().replace("\n", "\n# a comment\n", 1))
    assert load(folder / "child.yaml").digest == loaded.digest


def test_a_change_in_the_base_closes_the_gate_of_the_card_that_extends_it(folder: Path) -> None:
    path = child(folder)
    loaded = load(path)
    workspace = Workspace.around(path)
    os.chdir(workspace.root)
    assert main(["sign", str(path), "--as", "scav", "--yes", "--quiet"]) == 0
    now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=5)
    assert examine_gate(load(path), workspace, now=now).open
    base = folder / "base.yaml"
    base.write_text(base.read_text().replace("weight_decay: 1e-5", "weight_decay: 1e-4"))
    changed = load(path)
    assert changed.digest != loaded.digest
    assert not examine_gate(changed, workspace, now=now).open


def test_signatures_and_ticks_are_written_to_the_card_itself(folder: Path) -> None:
    text = CHILD.replace("checklist: []", "checklist:\n  - item: Look at it")
    path, before = child(folder, text), (folder / "base.yaml").read_bytes()
    loaded = load(path)
    ticked = save_edits(loaded, tick(item_entries(loaded.card)[0], by="mattie", at="2026-03-01", evidence=None))
    assert ticked.card.checklist[0].done
    assert ticked.bases == loaded.bases
    assert ticked.digest == loaded.digest
    assert (folder / "base.yaml").read_bytes() == before
    assert load(path).card == ticked.card


@pytest.mark.parametrize("key", ["name", "author", "checklist", "sign_off"])
def test_what_belongs_to_one_card_is_not_inherited(folder: Path, key: str) -> None:
    base = folder / "base.yaml"
    base.write_text(base.read_text().replace("author: null", "author: somebody"))
    path = child(folder, "".join(line for line in CHILD.splitlines(keepends=True) if not line.startswith(key)))
    said = one(path)
    assert said.startswith(f"{path}:1:10: {key}: is not inherited from {base}")


def test_an_inherited_signature_counts_for_nothing(folder: Path) -> None:
    base = folder / "base.yaml"
    text = base.read_text()
    assert "{id: scav, name: Scav, signed: null}" in text
    signature = f'{{digest: "{"0" * 64}", verdict: approve, at: "2026-01-01T00:00:00Z"}}'
    base.write_text(text.replace("signed: null", f"signed: {signature}"))
    assert isinstance(load(base).card.sign_off.reviewers[0].signed, Signature)
    assert load(child(folder)).card.sign_off.reviewers[0].signed is None


def test_faults_point_into_the_file_they_came_from(folder: Path) -> None:
    base = folder / "base.yaml"
    base.write_text(base.read_text().replace("batch_size: 1024", "batch_size: 0"))
    line = base.read_text().splitlines().index("  batch_size: 0") + 1
    path = child(folder, CHILD.replace("seed: 7", "epoch: 7"))
    assert faults(path) == [
        f'{path}:5:12: training.epoch: unknown key; did you mean "epochs"?',
        f"{base}:{line}:15: training.batch_size: must be at least 1",
    ]


def test_a_key_that_no_file_has_is_missing_from_the_card_itself(folder: Path) -> None:
    (folder / "base.yaml").write_text("card: 1\n")
    path = child(folder)
    assert f"{path}:1:1: goal: is missing" in faults(path)
    whole = CARDS / "valid" / "policy-22k-short.yaml"
    (folder / "base.yaml").write_text(whole.read_text().replace("  epochs: 5\n", ""))
    assert f"{path}:5:1: training.epochs: is missing" in faults(path)


def test_syntax_faults_of_the_base_are_told(folder: Path) -> None:
    (folder / "base.yaml").write_text("a: &x 1\n")
    assert one(child(folder)).startswith(f"{folder / 'base.yaml'}:1:4: a: anchors are not used")


def test_a_base_need_not_be_a_whole_card(folder: Path) -> None:
    middle = CHILD.replace("base.yaml", "middle.yaml").replace("training: {seed: 7}\n", "")
    child(folder, "extends: base.yaml\ntraining: {seed: 9}\n", "middle.yaml")
    loaded = load(child(folder, middle))
    assert loaded.card.training.seed == 9
    assert [Path(base.file).name for base in loaded.bases] == ["middle.yaml", "base.yaml"]


@pytest.mark.parametrize(
    "written", ["/etc/passwd", "../../out.yaml", "~/x.yaml", "C:/x.yaml", "..\\x.yaml", "''", "' '"]
)
def test_a_path_that_leaves_the_workspace_is_refused(folder: Path, written: str) -> None:
    path = child(folder, CHILD.replace("base.yaml", written, 1))
    assert f"{path}:1:10: extends: " in one(path)
    assert "leaves the workspace" in one(path) or "a path relative to this card" in one(path)


@pytest.mark.parametrize("written", ["[base.yaml]", "1", "{a: b}", "true"])
def test_only_text_names_a_card(folder: Path, written: str) -> None:
    assert "extends: must be text" in one(child(folder, CHILD.replace("base.yaml", written, 1)))


def test_null_extends_nothing(folder: Path) -> None:
    text = (folder / "base.yaml").read_text() + "extends: null\n"
    assert load(child(folder, text)).digest == load(folder / "base.yaml").digest


def test_a_path_within_the_workspace_may_go_up_and_down(folder: Path) -> None:
    path = child(folder / "team", CHILD.replace("base.yaml", "../../runcards/./base.yaml"))
    assert faults(path) == []


def test_a_link_out_of_the_workspace_is_refused_and_one_inside_is_followed(folder: Path, tmp_path: Path) -> None:
    (folder / "near.yaml").symlink_to("base.yaml")
    assert faults(child(folder, CHILD.replace("base.yaml", "near.yaml"))) == []
    outside = tmp_path.parent / f"{tmp_path.name}-outside.yaml"
    outside.write_bytes((folder / "base.yaml").read_bytes())
    (folder / "far.yaml").symlink_to(outside)
    assert "is a link that leads out of the workspace" in one(child(folder, CHILD.replace("base.yaml", "far.yaml")))
    (folder / "away").symlink_to(tmp_path.parent)
    away = CHILD.replace("base.yaml", f"away/{outside.name}")
    assert "out of the workspace" in one(child(folder, away)) or "leaves the workspace" in one(child(folder, away))


def test_a_loop_is_refused(folder: Path) -> None:
    (folder / "base.yaml").write_text("extends: child.yaml\n")
    assert f"{folder / 'base.yaml'}:1:10: extends: " in one(child(folder))
    assert "cannot extend itself" in one(folder / "child.yaml")
    assert "cannot extend itself" in one(child(folder, CHILD.replace("base.yaml", "./child.yaml")))
    (folder / "again.yaml").symlink_to("child.yaml")
    assert "cannot extend itself" in one(child(folder, CHILD.replace("base.yaml", "again.yaml")))


def test_eight_cards_may_extend_each_other_and_nine_may_not(folder: Path) -> None:
    for number in range(2, 12):
        child(folder, f"extends: c{number - 1}.yaml\n" if number > 2 else "extends: base.yaml\n", f"c{number}.yaml")
    assert faults(child(folder, CHILD.replace("base.yaml", "c8.yaml"))) == []
    assert "more than 8 cards extend each other" in one(child(folder, CHILD.replace("base.yaml", "c9.yaml")))


def test_all_files_together_are_limited(folder: Path) -> None:
    filler = "# " + "x" * 200 * 1024 + "\n"
    (folder / "base.yaml").write_text((folder / "base.yaml").read_text() + filler)
    assert faults(child(folder)) == []
    assert "larger than 256 KB together" in one(child(folder, CHILD + filler))


def test_a_base_that_is_no_file_is_told_at_once(folder: Path) -> None:
    os.mkfifo(folder / "pipe.yaml")
    (folder / "folder.yaml").mkdir()
    for name, said in (("pipe", "not a regular file"), ("folder", "not a regular file"), ("none", "no such file")):
        assert f'extends: "{name}.yaml": ' in one(child(folder, CHILD.replace("base.yaml", f"{name}.yaml")))
        assert said in one(folder / "child.yaml")


def test_bytes_at_hand_are_read_without_the_workspace(folder: Path) -> None:
    loaded = load(child(folder))
    again = load_card_bytes(loaded.data, file="child.yaml", resolve=registry.workload_spec, sources=loaded.sources)
    assert again.digest == loaded.digest
    with pytest.raises(CardError, match="was not kept with this card"):
        load_card_bytes(loaded.data, file="child.yaml", resolve=registry.workload_spec)


def test_the_page_shows_the_whole_and_names_the_base(folder: Path) -> None:
    page = render_card(load(child(folder)))
    assert "**Extends**: base.yaml" in page
    assert "| Batch size | 1024 |" in page


def test_a_run_keeps_every_file_and_checks_them_again(toy_run_of_two_files: RunFolder) -> None:
    folder = toy_run_of_two_files
    (source,) = folder.sources.iterdir()
    assert source.name == "1-base.yaml"
    loaded = load_frozen(folder, registry.workload_spec)
    assert loaded.card.training.epochs == 5
    assert with_changes(loaded, [{"training.batch_size": 16}]).training.batch_size == 16
    source.write_text(source.read_text().replace('"learning_rate": 0.01', '"learning_rate": 0.02'))
    with pytest.raises(IntegrityError, match="was changed after the launch"):
        load_frozen(folder, registry.workload_spec)
    source.unlink()
    with pytest.raises(IntegrityError, match="was not kept with this card"):
        load_frozen(folder, registry.workload_spec)


@pytest.fixture
def toy_run_of_two_files(toy_card_text: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A finished run of a card that extends another."""
    runcards = tmp_path / "runcards"
    child(runcards, toy_card_text(), "base.yaml")
    own = "extends: base.yaml\nname: child\ntraining: {epochs: 5}\n"
    path = child(runcards, f"{own}sign_off: {{policy: boxes, reviewers: [{{id: mattie, signed: true}}]}}\n")
    monkeypatch.chdir(tmp_path)
    assert main(["launch", str(path), "--quiet"]) == 0
    return RunFolder(tmp_path / "runs" / "child")

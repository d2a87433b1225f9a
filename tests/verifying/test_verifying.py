"""Honest runs have no difference, and what a run folder cannot tell is said."""

from __future__ import annotations

import hashlib
import json
import tarfile
from functools import partial
from pathlib import Path

import pytest

from cardrunner import main as command, registry
from cardrunner.launching.launch import LaunchOptions, launch
from cardrunner.runs.files import locked
from cardrunner.runs.folder import RunFolder
from cardrunner.tracking.progress import NullProgress
from cardrunner.verifying import CHECKS, Answer, Evidence, evidence
from cardrunner.workspace import Workspace
from tests.conftest import MakeCard
from tests.gate.conftest import pockets as pockets, ssh_keygen as ssh_keygen
from tests.verifying.conftest import KEPT, Kept, differing, edit_lines, looked_at

ROOT = Path(__file__).parents[2]
with tarfile.open(KEPT) as _archive:
    RUNS = sorted({name.split("/")[2] for name in _archive.getnames() if name.startswith("workspace/runs/")})


def answer(name: str, folder: RunFolder, workspace: Workspace | None = None, *, deep: bool = False) -> Answer:
    """One check of a run."""
    stages = partial(registry.stage_names, "worker")
    run = Evidence(folder, registry.workload_spec, stages, workspace=workspace, deep=deep)
    return next(check for check in CHECKS if check.name == name).answer(run)


@pytest.mark.parametrize("run", RUNS)
def test_runs_of_an_earlier_version_have_no_difference(run: str, kept_workspace: Path) -> None:
    folder = RunFolder(kept_workspace / "runs" / run)
    assert differing(folder) == {}
    assert not any(found.differences for found in looked_at(folder, alone=True))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"training.toy.raise_at": 12},
        {"training.checkpoint_every": "5 steps", "training.keep": "all", "training.keep_best": ["val_metric/accuracy"]},
        {"kill_thresholds": [{"metric": "val_loss", "above": 0.5, "action": "warn"}]},
        {"kill_thresholds": [{"metric": "loss/total", "above": 0.9, "action": "stop"}]},
        {"kill_thresholds": [{"metric": "wall_time", "above": "1 s", "action": "stop"}], "infra.price": "$3/h"},
        {"training.log_every": "1 epoch", "extends": None},
    ],
    ids=lambda changes: next(iter(changes), "plain"),
)
def test_a_run_of_this_version_has_no_difference(changes: dict[str, object], make_card: MakeCard) -> None:
    card = make_card({key: value for key, value in changes.items() if value is not None})
    folder = launch(card, LaunchOptions(), progress=NullProgress()).folder
    assert differing(folder) == {}
    if "training.toy.raise_at" in changes:
        command.main(["resume", folder.name, "--runs", str(folder.root.parent), "--quiet"])
        assert differing(folder) == {}


def test_a_crash_at_any_line_of_the_ledger_is_no_difference(kept: Kept) -> None:
    """A worker that was killed leaves the beginning of a ledger; files that are written later are not there."""
    folder = kept("completed")
    for path in (folder.manifest, folder.record("train"), folder.record("checkpoint"), folder.record("download")):
        path.unlink()
    for path in (folder.best, folder.latest, folder.results, *folder.root.glob("best-*.pt")):
        path.unlink()
    folder.history.unlink()
    lines = folder.ledger.read_bytes().splitlines(keepends=True)
    first_save = next(number for number, line in enumerate(lines) if b"checkpoint_saved" in line)
    for number in range(1, first_save):
        folder.ledger.write_bytes(b"".join(lines[:number]) + lines[number][:30])
        if b"data_opened" not in b"".join(lines[:number]):
            folder.record("load").unlink(missing_ok=True)
        assert differing(folder) == {}, lines[number]


def test_a_torn_last_line_is_named_and_is_no_difference(kept: Kept) -> None:
    folder = kept("killed")
    with folder.ledger.open("ab") as stream:
        stream.write(b'{"at": "2026-03-02T10:4')
    found = answer("every line is an event", folder)
    assert found.word == "ok"
    assert "its end is missing, as a crash or a full disk leaves it" in str(found.damages[0])


def test_alone_it_says_what_only_the_workspace_could_tell(kept: Kept) -> None:
    found = [one for one in looked_at(kept("signed"), alone=True) if one.check.workspace]
    assert found
    for one in found:
        assert one.unchecked == ("the run folder is looked at alone; only its workspace can tell",)


def test_a_block_since_the_launch_is_a_note_and_no_difference(kept: Kept) -> None:
    found = answer("rules and blocks of today", folder := kept("blocked-since"), Workspace(folder.root.parent.parent))
    assert found.word == "ok"
    assert "has blocked this run on 2026-03-02T10:40:09Z" in found.notices[0]


def test_a_floor_that_was_raised_since_the_launch_is_a_note(kept: Kept) -> None:
    folder = kept("completed")
    workspace = Workspace(folder.root.parent.parent)
    (workspace.root / "cardrunner.yaml").write_text("sign_off: {policy: ssh}\n")
    found = answer("rules and blocks of today", folder, workspace)
    assert found.word == "ok"
    assert "sign_off.policy: is boxes, and cardrunner.yaml asks for ssh" in found.notices[0]


def test_a_copy_that_was_replaced_or_taken_away_is_a_note(kept: Kept) -> None:
    folder = kept("retried")
    workspace = Workspace(folder.root.parent.parent)
    check = "the downloaded copy is what was downloaded"
    assert answer(check, folder, workspace).notices == ()
    (workspace.root / "out" / "retried.pt").write_bytes(b"another run's")
    assert "is not what was downloaded any more" in answer(check, folder, workspace).notices[0]
    (workspace.root / "out" / "retried.pt").unlink()
    found = answer(check, folder, workspace)
    assert (found.word, found.notices) == ("ok", ("out/retried.pt, the downloaded copy, is not there any more",))


def test_an_approval_counts_only_by_the_keys_of_the_workspace(
    make_card: MakeCard, pockets: dict[str, Path], tmp_path: Path
) -> None:
    reviewers = [{"id": "mattie", "signed": None}]
    card = make_card({"author": "ada", "sign_off": {"policy": "ssh", "reviewers": reviewers}})
    listed = tmp_path / "allowed_signers"
    listed.write_text(f'mattie namespaces="cardrunner" {pockets["mattie"].with_suffix(".pub").read_text()}')
    assert command.main(["sign", str(card), "--as", "mattie", "--key", str(pockets["mattie"]), "--yes"]) == 0
    folder = launch(card, LaunchOptions(), progress=NullProgress()).folder
    assert differing(folder) == {}
    listed.write_text(f'mattie namespaces="cardrunner" {pockets["ada"].with_suffix(".pub").read_text()}')
    check = "its approvals count by the workspace's keys of today"
    assert list(differing(folder)) == [check]
    assert "reviewer mattie" in differing(folder)[check][0]
    listed.write_text((folder.trust / "allowed_signers").read_text())
    kept = folder.trust / "allowed_signers"
    kept.write_text(kept.read_text().replace("mattie", "someone-else"))
    assert "its approvals count by the files of the launch" in differing(folder)


def test_a_pinned_file_is_read_again_whatever_a_memo_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CARDRUNNER_DATA", raising=False)
    card = (ROOT / "runcards" / "real-games.yaml").read_text()
    digest = hashlib.sha256(b"games").hexdigest()
    folder = RunFolder(tmp_path / "runs" / "real-games")
    folder.root.mkdir(parents=True)
    folder.card_yaml.write_text(card.replace("\ndata:\n", f"\ndata:\n  sha256: {digest}\n", 1))
    data, check = tmp_path / "encoded-real-32.pt", "pinned data files have the pinned sha256 now"
    assert answer(check, folder, Workspace(tmp_path)).unchecked == ("encoded-real-32.pt is not here",)
    data.write_bytes(b"games")
    assert answer(check, folder, Workspace(tmp_path)).word == "ok"
    data.write_bytes(b"gamez")
    (found,) = answer(check, folder, Workspace(tmp_path)).differences
    assert str(found).endswith(f"now, and the card pins {digest}")


def test_large_files_are_named_and_read_with_deep(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, check = kept("retried"), "checkpoints have the size and sha256 of the manifest"
    monkeypatch.setattr("cardrunner.verifying.files.READ_AT_MOST", 20_000)
    data = bytearray(folder.best.read_bytes())
    data[5000] ^= 1
    entry = folder.checkpoints / "state-e0002-s000000016.pt"
    entry.write_bytes(entry.read_bytes()[:-1] + b"x")
    quick = answer(check, folder)
    assert quick.word == "not checked"
    assert "use --deep" in quick.unchecked[0]
    assert answer(check, folder, deep=True).word == "differs"


def test_a_live_run_is_not_compared_file_by_file(kept: Kept) -> None:
    folder = kept("completed")
    (folder.checkpoints / "state-e0003-s000000024.pt").unlink(missing_ok=True)
    with locked(folder.lease):
        found = answer("checkpoints have the size and sha256 of the manifest", folder)
    assert found.unchecked == ("the run is live; look again when it has ended",)


def test_a_file_that_cannot_be_read_leaves_only_its_own_checks_undone(kept: Kept) -> None:
    folder = kept("completed")
    folder.launch.write_text("{")
    found = {one.check.name: one for one in looked_at(folder)}
    assert found["every record can be read"].word == "differs"
    assert found["launch record, plan and ledger tell of the same launch"].word == "not checked"
    assert found["attempts are numbered 1, 2, 3"].word == "ok"


def test_many_differences_of_one_kind_are_counted(kept: Kept) -> None:
    folder = kept("completed")
    edit_lines(folder.history, lambda rows: rows.extend(rows * 40))
    (found,) = (one for one in looked_at(folder) if one.check.name == "no row is there twice")
    assert len(found.differences) == 21
    assert str(found.differences[-1]).endswith("more differences of this kind")


def test_an_event_of_a_later_version_is_named_and_is_no_difference(kept: Kept) -> None:
    folder = kept("completed")
    with folder.ledger.open("a") as stream:
        stream.write(json.dumps({"at": "2026-03-02T11:00:00.000Z", "event": "archived", "version": 3}) + "\n")
    found = answer("every line is an event", folder)
    assert found.word == "not checked"
    assert "does not know the event 'archived', version 3" in found.unchecked[0]


def test_without_an_option_a_gigabyte_is_read() -> None:
    assert evidence.READ_AT_MOST == 1 << 30

"""The gate around a run: checks at the launch, what the folder keeps, and what the worker holds against it."""

from __future__ import annotations

import datetime
import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cardrunner import errors, main as command, registry
from cardrunner.card.load import load_card
from cardrunner.common.clock import timestamp
from cardrunner.launching import judgement, launch as launching
from cardrunner.launching.finish import RunEnd
from cardrunner.launching.judgement import check_launched
from cardrunner.launching.launch import LaunchOptions, admit, launch, prepare, resume
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.jsonl import append_line
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.records import ChecksRecord, LaunchRecord, read_record
from cardrunner.tracking.progress import NullProgress
from tests.ledger_lines import recorded

MakeCard = Callable[..., Path]
ALL_DONE = {"done": True, "by": "ada", "at": "2026-02-27T09:00:00Z"}
FAILS_ONCE = {"training.toy.raise_at": 3}


def run(card: Path, **options: object) -> RunEnd:
    return launch(card, LaunchOptions(**options), progress=NullProgress())  # type: ignore[arg-type]


def go_on(folder: RunFolder) -> RunEnd:
    return resume(folder, acknowledge=None, progress=NullProgress())


def with_check(make_card: MakeCard, check: object, **changes: object) -> Path:
    return make_card({"checklist": [{"item": "it works", "check": check, **ALL_DONE}], **changes})


@pytest.fixture
def ssh_card(make_card: MakeCard, pockets: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A card in a workspace that asks for keys, signed with mattie's by the command itself."""
    reviewers = [{"id": "mattie", "signed": None}]
    card = make_card({"author": "ada", "sign_off": {"policy": "ssh", "reviewers": reviewers}, **FAILS_ONCE})
    lines = [
        f'{name} namespaces="cardrunner" {pockets[name].with_suffix(".pub").read_text()}' for name in ("mattie", "ada")
    ]
    (tmp_path / "allowed_signers").write_text("".join(lines))
    (tmp_path / "cardrunner.yaml").write_text("sign_off: {policy: ssh}\n")
    assert sign(card, pockets["mattie"]) == 0, capsys.readouterr()
    capsys.readouterr()
    return card


def sign(card: Path, key: Path, *words: str) -> int:
    return command.main(["sign", str(card), "--as", "mattie", "--key", str(key), "--yes", *words])


# ---------------------------------------------------------------- checks at the launch


def test_a_launch_runs_every_check_and_keeps_what_came_of_it(make_card: MakeCard) -> None:
    card = with_check(make_card, ["python", "-c", "print('still fine')"])
    before = card.read_bytes()
    folder = run(card).folder
    assert card.read_bytes() == before, "a launch edits no card"
    (row,) = read_record(folder.checks, ChecksRecord).rows
    assert (row.item, row.ok, row.output) == (1, True, "still fine")
    assert row.ending.startswith("exit code 0 after ")
    page = folder.results.read_text()
    assert "Checked at the launch" in page
    assert "still fine" in page


def test_a_check_that_fails_at_the_launch_closes_the_gate_and_leaves_nothing(make_card: MakeCard) -> None:
    card = with_check(make_card, ["cat", "ready"])
    before = card.read_bytes()
    with pytest.raises(
        errors.GateClosed, match=r"checklist 1 \(it works\): its check failed at the launch: exit code 1"
    ):
        run(card)
    assert card.read_bytes() == before
    assert not (card.parent.parent / "runs").exists()
    (card.parent.parent / "ready").touch()
    assert run(card).exit_code == 0


def test_nothing_is_executed_before_the_gate_is_open_nor_by_what_only_looks(
    make_card: MakeCard, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = ["touch", "executed"]
    card = with_check(make_card, marker, **{"sign_off.reviewers": [{"id": "ada", "signed": False}]})
    for words in (["validate"], ["plan"], ["render"], ["digest"], ["launch", "--dry-run"], ["launch"]):
        command.main([words[0], str(card), *words[1:]])
    card = with_check(make_card, marker)
    for words in (["validate"], ["plan"], ["launch", "--dry-run"]):
        assert command.main([words[0], str(card), *words[1:]]) == 0, capsys.readouterr()
    assert not (card.parent.parent / "executed").exists()
    assert run(card).exit_code == 0
    assert (card.parent.parent / "executed").exists()
    capsys.readouterr()


# ---------------------------------------------------------------- what was checked is what runs


def test_a_card_swapped_between_the_check_and_the_run_does_not_run(make_card: MakeCard) -> None:
    """The check itself rewrites the card, as an attacker would who waits for the gate to open."""
    code = (
        "import pathlib; p = pathlib.Path('runcards/toy-run.yaml'); p.write_text(p.read_text().replace('0.01', '9.0'))"
    )
    card = with_check(make_card, ["python", "-c", code])
    signed, before = load_card(card, registry.workload_spec).digest, card.read_bytes()
    folder = run(card).folder
    assert card.read_bytes() != before
    assert folder.card_yaml.read_bytes() == before
    assert read_record(folder.launch, LaunchRecord).card_digest == signed
    assert recorded(Ledger(folder.ledger), "created")[0]["card_digest"] == signed


def test_a_link_turned_to_another_card_after_the_check_changes_nothing(make_card: MakeCard, tmp_path: Path) -> None:
    """The card is a link, which its own check turns to a card with another content that nobody signed."""
    code = "import os; os.replace('runcards/other.yaml', 'runcards/linked.yaml')"
    card, link = with_check(make_card, ["python", "-c", code]), tmp_path / "runcards" / "linked.yaml"
    link.symlink_to(card.name)
    before = card.read_bytes()
    (tmp_path / "runcards" / "other.yaml").write_bytes(before.replace(b"0.01", b"9.0"))
    signed = load_card(card, registry.workload_spec).digest
    folder = run(link).folder
    assert link.read_bytes() != before
    assert folder.card_yaml.read_bytes() == before
    assert json.loads(folder.card_json.read_text())["training"]["learning_rate"] == 0.01
    assert {event["card_digest"] for event in recorded(Ledger(folder.ledger), "created")} == {signed}


def test_a_base_swapped_between_the_check_and_the_run_is_not_the_one_that_runs(
    make_card: MakeCard, tmp_path: Path
) -> None:
    code = (
        "import pathlib; p = pathlib.Path('runcards/toy-run.yaml'); p.write_text(p.read_text().replace('0.01', '9.0'))"
    )
    base = make_card()
    before = base.read_bytes()
    child = tmp_path / "runcards" / "child.yaml"
    child.write_text(
        "extends: toy-run.yaml\nname: child\nauthor: null\n"
        f"checklist: [{{item: it works, check: [python, -c, {json.dumps(code)}], done: true}}]\n"
        "sign_off: {policy: boxes, reviewers: [{id: mattie, signed: true}]}\n"
    )
    signed = load_card(child, registry.workload_spec).digest
    folder = run(child).folder
    assert base.read_bytes() != before
    assert [path.read_bytes() for path in folder.sources.iterdir()] == [before]
    assert json.loads(folder.card_json.read_text())["training"]["learning_rate"] == 0.01
    assert check_launched(folder) == signed


def test_keys_swapped_between_the_check_and_the_run_are_not_the_ones_that_count(
    ssh_card: Path, pockets: dict[str, Path], tmp_path: Path
) -> None:
    planned = prepare(ssh_card, LaunchOptions())
    trusted = (tmp_path / "allowed_signers").read_bytes()
    (tmp_path / "allowed_signers").write_text(
        '* namespaces="cardrunner" ' + pockets["eve"].with_suffix(".pub").read_text()
    )
    assert planned.gate.trust_files["allowed_signers"] == trusted


# ---------------------------------------------------------------- what the folder keeps, and the worker checks again


def test_a_run_keeps_the_statement_the_block_and_the_rules_of_its_launch(ssh_card: Path, tmp_path: Path) -> None:
    folder = run(ssh_card).folder
    (row,) = json.loads(folder.approvals.read_text())
    assert row["id"] == "mattie"
    assert row["statement"].startswith("cardrunner sign-off 1\0{")
    assert row["ssh"].startswith("-----BEGIN SSH SIGNATURE-----")
    assert row["fingerprint"].startswith("SHA256:")
    for name in ("allowed_signers", "cardrunner.yaml"):
        assert (folder.trust / name).read_bytes() == (tmp_path / name).read_bytes()
    assert row["fingerprint"] in folder.results.read_text()


def test_the_worker_verifies_again_with_the_keys_of_today(
    ssh_card: Path, pockets: dict[str, Path], tmp_path: Path
) -> None:
    folder, today = run(ssh_card).folder, tmp_path / "allowed_signers"
    check_launched(folder)
    kept = today.read_text()
    today.write_text(kept.replace(pockets["mattie"].with_suffix(".pub").read_text().split()[1], "AAAA"))
    with pytest.raises(errors.GateClosed, match="no signature can be verified: allowed_signers:1:1"):
        check_launched(folder)
    today.write_text("".join(kept.splitlines(keepends=True)[1:]))
    with pytest.raises(errors.GateClosed, match="was made with a key that is not in allowed_signers"):
        check_launched(folder)
    today.unlink()
    with pytest.raises(errors.GateClosed, match="there is no such file"):
        check_launched(folder)


def test_a_resume_goes_on_after_the_key_has_expired(
    ssh_card: Path, pockets: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run(ssh_card).folder
    record = read_record(folder.launch, LaunchRecord)
    launched = datetime.datetime.fromisoformat(record.created)
    until = f"{launched + datetime.timedelta(seconds=2):%Y%m%d%H%M%S}Z"
    kept = tmp_path / "allowed_signers"
    kept.write_text(kept.read_text().replace('"cardrunner"', f'"cardrunner",valid-before="{until}"', 1))
    for module in (launching, judgement):
        monkeypatch.setattr(module, "now", lambda: launched + datetime.timedelta(days=400))
    assert go_on(folder).exit_code == 0


def test_a_resume_refuses_when_the_key_was_revoked_since(
    ssh_card: Path, pockets: dict[str, Path], tmp_path: Path
) -> None:
    folder = run(ssh_card).folder
    (tmp_path / "revoked_keys").write_text(pockets["mattie"].with_suffix(".pub").read_text())
    with pytest.raises(
        errors.GateClosed, match="revoked_keys:1:1: the key that mattie approved this run with has been"
    ):
        go_on(folder)
    (tmp_path / "revoked_keys").unlink()
    assert go_on(folder).exit_code == 0


def test_a_resume_refuses_when_a_reviewer_has_blocked_since_and_goes_on_when_they_lift_it(
    ssh_card: Path, pockets: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(ssh_card).folder
    approved = ssh_card.read_text()
    assert sign(ssh_card, pockets["mattie"], "--verdict", "block", "--note", "stop") == 0
    with pytest.raises(errors.GateClosed, match="reviewer mattie: has blocked this"):
        go_on(folder)
    ssh_card.write_text(approved)
    with pytest.raises(errors.GateClosed, match=r"has blocked this run on .*only mattie can lift it"):
        go_on(folder)
    assert sign(ssh_card, pockets["mattie"]) == 0
    assert go_on(folder).exit_code == 0
    capsys.readouterr()


def test_a_copy_of_a_run_is_not_another_run(make_card: MakeCard) -> None:
    folder = run(make_card(FAILS_ONCE)).folder
    copy = folder.root.with_name("second-run")
    folder.root.rename(copy)
    with pytest.raises(errors.IntegrityError, match="is a copy of the run toy-run; an approval is for one run"):
        go_on(RunFolder(copy))


# ---------------------------------------------------------------- the clock


def test_a_clock_earlier_than_the_ledger_closes_the_gate(make_card: MakeCard, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run(make_card(FAILS_ONCE)).folder
    other = make_card(name="other-run")
    earlier = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=3)
    monkeypatch.setattr(launching, "now", lambda: earlier)
    sentence = f"clock: it is {timestamp(earlier)} here, earlier than the last event of run toy-run of 20"
    with pytest.raises(errors.GateClosed) as launched:
        run(other)
    with pytest.raises(errors.GateClosed) as resumed:
        go_on(folder)
    assert sentence in str(launched.value)
    assert sentence in str(resumed.value)
    monkeypatch.undo()
    assert run(other).exit_code == 0


@pytest.mark.parametrize("year", [2036, 8026])
def test_a_wrong_time_in_the_ledger_of_another_run_closes_no_gate(
    make_card: MakeCard, tmp_path: Path, year: int
) -> None:
    failed = run(make_card(FAILS_ONCE)).folder
    old = tmp_path / "runs" / "old" / "ledger.jsonl"
    old.parent.mkdir()
    old.write_text(f'{{"at": "{year}-01-01T00:00:00.000Z", "event": "created"}}\n')
    os.utime(old, (4e9, 4e9))

    assert run(make_card(name="other-run")).exit_code == 0
    assert go_on(failed).exit_code == 0


def test_a_clock_that_stepped_back_closes_the_gate_for_the_run_that_recorded_it(make_card: MakeCard) -> None:
    folder = run(make_card(FAILS_ONCE)).folder
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    append_line(folder.ledger, {"at": timestamp(later), "event": "acknowledged", "text": "x"}, durable=False)
    with pytest.raises(errors.GateClosed, match=r"clock: .* earlier than the last event of run toy-run"):
        go_on(folder)


# ---------------------------------------------------------------- rules at the launch


def test_the_workspaces_floor_stops_a_launch(make_card: MakeCard, tmp_path: Path) -> None:
    card = make_card()
    (tmp_path / "cardrunner.yaml").write_text("sign_off: {policy: digest}\n")
    with pytest.raises(errors.GateClosed, match=r"sign_off\.policy: is boxes, and cardrunner\.yaml asks for digest"):
        run(card)
    assert not (tmp_path / "runs").exists()
    (tmp_path / "cardrunner.yaml").write_text("sign_off: {policy: boxes}\n")
    assert admit(prepare(card, LaunchOptions()), LaunchOptions()).name == "toy-run"


def test_a_stranger_is_refused_by_the_command_with_3(
    ssh_card: Path, pockets: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    before = ssh_card.read_bytes()
    assert sign(ssh_card, pockets["eve"]) == 3
    assert "not in allowed_signers" in capsys.readouterr().err
    assert sign(ssh_card, pockets["ada"]) == 3
    assert "was made with the key of ada, not of mattie" in capsys.readouterr().err
    assert ssh_card.read_bytes() == before


def test_a_command_in_a_finding_can_be_pasted(make_card: MakeCard) -> None:
    card = with_check(make_card, [sys.executable, "-c", "raise SystemExit(1)"])
    with pytest.raises(errors.GateClosed) as caught:
        run(card)
    words = shlex.split(str(caught.value).partition("run: cardrunner ")[2])
    assert words == ["check", str(card), "1"]

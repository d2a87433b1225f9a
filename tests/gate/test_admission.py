"""What was admitted is kept with the workspace, and no run folder, variable or place talks its way around it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cardrunner import errors, main as command
from cardrunner.gate.admission import launched_path, read_launched
from cardrunner.launching.launch import LaunchOptions, launch, resume
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import LaunchRecord, read_record
from cardrunner.tracking.progress import NullProgress
from cardrunner.workspace import Workspace
from tests.forgeries.rewritten import as_older, reseal

MakeCard = Callable[..., Path]
Capture = pytest.CaptureFixture[str]
FAILS_ONCE = {"training.toy.raise_at": 3}
ONCE = {"repeat": False}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def ssh_card(make_card: MakeCard, pockets: dict[str, Path], tmp_path: Path, capsys: Capture) -> Path:
    """A card for one run in a workspace that asks for keys, signed with mattie's."""
    card = make_card(unsigned_by_key(**FAILS_ONCE))
    list_keys(tmp_path, pockets, "mattie", "ada")
    (tmp_path / "cardrunner.yaml").write_text("sign_off: {policy: ssh}\n")
    sign(card, pockets["mattie"], capsys)
    return card


def unsigned_by_key(**changes: Any) -> dict[str, Any]:
    reviewers = [{"id": "mattie", "signed": None}]
    return {"author": "ada", "sign_off": {"policy": "ssh", "reviewers": reviewers}, **ONCE, **changes}


def list_keys(folder: Path, pockets: dict[str, Path], *people: str, **lines: str) -> None:
    public = {name: pockets[name].with_suffix(".pub").read_text() for name in (*people, *lines.values())}
    listed = [f'{name} namespaces="cardrunner" {public[name]}' for name in people]
    listed += [f'{name} namespaces="cardrunner" {public[key]}' for name, key in lines.items()]
    (folder / "allowed_signers").write_text("".join(listed))


def sign(card: Path, key: Path, capsys: Capture, *words: str) -> None:
    assert command.main(["sign", str(card), "--as", "mattie", "--key", str(key), "--yes", *words]) == 0, (
        capsys.readouterr()
    )
    capsys.readouterr()


def run(card: Path, **options: Any) -> RunFolder:
    return launch(card, LaunchOptions(**options), progress=NullProgress()).folder


def go_on(folder: RunFolder) -> int:
    return resume(RunFolder(folder.root), acknowledge=None, progress=NullProgress()).exit_code


def admitted(workspace: Path, name: str = "toy-run") -> dict[str, Any]:
    content: dict[str, Any] = json.loads(launched_path(Workspace(workspace).records, name).read_text())
    return content["admissions"][-1]  # type: ignore[no-any-return]


def edit_launch(folder: RunFolder, **changes: Any) -> None:
    """Change the launch record as somebody does who recomputes the checksums, if there are any."""
    record = json.loads(folder.launch.read_text())
    folder.launch.write_text(json.dumps({**record, **changes}))
    if "record_sha256" in record:
        reseal(folder.root)


def as_earlier(folder: RunFolder, workspace: Path) -> None:
    """Make of it a folder of an earlier version, which has no record."""
    as_older(folder.root)
    launched_path(Workspace(workspace).records, folder.name).unlink(missing_ok=True)


def forged(card: Path, pockets: dict[str, Path], tmp_path: Path, capsys: Capture, **changes: Any) -> bytes:
    """An unapproved card that mallory signed with a key of their own, in a workspace of their own."""
    office = tmp_path.parent / f"{tmp_path.name}-mallory"
    (office / "runcards").mkdir(parents=True)
    list_keys(office, pockets, mattie="eve")
    copy = office / "runcards" / card.name
    content = yaml.safe_load(card.read_text())
    content["training"]["learning_rate"] = 0.5
    content["sign_off"]["reviewers"][0]["signed"] = None
    copy.write_text(json.dumps({**content, **changes}, default=str))
    if "sign_off" not in changes:
        sign(copy, pockets["eve"], capsys)
    return copy.read_bytes()


def put_in_place(folder: RunFolder, card: bytes, pockets: dict[str, Path]) -> None:
    """Do to a run folder what somebody can who may write it."""
    folder.card_yaml.write_bytes(card)
    folder.trust.mkdir(exist_ok=True)
    list_keys(folder.trust, pockets, mattie="eve")
    edit_launch(folder, card_digest=digest_of(card, folder))
    shutil.rmtree(folder.checkpoints, ignore_errors=True)
    folder.history.unlink(missing_ok=True)


def digest_of(card: bytes, folder: RunFolder) -> str:
    from cardrunner import registry
    from cardrunner.card.load import load_card_bytes

    return load_card_bytes(card, file="x.yaml", resolve=registry.workload_spec, sources=()).digest


def made_by_hand(runs: Path, card: bytes, name: str, workspace: Path, *, created: str | None = None) -> RunFolder:
    folder = RunFolder(runs / name)
    folder.root.mkdir(parents=True)
    folder.card_yaml.write_bytes(card)
    record = LaunchRecord(
        run=name,
        workload="toy",
        workspace=str(workspace),
        executor="inline",
        card_file=f"runcards/{name}.yaml",
        card_digest=digest_of(card, folder),
        signed_by=("mattie",),
        created=created or "2026-03-01T12:00:00.000Z",
    )
    folder.launch.write_text(record.model_dump_json())
    folder.approvals.write_text("[]")
    folder.plan.write_text("{}")
    folder.ledger.write_text('{"at": "2026-03-01T12:00:00.000Z", "event": "created"}\n')
    return folder


def refused(folder: RunFolder, match: str, kind: type[Exception] = errors.GateClosed) -> None:
    before = hashlib.sha256(folder.ledger.read_bytes()).hexdigest()
    with pytest.raises(kind, match=match):
        go_on(folder)
    assert hashlib.sha256(folder.ledger.read_bytes()).hexdigest() == before, "nothing was started"


# ---------------------------------------------------------------- the record


def test_a_launch_records_what_it_admitted_before_its_folder_appears(ssh_card: Path, tmp_path: Path) -> None:
    folder = run(ssh_card)
    found = admitted(tmp_path)
    approvals = json.loads(folder.approvals.read_text())
    assert (found["card"], found["state"], found["repeat"]) == ("toy-run", "training", False)
    assert found["digest"] == read_record(folder.launch, LaunchRecord).card_digest
    assert found["statements"] == [
        {
            "reviewer": "mattie",
            "verdict": "approve",
            "policy": "ssh",
            "at": approvals[0]["at"],
            "key": approvals[0]["fingerprint"],
            "signature_sha256": hashlib.sha256(approvals[0]["ssh"].encode()).hexdigest(),
        }
    ]
    for name in ("cardrunner.yaml", "allowed_signers"):
        assert found["trust"][name] == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    assert found["files"]["launch.json"] == hashlib.sha256(folder.launch.read_bytes()).hexdigest()
    assert found["floors"] == ["cardrunner.yaml"]
    assert go_on(folder) == 0


def test_the_record_counts_apart_in_git(ssh_card: Path, tmp_path: Path) -> None:
    from cardrunner.runs.environment import collect_environment

    git = ("git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@example.org")
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "cards")):
        subprocess.run([*git, *words], check=True)
    (tmp_path / ".gitignore").write_text("runs/\n.gitignore\n")
    run(ssh_card)
    tree = collect_environment(tmp_path).git_tree
    assert tree is not None
    assert (tree.changed, tree.untracked, tree.admissions) == (0, 0, 1)


def test_where_the_record_cannot_be_written_a_launch_refuses_and_leaves_no_folder(
    make_card: MakeCard, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / ".cardrunner").write_text("")
    assert command.main(["launch", str(make_card()), "--quiet"]) == 7
    assert "cannot write" in capsys.readouterr().err
    assert not list((tmp_path / "runs").glob("*"))


def test_a_file_in_place_of_the_folder_of_records_is_named(
    make_card: MakeCard, tmp_path: Path, capsys: Capture
) -> None:
    card = make_card(FAILS_ONCE | ONCE)
    folder = run(card)
    shutil.rmtree(tmp_path / ".cardrunner" / "launched")
    (tmp_path / ".cardrunner" / "launched").touch()
    assert command.main(["resume", "toy-run", "--quiet"]) == 7
    assert "launched is not a folder, and the records of what was admitted belong in it" in capsys.readouterr().err
    folder.root.rename(tmp_path / "away")
    assert command.main(["launch", str(card), "--quiet"]) == 7
    assert "launched is not a folder" in capsys.readouterr().err
    assert not folder.root.exists()


def test_a_record_that_cannot_be_written_is_found_before_the_folder_is_made(
    make_card: MakeCard, tmp_path: Path, capsys: Capture
) -> None:
    launched_path(tmp_path / ".cardrunner", "toy-run").with_name(f".toy-run.json.{os.getpid()}").mkdir(parents=True)
    assert command.main(["launch", str(make_card()), "--quiet"]) == 7
    assert not list((tmp_path / "runs").glob("*"))
    capsys.readouterr()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (b"<<<<<<< ours\n{}\n=======\n{}\n>>>>>>> theirs\n", "holds a conflict between two people's merges"),
        (b"{", "is not a record of admissions"),
        (b"\xff\xfe", "is not a record of admissions"),
        (b'{"version": 2, "run": "toy-run"}', "is not a record of admissions: version"),
        (b'{"version": 1, "run": "other", "admissions": []}', "is the record of the run other"),
    ],
    ids=["a conflict", "torn", "not text", "a later version", "of another run"],
)
def test_a_record_that_cannot_be_used_refuses_launch_and_resume_with_a_sentence(
    make_card: MakeCard, tmp_path: Path, capsys: Capture, damage: bytes, sentence: str
) -> None:
    card = make_card(FAILS_ONCE | ONCE)
    folder = run(card)
    launched_path(tmp_path / ".cardrunner", "toy-run").write_bytes(damage)
    assert command.main(["resume", "toy-run", "--quiet"]) == 4
    assert sentence in capsys.readouterr().err
    assert command.main(["status", "toy-run"]) == 0
    assert sentence in capsys.readouterr().err.splitlines()[0]
    folder.root.rename(tmp_path / "away")
    assert command.main(["launch", str(card), "--quiet"]) == 4
    assert sentence in capsys.readouterr().err


def test_a_fresh_clone_without_the_record_refuses_to_train_and_still_reads(
    make_card: MakeCard, tmp_path: Path, capsys: Capture
) -> None:
    run(make_card(FAILS_ONCE))
    shutil.rmtree(tmp_path / ".cardrunner")
    assert command.main(["resume", "toy-run", "--quiet"]) == 3
    assert "there is no record of its admission in" in capsys.readouterr().err
    for words in (["status"], ["logs"], ["report"], ["finish"], ["attach"], ["stop"]):
        assert command.main([*words, "toy-run"]) in (0, 1), words  # the run's own code
        assert capsys.readouterr().err.startswith("run toy-run: not admitted: there is no record"), words


# ---------------------------------------------------------------- spent once


def test_an_approval_is_spent_once_wherever_the_runs_are(make_card: MakeCard, tmp_path: Path, capsys: Capture) -> None:
    """R4."""
    card = make_card(ONCE)
    folder = run(card)
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    assert command.main(["launch", str(card), "--runs", str(elsewhere), "--quiet"]) == 6
    shutil.rmtree(folder.root)
    assert command.main(["launch", str(card), "--runs", str(elsewhere), "--quiet"]) == 6
    assert "an approval is for one run" in capsys.readouterr().err
    assert not elsewhere.exists()


def test_an_approval_is_spent_once_whether_its_folder_is_there_or_not(make_card: MakeCard, capsys: Capture) -> None:
    """R4."""
    card = make_card(ONCE)
    shutil.rmtree(run(card).root)
    assert command.main(["launch", str(card), "--quiet"]) == 6
    assert "run toy-run was launched on" in capsys.readouterr().err


def test_an_approval_is_spent_in_a_copy_that_shares_the_record(
    make_card: MakeCard, tmp_path: Path, capsys: Capture
) -> None:
    """R4."""
    card = make_card(ONCE)
    run(card)
    copy = tmp_path.parent / f"{tmp_path.name}-copy"
    shutil.copytree(tmp_path, copy, ignore=lambda folder, _: {"runs"} if Path(folder) == tmp_path else set())
    assert command.main(["launch", str(copy / "runcards" / card.name), "--quiet"]) == 6
    assert "an approval is for one run" in capsys.readouterr().err


def test_the_folder_of_an_earlier_version_spends_its_approval_too(
    make_card: MakeCard, tmp_path: Path, capsys: Capture
) -> None:
    """R4, with a folder that has no record."""
    card = make_card(ONCE | FAILS_ONCE)
    folder = run(card)
    as_earlier(folder, tmp_path)
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    assert command.main(["launch", str(card), "--runs", str(elsewhere), "--quiet"]) == 6
    shutil.copytree(folder.root, elsewhere / "toy-run")
    assert go_on(folder) == 0
    assert admitted(tmp_path)["state"] == "training"
    refused(RunFolder(elsewhere / "toy-run"), "is a copy of", errors.IntegrityError)
    shutil.rmtree(folder.root)
    assert command.main(["launch", str(card), "--quiet"]) == 6
    capsys.readouterr()


def test_a_renamed_folder_of_an_earlier_version_is_not_another_run(make_card: MakeCard, tmp_path: Path) -> None:
    folder = run(make_card(ONCE | FAILS_ONCE))
    as_earlier(folder, tmp_path)
    renamed = RunFolder(folder.root.with_name("other"))
    folder.root.rename(renamed.root)
    edit_launch(renamed, run="other")
    refused(renamed, "is a run of the card toy-run; an approval is for one run", errors.IntegrityError)


def test_a_card_that_repeats_spends_nothing_and_every_run_is_kept(make_card: MakeCard, tmp_path: Path) -> None:
    card = make_card()
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    shutil.rmtree(run(card).root)
    run(card)
    run(card, runs=elsewhere)
    assert len(read_launched([tmp_path / ".cardrunner"], "toy-run").admissions) == 3


def test_a_launch_without_a_step_gives_its_approval_back(make_card: MakeCard, tmp_path: Path) -> None:
    card = make_card(ONCE | {"code": {"commit": "0" * 40}})
    folder = run(card)
    assert admitted(tmp_path)["state"] == "returned"
    assert go_on(folder) == 4
    assert admitted(tmp_path)["state"] == "training", "only the process that admitted it gives it back"


def test_an_approval_that_was_given_back_is_good_for_another_launch(make_card: MakeCard, tmp_path: Path) -> None:
    card = make_card(ONCE | {"code": {"commit": "0" * 40}})
    shutil.rmtree(run(card).root)
    run(card)
    assert len(read_launched([tmp_path / ".cardrunner"], "toy-run").admissions) == 2


def test_what_was_lost_between_admission_and_training_stays_spent(
    make_card: MakeCard, tmp_path: Path, capsys: Capture, zygote: Any
) -> None:
    card = make_card(ONCE)
    code = (
        "import os, signal; from cardrunner.launching import launch as module; "
        "module.run_attempt = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL); "
        "from cardrunner.main import entry; entry()"
    )
    assert zygote.code(code, "launch", card, cwd=tmp_path).wait() == -9
    assert admitted(tmp_path)["state"] == "admitted"
    shutil.rmtree(tmp_path / "runs")
    assert command.main(["launch", str(card), "--quiet"]) == 6
    assert "it is not known whether it trained" in capsys.readouterr().err


def test_of_twenty_launches_at_once_one_is_admitted(make_card: MakeCard, tmp_path: Path, zygote: Any) -> None:
    card = make_card(ONCE | {"training.epochs": 1})
    places = [tmp_path / f"runs-{number % 4}" for number in range(20)]
    started = [zygote.command("launch", card, "--runs", place, "--quiet", cwd=tmp_path) for place in places]
    codes = sorted(process.wait() for process in started)
    assert codes == [0] + [6] * 19
    assert len(list(tmp_path.glob("runs-*/*"))) == 1
    assert len(read_launched([tmp_path / ".cardrunner"], "toy-run").admissions) == 1
    assert not [path for path in (tmp_path / ".cardrunner" / "launched").iterdir() if path.name.startswith(".")]


# ---------------------------------------------------------------- R1: the folder's own word


@pytest.mark.parametrize("earlier", [False, True], ids=["recorded", "of an earlier version"])
def test_a_card_put_into_a_crashed_run_does_not_train(
    ssh_card: Path, pockets: dict[str, Path], tmp_path: Path, capsys: Capture, earlier: bool
) -> None:
    """R1 a."""
    folder = run(ssh_card)
    if earlier:
        as_earlier(folder, tmp_path)
    put_in_place(folder, forged(ssh_card, pockets, tmp_path, capsys), pockets)
    kind, match = (
        (errors.GateClosed, "not in allowed_signers") if earlier else (errors.IntegrityError, "is not the run")
    )
    refused(folder, match, kind)


def test_a_folder_made_from_nothing_does_not_train(
    ssh_card: Path, pockets: dict[str, Path], tmp_path: Path, capsys: Capture
) -> None:
    """R1 b."""
    folder = made_by_hand(tmp_path / "runs", forged(ssh_card, pockets, tmp_path, capsys), "toy-run", tmp_path)
    put_in_place(folder, folder.card_yaml.read_bytes(), pockets)
    refused(folder, "reviewer mattie: the signature was made with a key that is not in allowed_signers")


def test_a_folder_made_below_the_floor_does_not_train(
    ssh_card: Path, pockets: dict[str, Path], tmp_path: Path, capsys: Capture
) -> None:
    """R1 c."""
    boxes = {"policy": "boxes", "reviewers": [{"id": "mattie", "signed": True}]}
    card = forged(ssh_card, pockets, tmp_path, capsys, sign_off=boxes)
    folder = made_by_hand(tmp_path / "runs", card, "toy-run", tmp_path)
    refused(folder, r"sign_off\.policy: is boxes, and cardrunner\.yaml asks for ssh")


def test_an_expired_approval_does_not_train_by_a_folder_that_dates_itself_back(
    ssh_card: Path, tmp_path: Path, capsys: Capture
) -> None:
    """R1 d."""
    signed = yaml.safe_load(ssh_card.read_text())["sign_off"]["reviewers"][0]["signed"]["at"]
    folder = made_by_hand(tmp_path / "runs", ssh_card.read_bytes(), "toy-run", tmp_path, created=signed)
    (tmp_path / "cardrunner.yaml").write_text("sign_off: {policy: ssh, expires: 0.1s}\n")
    time.sleep(1.2)
    refused(folder, "has expired")
    assert command.main(["launch", str(ssh_card), "--runs", "other", "--quiet"]) == 3
    capsys.readouterr()


def test_approvals_expire_at_the_launch_alone(ssh_card: Path, tmp_path: Path) -> None:
    folder = run(ssh_card)
    (tmp_path / "cardrunner.yaml").write_text("sign_off: {policy: ssh, expires: 0.001s}\n")
    assert go_on(folder) == 0


@pytest.mark.parametrize("name", ["card.yaml", "plan.json", "approvals.json", "trust/allowed_signers"])
def test_a_file_of_the_launch_that_was_changed_is_named(ssh_card: Path, name: str) -> None:
    folder = run(ssh_card)
    path = folder.root / name
    path.write_bytes(path.read_bytes() + b"\n")
    refused(folder, f"{name} was changed after the launch", errors.IntegrityError)


def test_a_run_of_another_workspace_does_not_train_here(
    make_card: MakeCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run(make_card(FAILS_ONCE))
    other = tmp_path.parent / f"{tmp_path.name}-other"
    (other / "runcards").mkdir(parents=True)
    shutil.copytree(folder.root, other / "runs" / "toy-run")
    monkeypatch.chdir(other)
    refused(RunFolder(other / "runs" / "toy-run"), "there is no record of its admission")


# ---------------------------------------------------------------- R2: the rules of today, whatever variables say


@pytest.fixture
def variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable of this package, pointing to an empty folder."""
    empty = tmp_path.parent / f"{tmp_path.name}-empty"
    empty.mkdir()
    sources = "\n".join(path.read_text() for path in Path(command.__file__).parent.rglob("*.py"))
    import re

    for name in {*re.findall(r"CARDRUNNER_[A-Z_]+", sources), "CARDRUNNER_WORKSPACE"}:
        monkeypatch.setenv(name, "1" if name.endswith("BEGAN") else str(empty))


@pytest.mark.parametrize("earlier", [False, True], ids=["recorded", "of an earlier version"])
@pytest.mark.usefixtures("variables")
def test_no_variable_switches_off_a_block(
    ssh_card: Path, pockets: dict[str, Path], tmp_path: Path, capsys: Capture, earlier: bool
) -> None:
    """R2."""
    folder = run(ssh_card)
    if earlier:
        as_earlier(folder, tmp_path)
    sign(ssh_card, pockets["mattie"], capsys, "--verdict", "block")
    refused(folder, "reviewer mattie: has blocked this card")


@pytest.mark.usefixtures("variables")
@pytest.mark.parametrize("approvals", ["[]", None], ids=["emptied", "removed"])
def test_no_list_of_approvals_hides_a_revoked_key(
    ssh_card: Path, pockets: dict[str, Path], tmp_path: Path, approvals: str | None
) -> None:
    """R2."""
    folder = run(ssh_card)
    as_earlier(folder, tmp_path)
    (tmp_path / "revoked_keys").write_text(pockets["mattie"].with_suffix(".pub").read_text())
    folder.approvals.unlink()
    if approvals is not None:
        folder.approvals.write_text(approvals)
    refused(folder, "revoked_keys:1:1: the key that mattie approved this run with has been revoked")


@pytest.mark.parametrize("earlier", [False, True], ids=["recorded", "of an earlier version"])
def test_the_launch_record_does_not_say_which_workspace_judges(
    ssh_card: Path, pockets: dict[str, Path], tmp_path: Path, earlier: bool
) -> None:
    """R2."""
    folder = run(ssh_card)
    if earlier:
        as_earlier(folder, tmp_path)
    (empty := tmp_path.parent / f"{tmp_path.name}-empty").mkdir()
    (tmp_path / "revoked_keys").write_text(pockets["mattie"].with_suffix(".pub").read_text())
    edit_launch(folder, workspace=str(empty))
    kind, match = (errors.GateClosed, "has been revoked") if earlier else (errors.IntegrityError, "is not the run")
    refused(folder, match, kind)


def test_a_key_that_is_taken_off_the_list_counts_no_more(
    ssh_card: Path, pockets: dict[str, Path], tmp_path: Path
) -> None:
    folder = run(ssh_card)
    list_keys(tmp_path, pockets, "ada")
    refused(folder, "was made with a key that is not in allowed_signers")


@pytest.mark.parametrize("objection", ["block", "revoked", "unlisted"])
def test_reading_and_collecting_is_never_withheld_and_says_what_speaks_against_the_run(
    ssh_card: Path, pockets: dict[str, Path], tmp_path: Path, capsys: Capture, objection: str
) -> None:
    folder = run(ssh_card)
    assert go_on(folder) == 0
    if objection == "block":
        sign(ssh_card, pockets["mattie"], capsys, "--verdict", "block")
    elif objection == "revoked":
        (tmp_path / "revoked_keys").write_text(pockets["mattie"].with_suffix(".pub").read_text())
    else:
        list_keys(tmp_path, pockets, "ada")
    told = {
        "block": "has blocked this card",
        "revoked": "has been revoked",
        "unlisted": "is not in allowed_signers any",
    }
    for words in (["status"], ["attach"], ["stop"], ["finish"], ["report"], ["download"], ["logs"]):
        assert command.main([*words, "toy-run"]) == 0, words
        assert told[objection] in capsys.readouterr().err.splitlines()[0], words


def test_a_retry_that_is_refused_ends_with_3_and_says_what_to_do(
    make_card: MakeCard, tmp_path: Path, zygote: Any
) -> None:
    """The rules change while the first attempt trains."""
    changes = {"infra.executor": "local", "infra.retries": 2, "training.toy": {"step_ms": 100, "exit_at": 12}}
    card = make_card(changes | {"training.checkpoint_every": "3 steps"})
    process = zygote.command("launch", card, "--quiet", cwd=tmp_path)
    history = tmp_path / "runs" / "toy-run" / "history.jsonl"
    while process.poll() is None and not history.exists():
        pass
    (tmp_path / "cardrunner.yaml").write_text("sign_off: {policy: digest}\n")
    code, _, told = process.finish()
    assert code == 3, told
    assert "sign_off.policy: is boxes, and cardrunner.yaml asks for digest" in told
    assert "go on with `cardrunner resume toy-run`" in told


# ---------------------------------------------------------------- R3: placement


def below_an_outer_floor(card: Path, tmp_path: Path) -> Path:
    (tmp_path / "cardrunner.yaml").write_text("sign_off: {policy: ssh}\n")
    inner = tmp_path / "exp" / "runcards" / card.name
    inner.parent.mkdir(parents=True)
    shutil.copy(card, inner)
    return inner


def test_a_workspace_inside_another_is_under_its_floor(make_card: MakeCard, tmp_path: Path, capsys: Capture) -> None:
    """R3."""
    inner = below_an_outer_floor(make_card(), tmp_path)
    (inner.parents[1] / ".git").mkdir()
    assert command.main(["launch", str(inner), "--quiet"]) == 3
    assert f"is boxes, and {tmp_path / 'cardrunner.yaml'} asks for ssh" in capsys.readouterr().err
    assert not (tmp_path / "exp" / "runs").exists()


def test_an_empty_file_beside_the_cards_shadows_nothing(
    make_card: MakeCard, pockets: dict[str, Path], tmp_path: Path, capsys: Capture
) -> None:
    """R3."""
    card = make_card()
    (tmp_path / "cardrunner.yaml").write_text("sign_off: {policy: ssh}\n")
    (tmp_path / "runcards" / "cardrunner.yaml").touch()
    assert command.main(["launch", str(card), "--quiet"]) == 3
    capsys.readouterr()


def test_a_link_into_a_workspace_leads_under_its_floor(make_card: MakeCard, tmp_path: Path, capsys: Capture) -> None:
    inner = below_an_outer_floor(make_card(), tmp_path)
    link = tmp_path.parent / f"{tmp_path.name}-link"
    link.symlink_to(inner.parents[1])
    assert command.main(["launch", str(link / "runcards" / inner.name), "--quiet"]) == 3
    capsys.readouterr()


def test_a_folder_in_an_inner_workspace_is_judged_by_the_outer_one_too(make_card: MakeCard, tmp_path: Path) -> None:
    """R3, with a folder of an earlier version."""
    card = make_card()
    below_an_outer_floor(card, tmp_path)
    folder = made_by_hand(tmp_path / "exp" / "runs", card.read_bytes(), "toy-run", tmp_path / "exp")
    refused(folder, "is boxes, and .* asks for ssh")


def test_lists_of_keys_farther_out_take_away_and_revoked_keys_add_up(
    make_card: MakeCard, pockets: dict[str, Path], tmp_path: Path, capsys: Capture
) -> None:
    inner = tmp_path / "exp"
    (inner / "runcards").mkdir(parents=True)
    card = Path(shutil.move(make_card(unsigned_by_key()), inner / "runcards"))
    (tmp_path / "cardrunner.yaml").write_text("sign_off: {policy: ssh}\n")
    list_keys(inner, pockets, "mattie")
    sign(card, pockets["mattie"], capsys)

    list_keys(tmp_path, pockets, mattie="eve")
    assert command.main(["launch", str(card), "--quiet"]) == 3
    assert f"a key that is not in {tmp_path / 'allowed_signers'}" in capsys.readouterr().err
    list_keys(tmp_path, pockets, "mattie")
    (tmp_path / "revoked_keys").write_text(pockets["mattie"].with_suffix(".pub").read_text())
    assert command.main(["launch", str(card), "--quiet"]) == 3
    assert f"({tmp_path / 'revoked_keys'}:1)" in capsys.readouterr().err
    (tmp_path / "revoked_keys").unlink()
    assert command.main(["launch", str(card), "--quiet"]) == 0
    assert launched_path(tmp_path / ".cardrunner", "toy-run").exists(), "beside the outermost floor"
    assert not (inner / ".cardrunner" / "launched").exists()
    capsys.readouterr()


def test_the_rules_of_every_floor_count_each_with_its_own_roles(
    make_card: MakeCard, tmp_path: Path, capsys: Capture
) -> None:
    inner = below_an_outer_floor(make_card(), tmp_path)
    outer = "sign_off: {author: named, expires: 7d, roles: {lead: [lee]}, rules: [{role: lead}]}\n"
    (tmp_path / "cardrunner.yaml").write_text(outer)
    (tmp_path / "exp" / "cardrunner.yaml").write_text("sign_off: {roles: {lead: [mattie]}, rules: [{role: lead}]}\n")
    assert command.main(["launch", str(inner), "--quiet"]) == 3
    told = capsys.readouterr().err
    assert f"{tmp_path / 'cardrunner.yaml'}: sign_off.rules[0]: needs 1 approval of role lead, and has 0" in told
    assert "author: is missing" in told
    assert "the tick has no time, and approvals expire here" in told


def test_a_fault_in_any_floor_closes_the_gate(make_card: MakeCard, tmp_path: Path, capsys: Capture) -> None:
    inner = below_an_outer_floor(make_card(), tmp_path)
    (tmp_path / "cardrunner.yaml").write_text("sign_of: {}\n")
    assert command.main(["launch", str(inner), "--quiet"]) == 3
    assert f"{tmp_path / 'cardrunner.yaml'}:1:1: sign_of" in capsys.readouterr().err


def test_blocks_that_an_earlier_version_kept_elsewhere_still_count(
    make_card: MakeCard, tmp_path: Path, capsys: Capture
) -> None:
    inner = below_an_outer_floor(make_card(), tmp_path)
    (tmp_path / "cardrunner.yaml").write_text("")
    old = tmp_path / "exp" / ".cardrunner" / "blocks" / "toy-run" / "lee.json"
    old.parent.mkdir(parents=True)
    old.write_text('{"at": "2026-03-01T12:00:00Z"}')
    assert command.main(["launch", str(inner), "--quiet"]) == 3
    assert "reviewer lee: has blocked this run" in capsys.readouterr().err


def test_a_folder_of_runs_in_another_workspace_is_refused(make_card: MakeCard, tmp_path: Path, capsys: Capture) -> None:
    other = tmp_path.parent / f"{tmp_path.name}-other"
    (other / "runcards").mkdir(parents=True)
    assert command.main(["launch", str(make_card()), "--runs", str(other / "runs"), "--quiet"]) == 2
    assert "whose rules judge its run" in capsys.readouterr().err


def test_launch_plan_review_page_and_results_card_name_the_floors(
    make_card: MakeCard, tmp_path: Path, capsys: Capture
) -> None:
    floor = tmp_path / "cardrunner.yaml"
    floor.touch()
    card = make_card()
    assert command.main(["plan", str(card)]) == 0
    assert f"judged by {floor}" in " ".join(capsys.readouterr().out.split())
    assert command.main(["render", str(card)]) == 0
    assert f"Judged by `{floor}`" in capsys.readouterr().out
    assert command.main(["launch", str(card)]) == 0
    assert f"judged by {floor}" in capsys.readouterr().err
    assert f"Judged by `{floor}`." in (tmp_path / "runs" / "toy-run" / "results.md").read_text()


def test_a_tick_of_a_person_under_ssh_is_shown_as_not_signed(
    make_card: MakeCard, pockets: dict[str, Path], tmp_path: Path, capsys: Capture
) -> None:
    by_hand = {"item": "somebody looked", "done": True, "by": "lee", "at": "2026-02-27T09:00:00Z"}
    card = make_card(unsigned_by_key(checklist=[by_hand, {"item": "it runs", "check": ["true"], "done": True}]))
    list_keys(tmp_path, pockets, "mattie")
    sign(card, pockets["mattie"], capsys)
    assert command.main(["plan", str(card)]) == 0
    assert "1 checklist item ticked by a person: a tick is not signed" in " ".join(capsys.readouterr().out.split())
    assert command.main(["render", str(card)]) == 0
    assert capsys.readouterr().out.count("(ticked, not signed)") == 1
    assert run(card).results.read_text().count("ticked, not signed") == 1


def test_the_process_of_the_worker_is_judged_by_its_argument(ssh_card: Path, tmp_path: Path) -> None:
    """A worker that somebody starts by hand on a forged folder."""
    boxes = {**yaml.safe_load(ssh_card.read_text()), "sign_off": {"policy": "boxes", "reviewers": []}}
    boxes["sign_off"]["reviewers"] = [{"id": "mattie", "signed": True}]
    card = json.dumps(boxes, default=str).encode()
    folder = made_by_hand(tmp_path / "runs", card, "toy-run", tmp_path.parent)
    words = [sys.executable, "-P", "-m", "cardrunner.launching.worker", str(folder.root), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path.parent, check=False)
    assert done.returncode == 3, done.stderr

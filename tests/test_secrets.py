"""A planted secret, on every way by which a value of the environment could get out of a process."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cardrunner.main import main
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.ledger import Ledger
from tests.ledger_lines import recorded
from tests.wandb_server import KEY

MakeCard = Callable[..., Path]
SECRET = "planted/with+odd=characters-0123"
LEAKING = """
import os, warnings
from cardrunner.workloads.toy import faults
secret = os.environ["MY_SERVICE_TOKEN"]
def strike(self, step, batch):
    print("printed", secret, flush=True)
    if step == 4:
        warnings.warn(f"warned {secret}")
        raise RuntimeError(f"cannot reach https://ada:{secret}@host/ with {secret!r}")
    return batch
faults.Faults.strike = strike
from cardrunner.main import entry
entry()
"""
TRACKERS = {
    name: value
    for name, value, package in (("wandb", {"project": "p"}, "wandb"), ("tensorboard", True, "tensorboardX"))
    if importlib.util.find_spec(package) is not None
}


def written(*roots: Path) -> dict[Path, bytes]:
    files = [path for root in roots for path in root.rglob("*") if path.is_file()]
    return {path: path.read_bytes() for path in files}


def leaks(contents: dict[Path, bytes], *values: str) -> list[Path]:
    return [path for path, data in contents.items() if any(value.encode() in data for value in values)]


def test_a_planted_secret_is_in_no_file_and_no_output(make_card: MakeCard, zygote: Any, tmp_path: Path) -> None:
    remote = f"https://ada:{SECRET.replace('/', '')}@git.example/x.git"
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "remote", "add", "origin", remote], cwd=tmp_path, check=True)
    check = {
        "item": "the service answers",
        "check": ["python", "-c", "import os; print(os.environ['MY_SERVICE_TOKEN'])"],
    }
    card = make_card({"checklist": [check], "infra.tracking": TRACKERS})
    setup = f"import os; os.environ.update(MY_SERVICE_TOKEN={SECRET!r}, WANDB_API_KEY={KEY!r}, WANDB_MODE='offline')"
    said = []
    for words in (
        ("check", card),
        ("launch", card),
        ("resume", "toy-run", "--acknowledge", f"I gave it {SECRET}"),
        ("status", "toy-run"),
        ("status", "toy-run", "--json"),
        ("logs", "toy-run"),
        ("report", "toy-run"),
    ):
        code, out, err = zygote.code(setup + LEAKING, *words, cwd=tmp_path).finish()
        said.append(out + err)
        assert code == (1 if words[0] in ("launch", "resume") else 0), out + err
    folder = RunFolder(tmp_path / "runs" / "toy-run")
    contents = written(*(path for path in tmp_path.iterdir() if path.name != ".git"))
    assert leaks(contents, SECRET, SECRET.replace("/", ""), KEY) == []
    assert not any(value in text for text in said for value in (SECRET, KEY))
    reasons = [str(event["reason"]) for event in recorded(Ledger(folder.ledger), "attempt_ended")]
    assert "cannot reach https://ada:[MY_SERVICE_TOKEN hidden]@host/ with '[MY_SERVICE_TOKEN hidden]'" in reasons[0]
    assert "[MY_SERVICE_TOKEN hidden]" in folder.checks.read_text()
    assert "RuntimeError: cannot reach" in folder.log.read_text()
    assert {path.parent.name for path in contents if "tfevents" in path.name or path.suffix == ".wandb"} or not TRACKERS


@pytest.mark.parametrize("words", [("launch",), ("sign", "--as", "ada", "--yes")], ids=["launch", "sign"])
def test_a_card_that_holds_a_secret_is_neither_signed_nor_launched_and_the_value_is_not_repeated(
    words: tuple[str, ...],
    make_card: MakeCard,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MY_SERVICE_TOKEN", "planted-in-the-card")
    card = make_card({"goal": "Find out with planted-in-the-card."})
    assert main([words[0], str(card), *words[1:]]) == 2
    said = capsys.readouterr().err
    assert "toy-run.yaml:6: holds the value of the environment variable MY_SERVICE_TOKEN" in said
    assert "planted" not in said
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "words", [("validate",), ("launch",), ("sign", "--as", "ada", "--yes")], ids=["validate", "launch", "sign"]
)
def test_a_card_with_the_credentials_of_a_url_is_a_fault_and_is_neither_signed_nor_launched(
    words: tuple[str, ...], make_card: MakeCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = make_card({"goal": "See https://user:hunter2secret@evil.example/x"})
    before = card.read_bytes()
    assert main([words[0], str(card), *words[1:]]) == 2
    said = "".join(capsys.readouterr())
    assert "holds the credentials of a URL; a card never holds a secret" in said
    assert "hunter2" not in said
    assert card.read_bytes() == before
    assert not (tmp_path / "runs").exists()


def test_validate_finds_the_secret_in_a_card_and_repeats_none_in_a_file_name(
    make_card: MakeCard, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_SERVICE_TOKEN", "planted-in-the-card")
    card = make_card({"goal": "Find out with planted-in-the-card."})
    assert main(["validate", str(card), "--json"]) == 2
    (fault,) = json.loads(capsys.readouterr().out)
    assert (fault["line"], fault["severity"]) == (6, "error")
    assert "the value of the environment variable MY_SERVICE_TOKEN" in fault["message"]
    assert main(["validate", str(card.with_name("planted-in-the-card.yaml"))]) == 2
    assert "planted" not in "".join(capsys.readouterr())


def test_an_edit_that_would_write_a_secret_into_a_card_is_refused(
    make_card: MakeCard, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_SERVICE_TOKEN", "planted-in-a-note")
    card = make_card({"checklist": [{"item": "look"}]})
    before = card.read_bytes()
    assert main(["check", str(card), "1", "--done", "--as", "mattie", "--note", "used planted-in-a-note"]) == 2
    assert "would write the value of MY_SERVICE_TOKEN" in capsys.readouterr().err
    assert card.read_bytes() == before


def test_a_bug_report_holds_no_secret(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MY_SERVICE_TOKEN", "planted-in-a-bug")
    monkeypatch.setattr("cardrunner.commands.status.runs_of", lambda options: 1 / 0 if "planted-in-a-bug" else None)
    assert main(["status"]) == 1
    log = Path(capsys.readouterr().err.split("please send ")[1].split(" to ")[0])
    assert "planted" not in log.read_text()
    log.unlink()

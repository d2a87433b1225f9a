"""Run folders of an earlier version still show, report, finish and resume; see tests/fixtures/runs-0.1.0/README.md."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from cardrunner.main import main
from cardrunner.runs.event_model import UnknownEvent
from cardrunner.runs.jsonl import line_of, lines_of
from cardrunner.runs.ledger import Ledger
from tests.conftest import Zygote

KEPT = Path(__file__).parent.parent / "fixtures" / "runs-0.1.0"
EXPECTED = KEPT / "expected"
OUTCOMES: dict[str, dict[str, dict[str, Any]]] = json.loads((EXPECTED / "outcomes.json").read_text())
RUNS = sorted(OUTCOMES)
COMPARED = ("state", "stage", "epoch", "step", "attempts", "next")

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole workspace."""
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(KEPT / "workspace.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "workspace"


@pytest.fixture
def workspace(unpacked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A copy with one run, as the current folder."""
    run = request.node.callspec.params["run"]
    copy = tmp_path / "workspace"
    others = {path.name for path in (unpacked / "runs").iterdir()} - {run}
    shutil.copytree(unpacked, copy, ignore=lambda folder, _: others if Path(folder).name == "runs" else set())
    monkeypatch.chdir(copy)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    return copy


def said(capsys: Capture, workspace: Path) -> str:
    return capsys.readouterr().out.replace(str(workspace), "{workspace}")


def check_outcome(run: str, code: int, expected: dict[str, Any], capsys: Capture) -> None:
    """The exit code, and where the run stands now."""
    assert code == expected["exit_code"], capsys.readouterr().err
    capsys.readouterr()
    assert main(["status", run, "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert {name: status[name] for name in COMPARED} == {name: expected[name] for name in COMPARED}


@pytest.mark.parametrize("run", RUNS)
def test_every_line_of_an_old_ledger_is_an_event_and_is_written_as_it_was(run: str, unpacked: Path) -> None:
    ledger = Ledger(unpacked / "runs" / run / "ledger.jsonl")
    events = ledger.events()
    assert not any(isinstance(event, UnknownEvent) for event in events)
    assert [line_of(event.row()).rstrip(b"\n") for event in events] == lines_of(ledger.path)


@pytest.mark.parametrize("run", RUNS)
def test_an_old_run_shows_the_same_status(run: str, workspace: Path, capsys: Capture) -> None:
    assert main(["status", run, "--json"]) == 0
    assert said(capsys, workspace) == (EXPECTED / run / "status.json").read_text()
    assert main(["status", run]) == 0
    assert said(capsys, workspace) == (EXPECTED / run / "status.txt").read_text()


@pytest.mark.parametrize("run", sorted(path.parent.name for path in EXPECTED.glob("*/results.md")))
def test_an_old_run_has_the_same_results_card(run: str, workspace: Path, capsys: Capture) -> None:
    assert main(["report", run]) == 0
    results = (workspace / "runs" / run / "results.md").read_text()
    assert results.replace(str(workspace), "{workspace}") == (EXPECTED / run / "results.md").read_text()


@pytest.mark.parametrize("run", ["inline", "interrupted", "stopped-by-rule", "unfinished"])
def test_an_old_run_is_finished(run: str, workspace: Path, capsys: Capture) -> None:
    expected = OUTCOMES[run]["finish"]
    check_outcome(run, main(["finish", run, "--quiet"]), expected, capsys)
    assert (workspace / "out" / f"{run}.pt").exists() == (expected["out_sha256"] is not None)


@pytest.mark.parametrize("run", ["blocked-since", "budget-spent", "completed", "overrun-paused", "stopped-by-rule"])
def test_an_old_run_that_may_not_go_on_is_refused_as_before(run: str, workspace: Path, capsys: Capture) -> None:
    expected = OUTCOMES[run]["resume"]
    code = main(["resume", run, "--quiet"])
    told = capsys.readouterr().err.replace(str(workspace), "{workspace}").splitlines()[-6:]
    assert told == expected["stderr"]
    check_outcome(run, code, expected, capsys)


@pytest.mark.parametrize(
    ("run", "command"), [("killed", "resume"), ("left", "resume"), ("stopped-by-rule", "resume --acknowledge")]
)
def test_an_old_run_goes_on_to_its_end_once_the_newer_code_is_acknowledged(
    run: str, command: str, workspace: Path, capsys: Capture, zygote: Zygote
) -> None:
    env = {"TZ": os.environ["TZ"]}
    resumed = zygote.command("resume", run, "--acknowledge", "a newer cardrunner", "--quiet", cwd=workspace, env=env)
    check_outcome(run, resumed.wait(), OUTCOMES[run][command], capsys)

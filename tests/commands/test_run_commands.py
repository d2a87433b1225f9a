"""The commands about runs, as they are typed, with workers in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cardrunner.main import main

MakeCard = Callable[..., Path]
Start = Callable[..., Any]
SOURCES = Path(__file__).parents[2]
LOCAL = {"infra.executor": "local"}


def start_anew(*words: object, cwd: Path) -> subprocess.Popen[str]:
    """A command in a shell of its own, with an interpreter of its own, and so its worker."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
    command = [sys.executable, "-m", "cardrunner", *map(str, words)]
    return subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def start(zygote: Any) -> Callable[..., Any]:
    """A command in a shell of its own; it and its worker have everything imported."""

    def begin(*words: object, cwd: Path) -> Any:
        return zygote.command(*words, cwd=cwd)

    return begin


def finish(process: Any) -> tuple[int, str, str]:
    found: tuple[int, str, str] = process.finish()
    return found


def status(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str = "toy-run") -> dict[str, Any]:
    capsys.readouterr()
    assert main(["status", name, "--json", "--runs", str(tmp_path / "runs")]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def wait_for(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.05)


def rows(tmp_path: Path) -> int:
    history = tmp_path / "runs" / "toy-run" / "history.jsonl"
    return len(history.read_text().splitlines()) if history.exists() else 0


def test_a_local_run_tells_people_on_stderr_and_the_results_card_on_stdout(
    make_card: MakeCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = start_anew("launch", make_card(LOCAL), cwd=tmp_path)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert out.strip() == str(tmp_path / "runs" / "toy-run" / "results.md")
    assert "stage load\n" in err
    assert "epoch 3/3: val_loss/total" in err
    assert "toy-run completed, epoch 3, step 24" in err
    assert status(tmp_path, capsys)["state"] == "completed"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_the_launcher_reaches_the_worker_and_resume_goes_on(
    make_card: MakeCard, start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str], number: int, code: int
) -> None:
    process = start("launch", make_card(LOCAL | {"training.toy.step_ms": 60}), cwd=tmp_path)
    wait_for(lambda: rows(tmp_path) > 0)
    process.send_signal(number)
    ended, out, err = finish(process)
    assert ended == code, err
    assert out.strip().endswith("results.md")
    seen = status(tmp_path, capsys)
    assert (seen["state"], seen["attempts"]) == ("interrupted", 1)
    assert seen["last_durable_step"] == seen["step"] or seen["last_durable_step"] >= 3
    code, _, err = finish(start("resume", "toy-run", cwd=tmp_path))
    assert code == 0, err
    assert status(tmp_path, capsys)["state"] == "completed"


def test_a_second_signal_ends_it_at_once_and_it_still_goes_on(
    make_card: MakeCard, start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = start("launch", make_card(LOCAL | {"training.toy.hang_at": 6}), cwd=tmp_path)
    wait_for(lambda: rows(tmp_path) > 0)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert code == 130, err
    assert out.strip().endswith("results.md")
    assert "ended at once by a signal" in status(tmp_path, capsys)["reason"]
    assert finish(start("resume", "toy-run", cwd=tmp_path))[0] == 0


def test_a_worker_that_is_killed_ends_the_launch_with_7_and_a_results_card(
    make_card: MakeCard, start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = start("launch", make_card(LOCAL | {"training.toy.hang_at": 6}), cwd=tmp_path)
    wait_for(lambda: rows(tmp_path) > 0)
    pid = json.loads((tmp_path / "runs" / "toy-run" / "lease.json").read_text())["pid"]
    os.kill(pid, signal.SIGKILL)
    code, out, _ = finish(process)
    assert code == 7
    assert out.strip().endswith("results.md")
    seen = status(tmp_path, capsys)
    assert (seen["state"], seen["reason"]) == ("interrupted", "the worker was killed by signal 9 (SIGKILL)")


def test_a_disk_that_fills_up_ends_with_7_and_the_run_goes_on_when_there_is_room(
    make_card: MakeCard, zygote: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stands in for a full disk: no file may grow beyond 60 KB, and the checkpoints of this model would."""
    make_card(LOCAL | {"model.hidden_dim": 2000})
    process = zygote.command("launch", "runcards/toy-run.yaml", "--quiet", cwd=tmp_path, limit=60_000)
    assert process.wait() == 7
    seen = status(tmp_path, capsys)
    assert (seen["state"], seen["results"] is not None) == ("failed", True)
    assert "the file would be larger" in seen["reason"]
    assert not list((tmp_path / "runs" / "toy-run").rglob("*.staging"))
    assert zygote.command("resume", "toy-run", "--quiet", cwd=tmp_path).wait() == 0


def test_a_worker_that_leaves_without_a_word_is_a_failure(
    make_card: MakeCard, start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, _ = finish(start("launch", make_card(LOCAL | {"training.toy.exit_at": 4}), cwd=tmp_path))
    assert code == 7
    assert status(tmp_path, capsys)["state"] == "failed"


def test_a_detached_run_is_watched_stopped_and_finished_from_other_shells(
    make_card: MakeCard, start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = make_card(LOCAL | {"training.toy.step_ms": 60, "training.epochs": 100})
    code, _, err = finish(start("launch", card, "--detach", cwd=tmp_path))
    assert code == 0
    assert "it goes on without this shell" in err
    assert "cardrunner attach toy-run" in err
    assert status(tmp_path, capsys)["state"] == "running"
    at = ["--runs", str(tmp_path / "runs")]
    assert main(["launch", str(card)]) == 6
    assert main(["resume", "toy-run", *at]) == 6
    assert main(["finish", "toy-run", *at]) == 6
    watcher = start("attach", "toy-run", cwd=tmp_path)
    follower = start("logs", "toy-run", "-f", cwd=tmp_path)
    time.sleep(1)
    assert main(["stop", "toy-run", *at]) == 0
    assert "toy-run stopped" in capsys.readouterr().out
    assert finish(watcher)[0] == 5
    assert "stage train" in finish(follower)[1]
    assert main(["finish", "toy-run", *at, "--quiet"]) == 5
    assert (tmp_path / "runs" / "toy-run" / "results.md").exists()
    assert main(["stop", "toy-run", *at]) == 0


def test_leaving_does_not_affect_the_run(
    make_card: MakeCard, start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = make_card(LOCAL | {"training.toy.step_ms": 60, "training.epochs": 100})
    assert finish(start("launch", card, "--detach", cwd=tmp_path))[0] == 0
    watcher = start("attach", "toy-run", cwd=tmp_path)
    time.sleep(1.5)
    watcher.send_signal(signal.SIGINT)
    code, _, err = finish(watcher)
    assert (code, "run toy-run goes on" in err) == (130, True)
    assert status(tmp_path, capsys)["state"] == "running"
    assert main(["stop", "toy-run", "--runs", str(tmp_path / "runs")]) == 0


def test_a_detached_run_that_fails_at_once_says_so_then_and_there(
    make_card: MakeCard, start: Start, tmp_path: Path
) -> None:
    code, _, err = finish(start("launch", make_card(LOCAL | {"training.toy.raise_at": 1}), "--detach", cwd=tmp_path))
    assert code == 1
    assert "training.toy.raise_at: step 1" in err


def test_of_several_launches_at_once_exactly_one_runs(make_card: MakeCard, start: Start, tmp_path: Path) -> None:
    card = make_card({"training.epochs": 1})
    launches = [start("launch", card, "--quiet", cwd=tmp_path) for _ in range(4)]
    assert sorted(finish(launch)[0] for launch in launches) == [0, 6, 6, 6]


def test_quiet_says_only_how_it_ended(make_card: MakeCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["launch", str(make_card({"training.epochs": 1})), "--quiet"]) == 0
    seen = capsys.readouterr()
    assert seen.err.splitlines() == ["toy-run completed, epoch 1, step 8"]
    assert seen.out.strip() == str(tmp_path / "runs" / "toy-run" / "results.md")


def test_a_dry_run_shows_the_plan_and_creates_nothing(
    make_card: MakeCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["launch", str(make_card()), "--dry-run"]) == 0
    assert "load → train → checkpoint → download → demo → report" in capsys.readouterr().out
    closed = make_card({"sign_off.reviewers": [{"id": "ada", "signed": None}]})
    assert main(["launch", str(closed), "--dry-run"]) == 3
    seen = capsys.readouterr()
    assert "gate         closed" in seen.out
    assert "ada" in seen.err
    assert not (tmp_path / "runs").exists()


def test_one_stage_on_its_own(make_card: MakeCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--runs", str(tmp_path / "runs")]
    assert main(["launch", str(make_card({"training.epochs": 1})), "--quiet"]) == 0
    capsys.readouterr()
    assert main(["download", "toy-run", *at]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out" / "toy-run.pt")
    assert main(["download", "toy-run", "latest", *at]) == 0
    assert (
        Path(capsys.readouterr().out.strip()).read_bytes() == (tmp_path / "runs" / "toy-run" / "latest.pt").read_bytes()
    )
    assert main(["download", "toy-run", "../../etc/passwd", *at]) == 4
    assert "has no checkpoint" in capsys.readouterr().err
    assert main(["demo", "toy-run", *at]) == 2


@pytest.mark.parametrize("command", ["status", "logs", "attach", "stop", "finish", "resume", "download", "demo"])
def test_an_unknown_run_is_a_usage_error(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "nothing", "--runs", str(tmp_path)]) == 2
    assert "no run nothing in" in capsys.readouterr().err
    assert main([command, "../nothing", "--runs", str(tmp_path)]) == 2


def test_status_lists_every_run(make_card: MakeCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--runs", str(tmp_path / "runs")]
    assert main(["status", *at]) == 0
    assert "no runs in" in capsys.readouterr().out
    assert main(["launch", str(make_card({"training.epochs": 1})), "--quiet"]) == 0
    capsys.readouterr()
    assert main(["status", *at]) == 0
    assert capsys.readouterr().out.startswith("toy-run completed")
    assert main(["status", "--json", *at]) == 0
    assert [entry["run"] for entry in json.loads(capsys.readouterr().out)] == ["toy-run"]
    assert main(["status", "toy-run", *at]) == 0
    assert "signed by mattie" in capsys.readouterr().out
    assert main(["logs", "toy-run", *at]) == 0


def test_the_log_of_the_worker_tells_validations_and_verdicts_as_the_screen_does(
    make_card: MakeCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = {"metric": "val_loss", "above": 0.01, "action": "warn", "why": "nothing is that good"}
    assert main(["launch", str(make_card({"training.epochs": 1, "kill_thresholds": [rule]}))]) == 0
    screen = capsys.readouterr().err
    assert main(["logs", "toy-run", "--runs", str(tmp_path / "runs")]) == 0
    log = capsys.readouterr().out
    for text in (screen, log):
        assert "epoch 1/1: val_loss/total " in text
        assert "warn: val_loss > 0.01: val_loss is " in text
        assert "; why: nothing is that good\n" in text


def test_a_bug_names_the_log_to_send(make_card: MakeCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["launch", str(make_card({"training.toy.raise_at": 10})), "--quiet"]) == 1
    log = tmp_path / "runs" / "toy-run" / "worker.log"
    assert "Traceback" in log.read_text()
    assert f"please send {log} to the maintainers; `cardrunner logs toy-run` prints it" in capsys.readouterr().err

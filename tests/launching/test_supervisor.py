"""The supervisor of a local run: what it does for a worker that crashes, is killed, or is asked to end at any time."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cardrunner.main import main
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.history import History
from cardrunner.runs.lease import is_live, is_supervised
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.status import derive_status
from tests.ledger_lines import recorded

MakeCard = Callable[..., Path]
LOCAL = {"infra.executor": "local"}
SLOW = LOCAL | {"training.toy.step_ms": 40, "training.epochs": 100}


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


def run_of(tmp_path: Path, name: str = "toy-run") -> RunFolder:
    return RunFolder(tmp_path / "runs" / name)


def events(folder: RunFolder, *names: str) -> list[dict[str, Any]]:
    return recorded(Ledger(folder.ledger), *names)


def worker_of(folder: RunFolder) -> int:
    pid: int = json.loads(folder.lease.read_text())["pid"]
    return pid


def over(folder: RunFolder) -> bool:
    return bool(events(folder, "finished")) and not is_supervised(folder)


def test_a_crashed_worker_is_started_again_as_often_as_the_card_says_and_ends_with_the_same_weights(
    make_card: MakeCard, zygote: Any, tmp_path: Path
) -> None:
    plain = zygote.command("launch", make_card(LOCAL, name="plain"), cwd=tmp_path)
    crashes = LOCAL | {"infra.retries": 2, "training.toy.exit_at": 5, "training.toy.raise_at": 12}
    code, _, err = zygote.command("launch", make_card(crashes), cwd=tmp_path).finish()
    assert code == 0, err
    assert "started again, 1 of 2: the worker ended with 9 and no word" in err
    folder = run_of(tmp_path)
    assert [event["retry"] for event in events(folder, "retried")] == [1, 2]
    assert plain.wait() == 0
    assert derive_status(folder).weights_sha256 == derive_status(run_of(tmp_path, "plain")).weights_sha256
    steps = [(row.kind, row.step) for row in History(folder.history).rows()]
    assert len(steps) == len(set(steps))
    assert "started again, 1 of 2" in folder.results.read_text()


def test_a_crash_before_anything_was_trained_is_shown_with_its_log_and_not_tried_again(
    make_card: MakeCard, zygote: Any, tmp_path: Path
) -> None:
    card = make_card(LOCAL | {"infra.retries": 3, "training.toy.raise_at": 1})
    code, _, err = zygote.command("launch", card, "--detach", cwd=tmp_path).finish()
    assert code == 1
    assert "the log of the worker, which never trained:\n  | " in err
    assert "  | ValueError: training.toy.raise_at: step 1" in err
    assert "go on   cardrunner resume toy-run" in err
    assert events(run_of(tmp_path), "retried") == []
    assert derive_status(run_of(tmp_path)).attempts == 1


def test_the_launch_returns_at_the_proof_also_where_no_row_is_due_for_long(
    make_card: MakeCard, zygote: Any, tmp_path: Path
) -> None:
    card = make_card(SLOW | {"training.log_every": "1000 steps", "data.examples": 40000})
    code, _, err = zygote.command("launch", card, "--detach", cwd=tmp_path).finish()
    assert code == 0, err
    assert "trains: step 2, loss " in err
    folder = run_of(tmp_path)
    assert History(folder.history).rows() == []
    assert [event["step"] for event in events(folder, "training")] == [2]
    assert main(["stop", "toy-run", "--runs", str(tmp_path / "runs")]) == 0
    assert over(folder)


def test_a_run_whose_launch_was_killed_goes_on_and_gets_its_results_card(
    make_card: MakeCard, zygote: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    launch = zygote.command("launch", make_card(LOCAL | {"training.toy.step_ms": 30}), cwd=tmp_path)
    folder = run_of(tmp_path)
    until(lambda: events(folder, "training") if folder.ledger.exists() else ())
    launch.send_signal(signal.SIGKILL)
    assert main(["attach", "toy-run", "--runs", str(tmp_path / "runs")]) == 0
    assert over(folder)
    assert capsys.readouterr().out.strip() == str(folder.results)
    assert len(events(folder, "finished")) == 1


def test_when_everything_was_killed_status_says_what_is_known_and_finish_does_what_is_left(
    make_card: MakeCard, zygote: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--runs", str(tmp_path / "runs")]
    price = {"infra.price": "$3600/h", "training.checkpoint_every": "4 steps"}
    launch = zygote.command("launch", make_card(SLOW | price), cwd=tmp_path)
    folder = run_of(tmp_path)
    until(lambda: (derive_status(folder).last_durable_step or 0) >= 4 if folder.ledger.exists() else False)
    supervisor = int(events(folder, "job")[0]["id"].split(":")[1])
    for pid in (launch.pid, supervisor, worker_of(folder)):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not is_live(folder))
    assert not folder.results.exists()
    assert main(["status", "toy-run", *at]) == 0
    said = capsys.readouterr().out
    assert "toy-run interrupted" in said
    assert "killed, or the machine went down" in said
    assert "next         cardrunner resume toy-run" in said
    assert "results      missing; `cardrunner finish toy-run` makes the results card" in said
    assert main(["status", "toy-run", "--json", *at]) == 0
    seen = json.loads(capsys.readouterr().out)
    assert (seen["next"], seen["cost_usd"] > 0) == ("cardrunner resume toy-run", True)
    assert main(["finish", "toy-run", "--quiet", *at]) == 7
    assert folder.results.exists()


def test_two_who_finish_at_once_do_not_write_the_same_files(make_card: MakeCard, zygote: Any, tmp_path: Path) -> None:
    assert zygote.command("launch", make_card(LOCAL), cwd=tmp_path).wait() == 0
    folder = run_of(tmp_path)
    page = folder.results.read_bytes()
    both = [zygote.command("finish", "toy-run", cwd=tmp_path) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert len(events(folder, "finished")) == 3
    assert folder.results.read_bytes() == page


def test_of_two_resumes_at_once_one_goes_on(make_card: MakeCard, zygote: Any, tmp_path: Path) -> None:
    card = make_card(LOCAL | {"training.toy.raise_at": 9, "training.toy.step_ms": 30})
    assert zygote.command("launch", card, cwd=tmp_path).wait() == 1
    both = [zygote.command("resume", "toy-run", "--quiet", cwd=tmp_path) for _ in range(2)]
    assert sorted(process.wait() for process in both) == [0, 6]
    folder = run_of(tmp_path)
    assert derive_status(folder).attempts == 2
    assert len(events(folder, "submitted")) == 2


def test_a_worker_that_hangs_is_killed_when_stop_is_forced(
    make_card: MakeCard, zygote: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--runs", str(tmp_path / "runs")]
    card = make_card(LOCAL | {"infra.retries": 3, "training.toy.hang_at": 6})
    assert zygote.command("launch", card, "--detach", cwd=tmp_path).wait() == 0
    assert main(["stop", "toy-run", "--wait", "0.2", *at]) == 0
    assert "end it at once with `cardrunner stop toy-run --force`" in capsys.readouterr().err
    assert main(["stop", "toy-run", "--wait", "0.2", "--force", *at]) == 0
    assert "the worker was killed by signal 9 (SIGKILL)" in capsys.readouterr().out
    folder = run_of(tmp_path)
    assert (over(folder), events(folder, "retried")) == (True, [])


def test_the_inline_executor_cannot_be_detached(
    make_card: MakeCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["launch", str(make_card()), "--detach"]) == 2
    assert "use --executor local" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("package", ["wandb", "tensorboardX"])
def test_a_tracker_that_is_not_installed_refuses_the_launch_before_anything_is_created(
    make_card: MakeCard,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    package: str,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    asked = {"wandb": {"project": "p"}} if package == "wandb" else {"tensorboard": True}
    assert main(["launch", str(make_card({"infra.tracking": asked}))]) == 7
    extra = "wandb" if package == "wandb" else "tensorboard"
    assert f"{package} is not installed" in (said := capsys.readouterr().err)
    assert f"pip install 'cardrunner[{extra}]'" in said
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_who_ends_the_demo_still_gets_the_results_card_and_finish_does_the_rest(
    make_card: MakeCard, zygote: Any, tmp_path: Path, number: int, code: int
) -> None:
    slow = "import time, cardrunner.stages.demo as d\nd.DemoStage.run = lambda *a: time.sleep(60)\n"
    slow += "from cardrunner.main import entry; entry()"
    launch = zygote.code(slow, "launch", make_card(LOCAL), cwd=tmp_path)
    folder = run_of(tmp_path)
    until(lambda: derive_status(folder).stage == "demo" if folder.ledger.exists() else False)
    launch.send_signal(number)
    ended, out, _ = launch.finish()
    assert (ended, out.strip()) == (code, str(folder.results))
    assert derive_status(folder).next == "cardrunner finish toy-run"
    assert zygote.command("finish", "toy-run", cwd=tmp_path).wait() == 0
    assert derive_status(folder).next is None


@pytest.mark.parametrize(
    ("limits", "state", "sentence"),
    [
        ({"infra.timeout": "2s"}, "timed_out", "the timeout of 2s (infra.timeout) is reached"),
        (
            {"infra.price": "$3600/h", "timing.budget": "$2"},
            "stopped",
            "the budget of $2.00 (timing.budget) is spent",
        ),
    ],
)
def test_a_worker_that_hangs_beyond_its_timeout_or_budget_is_ended_and_not_started_again(
    make_card: MakeCard, zygote: Any, tmp_path: Path, limits: dict[str, str], state: str, sentence: str
) -> None:
    quick = "import cardrunner.runs.outcome as o\no.GRACE_SECONDS = 0.5\nfrom cardrunner.main import entry; entry()"
    card = make_card(LOCAL | {"infra.retries": 2, "training.toy.hang_at": 5} | limits)
    code, out, err = zygote.code(quick, "launch", card, cwd=tmp_path).finish()
    folder = run_of(tmp_path)
    assert (code, out.strip()) == (5, str(folder.results)), err
    assert f"warning: {sentence} and the worker has not ended by itself; it is asked to save" in err
    status = derive_status(folder)
    assert (status.state, status.attempts) == (state, 1)
    assert status.reason == f"{sentence}; the worker hung and was killed, what it saved before counts"
    assert sentence in folder.results.read_text()


def test_loading_beyond_the_timeout_is_ended_too(make_card: MakeCard, zygote: Any, tmp_path: Path) -> None:
    slow = """
import time, cardrunner.runs.outcome as o, cardrunner.stages.load as l
o.GRACE_SECONDS = 0.5
def load(self, ctx):
    while True:
        time.sleep(0.01)
        ctx.stop.raise_if_requested()
l.LoadStage.run = load
from cardrunner.main import entry; entry()
"""
    card = make_card(LOCAL | {"infra.timeout": "2s"})
    assert zygote.code(slow, "launch", card, cwd=tmp_path).wait() == 5
    status = derive_status(run_of(tmp_path))
    ended = "the timeout of 2s (infra.timeout) is reached; the worker ended when its supervisor asked it to"
    assert (status.state, status.stage, status.reason) == ("timed_out", "load", ended)


def test_a_stop_between_a_crash_and_its_retry_is_not_lost(
    make_card: MakeCard, zygote: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Writing down how the worker ended takes long here, and so does the time until the next one."""
    slow = "import time, cardrunner.launching.losses as r\nold = r.record_loss\n"
    slow += "r.record_loss = lambda *a, **k: (time.sleep(0.5), old(*a, **k), time.sleep(0.5))\n"
    slow += "from cardrunner.main import entry; entry()"
    card = make_card(SLOW | {"infra.retries": 2})
    assert zygote.code(slow, "launch", card, "--detach", cwd=tmp_path).wait() == 0
    folder, at = run_of(tmp_path), ["--runs", str(tmp_path / "runs")]
    os.kill(worker_of(folder), signal.SIGKILL)
    until(lambda: not is_live(folder))
    status = derive_status(folder)
    assert (status.state, status.next) == ("starting", "cardrunner attach toy-run")
    assert main(["resume", "toy-run", *at]) == 6
    until(lambda: events(folder, "attempt_ended"))
    assert main(["finish", "toy-run", *at]) == 6
    assert main(["stop", "toy-run", *at]) == 0
    assert "toy-run interrupted" in capsys.readouterr().out
    assert (over(folder), events(folder, "retried"), derive_status(folder).attempts) == (True, [], 1)
    assert folder.results.exists()


def test_who_stops_a_run_that_lost_its_supervisor_gets_its_results_card_too(
    make_card: MakeCard, zygote: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert zygote.command("launch", make_card(SLOW), "--detach", cwd=tmp_path).wait() == 0
    folder = run_of(tmp_path)
    os.kill(int(events(folder, "job")[0]["id"].split(":")[1]), signal.SIGKILL)
    until(lambda: not is_supervised(folder))
    assert main(["stop", "toy-run", "--runs", str(tmp_path / "runs")]) == 0
    assert "toy-run stopped" in capsys.readouterr().out
    assert (folder.results.exists(), over(folder)) == (True, True)

"""wandb for real: offline files read back by wandb's own `sync`, and servers that take, refuse, hang or go away."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cardrunner.runs.folder import RunFolder
from cardrunner.runs.history import History
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.status import derive_status
from tests.ledger_lines import recorded
from tests.wandb_server import KEY, Received, WandbServer

pytest.importorskip("wandb")
MakeCard = Callable[..., Path]
TRACKED = {
    "infra.executor": "local",
    "infra.tracking": {"wandb": {"entity": "team", "project": "p", "tags": ["x", "y"]}},
}
NO_KEY = {"WANDB_API_KEY": None, "NETRC": "/nonexistent", "WANDB_BASE_URL": None, "WANDB_MODE": None}
STOP = {"kill_thresholds": [{"metric": "val_loss", "above": 0.001, "action": "stop"}]}


def run_of(tmp_path: Path, name: str = "toy-run") -> RunFolder:
    return RunFolder(tmp_path / "runs" / name)


def tracker_events(folder: RunFolder) -> list[dict[str, Any]]:
    return recorded(Ledger(folder.ledger), "tracker")


def synced(folder: RunFolder) -> Received:
    """What `wandb sync` sends of a run that was kept offline."""
    runs = sorted(map(str, (folder.root / "wandb").glob("offline-run-*")))
    with WandbServer() as server:
        environment = {
            **os.environ,
            "WANDB_BASE_URL": server.url,
            "WANDB_API_KEY": KEY,
            "WANDB_ERROR_REPORTING": "false",
        }
        code = "import sys; from wandb.cli.cli import cli; sys.argv = ['wandb', 'sync', '--yes', *sys.argv[1:]]; cli()"
        done = subprocess.run(
            [sys.executable, "-c", code, *runs], env=environment, cwd=folder.tracking, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert server.received.history, done.stdout + done.stderr
    return server.received


def first_word(folder: RunFolder) -> dict[str, Any]:
    """What its tracker says first, once it does."""
    until(lambda: bool(tracker_events(folder)))
    return tracker_events(folder)[0]


def expected_steps(folder: RunFolder) -> list[int]:
    return sorted({row.step for row in History(folder.history).rows()})


@pytest.fixture
def black_hole() -> Iterator[str]:
    """A server that accepts and never answers."""
    with closing(socket.socket()) as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(64)
        yield f"http://127.0.0.1:{hole.getsockname()[1]}"


def test_a_killed_and_resumed_run_without_a_key_is_kept_offline_and_synced_later_as_one(
    make_card: MakeCard, zygote: Any, tmp_path: Path
) -> None:
    card = make_card(TRACKED | {"training.toy.hang_at": 12})
    launch = zygote.command("launch", card, cwd=tmp_path, env=NO_KEY)
    folder = run_of(tmp_path)
    until(lambda: folder.tracker_state("wandb").exists() and '"sent": 9' in folder.tracker_state("wandb").read_text())
    os.kill(json.loads(folder.lease.read_text())["pid"], 9)
    assert launch.wait() == 7
    code, _, err = zygote.command("resume", "toy-run", cwd=tmp_path, env=NO_KEY).finish()
    assert code == 0, err
    until(lambda: (tracker_events(folder)[-1]["attempt"], tracker_events(folder)[-1]["state"]) == (2, "ended"))
    assert tracker_events(folder)[0]["message"] == "there is no key: neither WANDB_API_KEY nor one in the netrc file"
    ids = {event["id"] for event in tracker_events(folder) if event["state"] == "on"}
    assert len(ids) == 1
    received = synced(folder)
    assert [row["_step"] for row in received.history] == expected_steps(folder)  # none twice, none missing
    assert received.fields["name"] == ids.pop()
    assert (received.fields["displayName"], received.fields["tags"]) == ("toy-run", ["x", "y"])
    assert received.config["card"]["training"]["epochs"] == 3
    assert received.config["card_digest"] == derive_status(folder).card_digest
    assert received.fields["summary"]["weights_sha256"] == derive_status(folder).weights_sha256
    last = History(folder.history).rows()[-1]
    assert received.history[-1]["val_loss/total"] == last.metrics["val_loss/total"]
    assert received.history[-1]["epoch/loss/total"] == last.metrics["loss/total"]


def test_a_killed_threshold_reaches_wandb_as_an_alert_while_the_server_answers(
    make_card: MakeCard, zygote: Any, tmp_path: Path
) -> None:
    with WandbServer() as server:
        env = NO_KEY | {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": server.url}
        code, _, err = zygote.command("launch", make_card(TRACKED | STOP), cwd=tmp_path, env=env).finish()
        assert code == 5, err
        folder = run_of(tmp_path)
        until(lambda: [event["state"] for event in tracker_events(folder)][-1:] == ["ended"])
    (alert,) = server.received.alerts
    assert alert[0] == "toy-run: killed"
    assert "val_loss > 0.001" in alert[1]
    told = tracker_events(folder)[0]
    assert (told["mode"], told["where"]) == ("online", f"{server.url}/team/p/runs/{told['id']}")
    assert [row["_step"] for row in server.received.history] == expected_steps(folder)
    assert server.received.fields["summary"]["state"] == "stopped"
    assert server.received.fields["exitcode"] == 5
    written = b"".join(path.read_bytes() for path in folder.root.rglob("*") if path.is_file())
    assert KEY.encode() not in written + err.encode()


def test_a_server_that_refuses_hangs_or_goes_away_changes_neither_result_nor_weights(
    make_card: MakeCard, zygote: Any, tmp_path: Path, black_hole: str
) -> None:
    slow = TRACKED | {"training.toy.step_ms": 20}
    started, env = {}, NO_KEY | {"WANDB_API_KEY": KEY}
    with WandbServer() as server:
        servers = {"refused": "http://127.0.0.1:9", "hole": black_hole, "cut": server.url}
        for name, url in servers.items():
            words = ("launch", make_card(slow, name=name))
            started[name] = zygote.command(*words, cwd=tmp_path, env=env | {"WANDB_BASE_URL": url})
        plain = zygote.command("launch", make_card({"infra.executor": "local"}, name="plain"), cwd=tmp_path)
        until(lambda: any(e["state"] == "on" for e in tracker_events(run_of(tmp_path, "cut"))))
    assert [process.wait() for process in (*started.values(), plain)] == [0, 0, 0, 0]
    weights = {derive_status(run_of(tmp_path, name)).weights_sha256 for name in (*started, "plain")}
    assert len(weights) == 1
    for name in ("refused", "hole"):  # nobody waited for them, so they may say it after the run
        told = first_word(run_of(tmp_path, name))
        assert (told["state"], told["mode"]) == ("on", "offline")
        assert "does not answer" in told["message"]
        assert told["later"].startswith("wandb sync ")
    assert tracker_events(run_of(tmp_path, "cut"))[0]["mode"] == "online"


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)

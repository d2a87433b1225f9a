from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cardrunner.common.clock import utc_seconds, utc_text
from cardrunner.errors import IntegrityError, UsageError
from cardrunner.runs.attempts import read_attempts
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.heartbeat import Heartbeat
from cardrunner.runs.history import History, HistoryRow
from cardrunner.runs.lease import Lease, read_lease
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.process_identity import ProcessIdentity
from cardrunner.runs.records import (
    BestRecord,
    Manifest,
    ManifestEntry,
    TrainRecord,
    write_record,
)
from cardrunner.runs.status import START_SECONDS, SUBMIT_SECONDS, Status, derive_status, last_exit_code
from tests.ledger_lines import record, recorded

MakeRun = Callable[..., RunFolder]
FIELDS = [
    "run",
    "workload",
    "state",
    "stage",
    "epoch",
    "step",
    "last_durable_step",
    "card_digest",
    "signed_by",
    "attempts",
    "resumed_from",
    "reason",
    "metrics",
    "best",
    "cost_usd",
    "projected_seconds",
    "projected_cost_usd",
    "started",
    "updated",
    "weights_sha256",
    "results",
    "trackers",
    "next",
    "warning",
    "damage",
    "reported",
]


@pytest.fixture
def folder(make_run: MakeRun) -> RunFolder:
    return make_run()


def begin(folder: RunFolder, attempt: int = 1) -> Ledger:
    ledger = Ledger(folder.ledger)
    record(ledger, "submitted", executor="local", detach=False)
    record(
        ledger,
        "attempt_started",
        attempt=attempt,
        executor="local",
        pid=1,
        host="here",
        resumed_from=None,
        environment={},
    )
    return ledger


def end(
    folder: RunFolder, state: str, *, attempt: int = 1, reason: str | None = None, code: int = 0, seconds: float = 1.0
) -> None:
    record(
        Ledger(folder.ledger),
        "attempt_ended",
        attempt=attempt,
        state=state,
        reason=reason,
        exit_code=code,
        seconds=seconds,
    )


def created(folder: RunFolder) -> float:
    return utc_seconds(str(recorded(Ledger(folder.ledger))[0]["at"]))


def test_the_record_has_exactly_the_documented_fields(folder: RunFolder) -> None:
    assert list(derive_status(folder).model_dump()) == FIELDS


def test_a_new_run_is_starting(folder: RunFolder) -> None:
    status = derive_status(folder)
    assert (status.state, status.stage, status.attempts, status.epoch, status.step) == ("starting", None, 0, 0, 0)
    assert (status.started, status.signed_by, status.results) == ("2026-03-01T12:00:00.000Z", ("ada",), None)


def test_a_worker_that_never_comes_is_a_failure_not_a_start(folder: RunFolder) -> None:
    record(Ledger(folder.ledger), "submitted", executor="local", detach=False)
    status = derive_status(folder, now=created(folder) + START_SECONDS + 1)
    assert status.state == "failed"
    assert "never started" in str(status.reason)


@pytest.mark.parametrize("event", ["created", "submitted"])
def test_a_launch_whose_process_has_ended_is_a_failure_within_two_seconds(folder: RunFolder, event: str) -> None:
    ended = {"host": socket.gethostname(), "pid": os.getpid(), "began": "1"}
    given = json.loads(folder.ledger.read_text().splitlines()[0])
    record(Ledger(folder.ledger), event, **{**given, "launcher": ended})
    status = derive_status(folder, now=time.time() + 2)
    assert (status.state, status.next) == ("failed", "cardrunner resume a-run")


@pytest.mark.parametrize("host", [socket.gethostname(), "other-host"])
def test_a_launch_whose_process_lives_or_is_elsewhere_is_starting(folder: RunFolder, host: str) -> None:
    launcher = ProcessIdentity.here().model_copy(update={"host": host}).model_dump()
    record(Ledger(folder.ledger), "submitted", executor="local", launcher=launcher)
    assert derive_status(folder, now=time.time() + 30).state == "starting"


def test_an_executor_says_how_long_its_workers_may_take_to_come(folder: RunFolder) -> None:
    record(Ledger(folder.ledger), "submitted", executor="far", detach=False, start_seconds=1800.0)
    assert derive_status(folder, now=created(folder) + 1700).state == "starting"
    assert derive_status(folder, now=created(folder) + 1900).state == "failed"


def test_a_launch_that_broke_off_between_folder_and_submission_is_no_start(folder: RunFolder) -> None:
    status = derive_status(folder, now=created(folder) + SUBMIT_SECONDS + 1)
    assert (status.state, status.reason) == ("failed", "the launch broke off before anything began")
    assert status.next == "cardrunner resume a-run"


def test_a_run_with_a_live_worker_is_running(folder: RunFolder) -> None:
    with Lease.acquire(folder):
        ledger = begin(folder)
        assert derive_status(folder).state == "starting"
        record(ledger, "stage_started", attempt=1, stage="train")
        status = derive_status(folder)
        assert (status.state, status.stage, status.attempts) == ("running", "train", 1)


def test_a_worker_that_died_without_a_word_never_reads_as_running(folder: RunFolder) -> None:
    with Lease.acquire(folder):
        record(begin(folder), "stage_started", attempt=1, stage="train")
    status = derive_status(folder)
    assert status.state == "interrupted"
    assert "killed, or the machine went down" in str(status.reason)
    assert last_exit_code(folder) == 7


@pytest.mark.parametrize("state", ["completed", "stopped", "investigate", "failed", "interrupted", "timed_out"])
def test_a_recorded_end_is_the_state_even_while_the_worker_still_closes_its_files(
    folder: RunFolder, state: str
) -> None:
    with Lease.acquire(folder):
        begin(folder)
        end(folder, state, reason="because", code=5)
        assert (derive_status(folder).state, derive_status(folder).reason) == (state, "because")
    assert derive_status(folder).state == state
    assert last_exit_code(folder) == 5


def test_a_resumed_run_is_judged_by_its_newest_attempt(folder: RunFolder) -> None:
    begin(folder)
    end(folder, "interrupted", code=130)
    with Lease.acquire(folder):
        record(begin(folder, attempt=2), "stage_started", attempt=2, stage="train")
        assert derive_status(folder).state == "running"
    assert derive_status(folder).attempts == 2


def test_later_stages_do_not_change_how_the_run_ended(folder: RunFolder) -> None:
    begin(folder)
    end(folder, "completed")
    record(Ledger(folder.ledger), "note", message="the card asks for no demo")
    assert derive_status(folder).state == "completed"


def test_progress_and_results_come_from_the_files(folder: RunFolder, row: Callable[..., HistoryRow]) -> None:
    history = History(folder.history)
    for made in (row(10), row(20, kind="validation", **{"val_loss": 0.5}), row(30, epoch=2)):
        history.append(made)
    best = BestRecord(metric="val_loss", mode="min", value=0.5, epoch=1, step=20)
    write_record(folder.record("train"), train_record(best))
    entries = (manifest_entry("best.pt", 20), manifest_entry("checkpoints/state-2.pt", 25))
    write_record(folder.manifest, Manifest(entries=entries))
    folder.results.write_text("# results\n")
    status = derive_status(folder)
    assert (status.epoch, status.step, status.last_durable_step) == (2, 30, 25)
    assert status.metrics == {"val_loss": 0.5}
    assert status.best == best.model_dump()
    assert status.weights_sha256 == "e" * 64
    assert status.results == str(folder.results)


def test_a_damaged_record_leaves_the_rest_readable(folder: RunFolder) -> None:
    folder.record("train").parent.mkdir()
    folder.record("train").write_text("{")
    folder.manifest.parent.mkdir()
    folder.manifest.write_text("[]")
    status = derive_status(folder)
    assert (status.best, status.last_durable_step) == ({}, None)


def test_a_run_without_its_launch_record_is_named(folder: RunFolder) -> None:
    folder.launch.unlink()
    with pytest.raises(IntegrityError, match=r"launch\.json is missing"):
        derive_status(folder)


@pytest.mark.parametrize(
    ("infra", "dollars"),
    [
        ({"platform": "local", "price": None, "gpus": 1}, 0.0),
        ({"platform": "modal", "price": None, "gpus": 1}, None),
        ({"platform": "modal", "price": 0.6, "gpus": 1}, 0.6),
        ({"platform": "local", "price": 0.6, "gpus": 2}, 1.2),
    ],
)
def test_the_cost_is_the_time_of_all_attempts_at_the_cards_price(
    make_run: MakeRun, infra: dict[str, object], dollars: float | None
) -> None:
    folder = make_run(infra=infra)
    for attempt in (1, 2):
        begin(folder, attempt)
        end(folder, "interrupted", attempt=attempt, seconds=1800)
    assert derive_status(folder).cost_usd == (None if dollars is None else pytest.approx(dollars))


def test_a_lost_attempt_costs_until_it_was_last_heard_of(make_run: MakeRun) -> None:
    folder = make_run(infra={"platform": "modal", "price": 3600.0, "gpus": 1})
    with Lease.acquire(folder):
        begin(folder)
    began = utc_seconds(str(recorded(Ledger(folder.ledger), "attempt_started")[0]["at"]))
    cost = derive_status(folder, now=began + 10_000).cost_usd
    assert cost is not None
    assert 0 <= cost < 60


def test_status_and_the_results_card_count_a_lost_attempt_alike(
    make_run: MakeRun, row: Callable[..., HistoryRow]
) -> None:
    folder = make_run(infra={"platform": "modal", "price": 3600.0, "gpus": 1})
    with Lease.acquire(folder):
        begin(folder)
    began = utc_seconds(str(recorded(Ledger(folder.ledger), "attempt_started")[0]["at"]))
    seen = row(10)
    clock = seen.clock.model_copy(update={"at": utc_text(began + 30), "attempt": 1})
    History(folder.history).append(seen.model_copy(update={"clock": clock}))
    (attempt,) = read_attempts(
        Ledger(folder.ledger).events(), rows=History(folder.history).rows(), lease=read_lease(folder)
    )
    assert attempt.seconds == pytest.approx(30)
    assert derive_status(folder, now=began + 10_000).cost_usd == pytest.approx(attempt.seconds)


def test_a_live_attempt_costs_until_now(make_run: MakeRun) -> None:
    folder = make_run(infra={"platform": "modal", "price": 3600.0, "gpus": 1})
    with Lease.acquire(folder):
        begin(folder)
        began = utc_seconds(str(recorded(Ledger(folder.ledger), "attempt_started")[0]["at"]))
        assert derive_status(folder, now=began + 100).cost_usd == pytest.approx(100, abs=0.1)


def test_an_unknown_run_is_refused_with_a_guess(make_run: MakeRun) -> None:
    folder = make_run("policy-22k")
    with pytest.raises(UsageError, match=r'no run policy-22x in .*; did you mean "policy-22k"'):
        RunFolder.existing(folder.root.parent, "policy-22x")


@pytest.mark.parametrize("name", ["../x", "/etc", ".hidden", "a/b", "-x", "A", "", "x" * 65, "ok\n"])
def test_a_run_name_with_a_path_in_it_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        RunFolder.existing(tmp_path, name)


def test_a_linked_run_folder_is_refused(make_run: MakeRun) -> None:
    folder = make_run("real")
    (folder.root.parent / "linked").symlink_to(folder.root)
    with pytest.raises(UsageError, match="symbolic link"):
        RunFolder.existing(folder.root.parent, "linked")
    assert [known.name for known in RunFolder.all(folder.root.parent)] == ["real"]


def test_a_status_knows_whether_more_is_to_come(folder: RunFolder) -> None:
    status = derive_status(folder)
    assert status.live
    assert not Status.model_validate(status.model_dump() | {"state": "failed"}).live


def test_times_sort_as_text() -> None:
    times = [utc_text(seconds) for seconds in (0.0, 0.5, 1e9, 1.5e9)]
    assert times == sorted(times)
    assert utc_seconds(times[1]) == 0.5


def train_record(best: BestRecord) -> TrainRecord:
    return TrainRecord(
        epochs_planned=5, epochs_done=1, steps=30, steps_per_epoch=20, examples=300, parameters=7,
        device="cpu", precision="float32", threads=1,
        seconds=1.0, train_seconds=0.9, wait_seconds=0.1, best=best, baselines={}, weights_sha256="e" * 64,
    )  # fmt: skip


def manifest_entry(file: str, step: int) -> ManifestEntry:
    roles = ("state",) if file.startswith("checkpoints/") else ("best",)
    return ManifestEntry(file=file, sha256="a" * 64, bytes=1, weights_sha256="b" * 64, epoch=1, step=step, roles=roles)


def test_a_run_that_trains_without_a_step_for_long_is_a_warning(folder: RunFolder) -> None:
    with Lease.acquire(folder):
        ledger = begin(folder)
        record(ledger, "stage_started", attempt=1, stage="load")
        assert derive_status(folder, now=created(folder) + 900).warning is None  # data may load for long
        record(ledger, "stage_ended", attempt=1, stage="load", ok=True)
        record(ledger, "stage_started", attempt=1, stage="train")
        later = created(folder) + 400
        said = "no step for 6 min; if it hangs, `cardrunner stop a-run --force` ends it at once"
        assert derive_status(folder, now=later).warning == said
        Heartbeat(folder.heartbeat, attempt=7).beat(epoch=1, step=9, examples=90, train_seconds=1.0)
        assert derive_status(folder, now=later).warning == said
        beat = {"at": utc_text(later - 200), "attempt": 1, "epoch": 1, "step": 9, "examples": 90, "train_seconds": 1.0}
        folder.heartbeat.write_text(json.dumps(beat))
        assert derive_status(folder, now=later).warning is None
        end(folder, "completed")
        assert derive_status(folder, now=later + 900).warning is None


@pytest.mark.parametrize("recorded", [True, False])
def test_between_a_crash_and_its_retry_a_supervised_run_is_live(make_run: MakeRun, recorded: bool) -> None:
    infra = {"platform": "local", "price": None, "gpus": 1}
    folder, other = make_run(infra=infra | {"retries": 2}), make_run("other", infra=infra | {"retries": 0})
    for run in (folder, other):
        begin(run)
        if recorded:
            end(run, "interrupted", reason="killed", code=7)
    with Lease.supervise(folder), Lease.supervise(other):
        status = derive_status(folder)
        why = " (killed)" if recorded else ""
        said = f"attempt 1 crashed{why}; its supervisor may start another one"
        assert (status.state, status.reason, status.next) == ("starting", said, "cardrunner attach a-run")
        assert derive_status(folder, supervising=True).state == "interrupted"
        assert derive_status(other).state == "interrupted"
        record(Ledger(folder.ledger), "finishing")
        assert derive_status(folder).state == "interrupted"
        record(Ledger(folder.ledger), "retried", attempt=1, retry=1, of=2, reason="killed")
        record(Ledger(folder.ledger), "submitted", executor="local", detach=True)
        assert (derive_status(folder).state, derive_status(folder).reason) == ("starting", "retry 1 of 2: killed")
        begin(folder, attempt=2)
        assert derive_status(folder).live
        end(folder, "stopped", attempt=2, code=5)
        assert derive_status(folder).state == "stopped"
    assert derive_status(folder).state == "stopped"


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("investigate", "paused to investigate"),
        ("failed", "s.pt belongs to something else; `cardrunner resume a-run --acknowledge TEXT` continues anyway"),
    ],
)
def test_an_end_that_asks_for_an_answer_names_the_command_that_gives_it(
    folder: RunFolder, state: str, reason: str
) -> None:
    begin(folder)
    end(folder, state, reason=reason, code=4)
    assert derive_status(folder).next == 'cardrunner resume a-run --acknowledge "why it may go on"'

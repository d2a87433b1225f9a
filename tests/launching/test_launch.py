"""Launches from end to end, in this process, with the toy workload."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cardrunner import errors
from cardrunner.launching.finish import RunEnd, finish_run
from cardrunner.launching.launch import LaunchOptions, launch, resume
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.history import History
from cardrunner.runs.inspect import run_damage
from cardrunner.runs.lease import Lease
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.records import DownloadRecord, LoadRecord, TrainRecord, read_record
from cardrunner.runs.status import derive_status
from cardrunner.tracking.progress import NullProgress
from tests.ledger_lines import recorded

MakeCard = Callable[..., Path]


STOP = {"metric": "val_loss", "above": 0.001, "action": "stop"}


def run(card: Path, **options: object) -> RunEnd:
    return launch(card, LaunchOptions(**options), progress=NullProgress())  # type: ignore[arg-type]


def go_on(folder: RunFolder, *, acknowledge: str | None = None) -> RunEnd:
    return resume(folder, acknowledge=acknowledge, progress=NullProgress())


def folder_of(card: Path, name: str = "toy-run") -> RunFolder:
    return RunFolder(card.parent.parent / "runs" / name)


def events(folder: RunFolder, *names: str) -> list[dict[str, object]]:
    return recorded(Ledger(folder.ledger), *names)


def plain(markdown: str) -> str:
    """Without the backslashes that keep text from being markup."""
    return markdown.replace("\\", "")


def when(condition: Callable[[], bool], act: Callable[[], object]) -> threading.Thread:
    """Act from beside, once."""

    def watch() -> None:
        until = time.monotonic() + 60
        while not condition() and time.monotonic() < until:
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def trains(folder: RunFolder) -> Callable[[], bool]:
    return lambda: len(History(folder.history).rows()) > 0


def test_a_signed_card_ends_with_a_results_card(signed_card: Path) -> None:
    ending = run(signed_card)
    assert (ending.exit_code, ending.status.state, ending.problem) == (0, "completed", None)
    folder = ending.folder
    assert folder.card_yaml.read_bytes() == signed_card.read_bytes()
    assert folder.results.read_text().startswith("# Results: toy-run")
    assert (signed_card.parent.parent / "out" / "toy-run.pt").read_bytes() == folder.best.read_bytes()
    stages = [(event["stage"], event["ok"]) for event in events(folder, "stage_ended")]
    assert stages == [("load", True), ("train", True), ("checkpoint", True), ("download", True), ("demo", True)]
    assert [event["event"] for event in events(folder)][-2:] == ["finished", "sealed"]
    assert run_damage(folder) == []


def test_a_finished_run_is_not_launched_again(signed_card: Path) -> None:
    run(signed_card)
    before = len(events(folder_of(signed_card)))
    with pytest.raises(errors.NameTaken, match="toy-run is completed; launch it again under another --run-name"):
        run(signed_card)
    with pytest.raises(errors.NameTaken, match="nothing to resume"):
        go_on(folder_of(signed_card))
    assert len(events(folder_of(signed_card))) == before


def test_a_live_run_is_not_launched_again(signed_card: Path) -> None:
    run(signed_card)
    folder = folder_of(signed_card)
    ledger = folder.ledger.read_text().splitlines(keepends=True)
    folder.ledger.write_text("".join(line for line in ledger if "attempt_ended" not in line))
    with Lease.acquire(folder), pytest.raises(errors.NameTaken, match="watch it with `cardrunner attach toy-run`"):
        run(signed_card)


@pytest.mark.parametrize("signed", [None, False])
def test_a_closed_gate_creates_nothing(make_card: MakeCard, signed: bool | None) -> None:
    card = make_card({"sign_off.reviewers": [{"id": "ada", "signed": signed}]})
    with pytest.raises(errors.GateClosed, match="ada"):
        run(card)
    assert not folder_of(card).root.parent.exists()


def test_a_card_with_faults_creates_nothing(make_card: MakeCard) -> None:
    card = make_card({"training.epochs": "many"})
    with pytest.raises(errors.CardError):
        run(card)
    assert not folder_of(card).root.parent.exists()


def test_a_run_name_is_for_repeatable_cards(make_card: MakeCard) -> None:
    once, often = make_card({"repeat": False}), make_card(name="often")
    with pytest.raises(errors.UsageError, match="--run-name needs `repeat: true`"):
        run(once, run_name="again")
    with pytest.raises(errors.UsageError, match="is not a run name"):
        run(often, run_name="../again")
    assert not folder_of(once).root.parent.exists()
    assert [run(often).exit_code, run(often, run_name="again").exit_code] == [0, 0]
    assert derive_status(folder_of(often, "again")).state == "completed"
    with pytest.raises(errors.NameTaken, match="launch it again under another --run-name"):
        run(often)


def test_a_modal_card_passes_the_gate_and_then_says_what_is_missing(make_card: MakeCard) -> None:
    pytest.importorskip("modal")
    modal = {"platform": "modal", "gpu": "T4", "timeout": "1h", "volume": "v"}
    card = make_card({"infra": modal})
    with pytest.raises(errors.EnvironmentFailed, match="there is no Modal token here; run `modal token new`"):
        run(card)
    with pytest.raises(errors.UsageError, match="would change what was signed"):
        run(card, executor="local")
    make_card({"infra": modal, "sign_off.reviewers": [{"id": "ada", "signed": None}]})
    with pytest.raises(errors.GateClosed):
        run(card)
    assert not folder_of(card).root.parent.exists()


def test_another_folder_for_runs(signed_card: Path, tmp_path: Path) -> None:
    assert run(signed_card, runs=tmp_path / "elsewhere").folder.root == tmp_path / "elsewhere" / "toy-run"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_has_its_results_card_and_goes_on(make_card: MakeCard, number: int, code: int) -> None:
    card = make_card({"training.toy.step_ms": 20})
    folder = folder_of(card)
    when(trains(folder), lambda: os.kill(os.getpid(), number))
    ending = run(card)
    assert (ending.exit_code, ending.status.state) == (code, "interrupted")
    assert ending.status.last_durable_step is not None
    assert "nterrupted" in folder.results.read_text()
    with pytest.raises(errors.NameTaken, match="go on with `cardrunner resume toy-run`"):
        run(card)
    resumed = go_on(folder)
    assert (resumed.exit_code, resumed.status.state, resumed.status.attempts) == (0, "completed", 2)
    assert resumed.status.resumed_from is not None
    assert read_record(folder.record("train"), TrainRecord).epochs_done == 3
    steps = [(row.kind, row.step) for row in History(folder.history).rows()]
    assert len(steps) == len(set(steps))


def test_a_resumed_run_has_the_weights_of_one_that_was_never_interrupted(make_card: MakeCard) -> None:
    straight = run(make_card(name="straight"))
    card = make_card({"training.toy.step_ms": 20}, name="broken")
    folder = folder_of(card, "broken")
    when(lambda: len(History(folder.history).rows()) > 4, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert run(card).exit_code == 130
    assert go_on(folder).status.weights_sha256 == straight.status.weights_sha256


def test_a_run_stops_when_it_is_asked_to(make_card: MakeCard) -> None:
    card = make_card({"training.toy.step_ms": 50, "training.epochs": 20})
    folder = folder_of(card)
    when(trains(folder), lambda: folder.stop_request.write_text("{}"))
    ending = run(card)
    assert (ending.exit_code, ending.status.state) == (5, "stopped")
    assert folder.results.exists()
    assert not events(folder, "stage_ended")[-1]["ok"]


def test_a_rule_that_stops_ends_with_5_and_a_results_card(make_card: MakeCard) -> None:
    ending = run(make_card({"kill_thresholds": [STOP]}))
    assert (ending.exit_code, ending.status.state) == (5, "stopped")
    assert ending.folder.results.exists()


def test_a_paused_run_waits_for_an_answer(make_card: MakeCard) -> None:
    ending = run(make_card({"kill_thresholds": [STOP | {"action": "investigate"}], "training.epochs": 1}))
    assert (ending.exit_code, ending.status.state) == (8, "investigate")
    with pytest.raises(errors.RunPaused, match="--acknowledge"):
        go_on(ending.folder)
    resumed = go_on(ending.folder, acknowledge="the limit was a typing error")
    assert events(ending.folder, "acknowledged")[0]["text"] == "the limit was a typing error"
    assert resumed.exit_code == 0


def test_memory_that_runs_out_restarts_the_run_with_what_the_card_says(make_card: MakeCard) -> None:
    rule = {"event": "out_of_memory", "action": "restart", "set": {"training.batch_size": 16}}
    ending = run(make_card({"kill_thresholds": [rule], "training.toy.oom_at": 3}))
    assert ending.exit_code == 0
    (restarted,) = events(ending.folder, "restarted")
    assert restarted["set"] == {"training.batch_size": 16}
    assert ending.status.step > 3 * 8  # smaller batches, more steps
    page = ending.folder.results.read_text()
    assert "went on with training.batch_size = 16" in plain(page)
    assert "| Batch size | 16 | per forward pass and process |" in page
    assert "| Effective batch | 16 | examples per optimizer step |" in page


def test_memory_that_runs_out_without_a_rule_splits_the_batch_and_the_results_card_says_so(make_card: MakeCard) -> None:
    ending = run(make_card({"training.toy.oom_at": 3}))
    assert (ending.exit_code, ending.status.step) == (0, 3 * 8)
    page = ending.folder.results.read_text()
    assert "| Out of memory at step 3 | batches in 2 pieces from there on |" in page
    assert "| Effective batch | 32 |" in page


def test_every_attempt_records_its_data_and_its_memory(make_card: MakeCard) -> None:
    folder = run(make_card({"training.toy.raise_at": 3})).folder
    assert go_on(folder).exit_code == 0
    digests = [str(event["digest"]) for event in events(folder, "data_opened")]
    assert len(digests) == 2
    assert len(set(digests)) == 1
    assert all(int(str(event["peak_memory_bytes"])) > 10**7 for event in events(folder, "attempt_ended"))
    page = folder.results.read_text()
    assert page.count(f"`{digests[0][:12]}`") == 2
    assert "| Sources of cardrunner |" in page


def test_a_failure_inside_is_a_bug_with_a_log(make_card: MakeCard) -> None:
    ending = run(make_card({"training.toy.raise_at": 3}))
    assert (ending.exit_code, ending.status.state) == (1, "failed")
    assert "training.toy.raise_at: step 3" in str(ending.status.reason)
    assert "Traceback" in ending.folder.log.read_text()
    assert ending.folder.results.exists()
    assert go_on(ending.folder).exit_code == 0


def test_a_card_that_was_changed_after_the_launch_does_not_run(make_card: MakeCard) -> None:
    card = make_card({"kill_thresholds": [STOP]})
    folder = run(card).folder
    folder.card_yaml.write_text(folder.card_yaml.read_text().replace("0.001", "1000"))
    with pytest.raises(errors.IntegrityError, match="was changed after the launch"):
        go_on(folder, acknowledge="the limit was a typing error")


def test_a_card_that_is_edited_in_the_workspace_does_not_touch_the_run(make_card: MakeCard) -> None:
    card = make_card({"training.toy.raise_at": 3})
    folder = run(card).folder
    card.write_text(card.read_text().replace('"epochs": 3', '"epochs": 9'))
    assert go_on(folder).status.epoch == 3


def test_finishing_again_changes_nothing_but_what_is_missing(signed_card: Path) -> None:
    folder = run(signed_card).folder
    page = folder.results.read_text()
    copy = signed_card.parent.parent / "out" / "toy-run.pt"
    record = read_record(folder.record("download"), DownloadRecord)
    assert finish_run(folder, progress=NullProgress()).exit_code == 0
    assert read_record(folder.record("download"), DownloadRecord) == record
    copy.write_bytes(b"damaged")
    folder.results.unlink()
    assert finish_run(folder, progress=NullProgress()).exit_code == 0
    assert copy.read_bytes() == folder.best.read_bytes()
    assert folder.results.exists()
    assert page


def test_a_damaged_checkpoint_is_not_copied(signed_card: Path) -> None:
    folder = run(signed_card).folder
    copy = signed_card.parent.parent / "out" / "toy-run.pt"
    copy.unlink()
    data = bytearray(folder.best.read_bytes())
    data[len(data) // 2] ^= 1
    folder.best.write_bytes(bytes(data))
    ending = finish_run(folder, progress=NullProgress())
    assert ending.exit_code == 4
    assert "its sha256 is" in str(ending.problem)
    assert not copy.exists()
    assert not list(copy.parent.iterdir())


def test_a_run_that_lost_its_card_is_named(signed_card: Path) -> None:
    folder = run(signed_card).folder
    folder.card_yaml.unlink()
    ending = finish_run(folder, progress=NullProgress())
    assert ending.exit_code == 4


def test_a_folder_in_the_way_is_left_alone(signed_card: Path) -> None:
    folder_of(signed_card).root.mkdir(parents=True)
    with pytest.raises(errors.NameTaken, match="is not a run; move it away"):
        run(signed_card)


def test_the_load_stage_left_its_table(signed_card: Path) -> None:
    record = read_record(run(signed_card).folder.record("load"), LoadRecord)
    assert (record.train_examples, record.val_examples) == (256, 64)
    assert {"train examples", "validation examples"} <= {fact.name for fact in record.facts}
    assert all(fact.ok for fact in record.facts)

"""The train stage on the toy workload: what it leaves behind, how it ends, and that it goes on exactly."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cardrunner.errors import (
    EnvironmentFailed,
    IntegrityError,
    Interrupted,
    RestartWanted,
    RunPaused,
    RunStopped,
    Terminated,
    TimedOut,
    UsageError,
)
from cardrunner.runs.interrupts import StopRequest
from cardrunner.runs.ledger import Ledger
from cardrunner.training import assembly
from tests.ledger_lines import record
from tests.stopping import StopAfter

MakeRun = Callable[..., Any]
STEPS = 8
"""Steps of an epoch of the toy card."""


def finished(run: Any) -> Any:
    """Attempts until the run is done."""
    while run.train().ended is not None:
        pass
    return run


# ------------------------------------------------------------ what it leaves behind


def test_a_run_leaves_history_checkpoints_and_a_record(toy_run: MakeRun) -> None:
    run = toy_run().train()
    assert run.ended is None
    assert [(row.kind, row.step) for row in run.rows] == [
        ("train", 3), ("train", 6), ("validation", 8), ("train", 9), ("train", 12), ("train", 15), ("validation", 16),
        ("train", 18), ("train", 21), ("train", 24), ("validation", 24),
    ]  # fmt: skip
    record = run.record
    assert (record.epochs_done, record.steps, record.examples, record.steps_per_epoch) == (3, 24, 768, 8)
    assert (record.parameters, record.device, record.precision, record.threads) == (291, "cpu", "float32", 1)
    assert (record.processes, record.batch_size, record.effective_batch, record.splits) == (1, 32, 32, ())
    assert {row.clock.attempt for row in run.rows} == {1}
    assert record.best is not None
    assert record.baselines["majority class"]["val_loss/total"] > 1
    assert 0 < record.train_seconds < record.seconds
    assert {role for entry in run.manifest.entries for role in entry.roles} == {"best", "latest", "state"}
    assert run.folder.best.exists()


def test_a_validation_row_holds_the_epochs_training_metrics_too(toy_run: MakeRun) -> None:
    row = toy_run().train().rows[2]
    assert set(row.metrics) == {f"{prefix}{name}" for prefix in ("", "val_") for name in (
        "loss/total", "metric/accuracy", "metric/first_class_accuracy")}  # fmt: skip
    assert set(row.per_batch) == set(row.metrics)
    assert row.clock.epoch_seconds is not None


def test_the_exported_checkpoint_has_the_existing_format(toy_run: MakeRun) -> None:
    run = toy_run().train()
    content = torch.load(run.folder.best, weights_only=True)
    assert set(content) == {"epoch", "model_state_dict", "optimizer_state_dict", "val_loss", "config", "cardrunner"}
    assert content["epoch"] == run.record.best.epoch - 1
    assert content["config"]["model_type"] == "toy_mlp"
    assert {"exp_avg", "exp_avg_sq", "step"} == set(content["optimizer_state_dict"]["state"][0])
    assert content["cardrunner"]["step"] == run.record.best.step


def test_the_best_checkpoint_follows_the_selected_metric_and_not_the_loss(toy_run: MakeRun) -> None:
    select = {"metric": "accuracy", "mode": "max"}
    run = toy_run({"training.select": select, "training.epochs": 6, "training.learning_rate": 0.05}).train()
    values = [row.metrics["val_metric/accuracy"] for row in run.rows if row.kind == "validation"]
    assert run.record.best.metric == "val_metric/accuracy"
    assert run.record.best.value == max(values)
    assert run.record.best.epoch == values.index(max(values)) + 1


def test_the_same_card_gives_the_same_run_twice(toy_run: MakeRun) -> None:
    one, two = toy_run(name="one").train(), toy_run(name="two").train()
    assert one.facts() == two.facts()
    assert one.record.weights_sha256 == two.record.weights_sha256


def test_a_finished_run_has_nothing_left_to_train(toy_run: MakeRun) -> None:
    run = toy_run().train()
    facts, record = run.facts(), run.record
    assert run.train().ended is None
    assert run.facts() == facts
    assert run.record.weights_sha256 == record.weights_sha256


# ------------------------------------------------------------ going on exactly

CADENCES = [
    {"training.checkpoint_every": "1 epoch"},
    {"training.checkpoint_every": "1 step"},
    {"training.checkpoint_every": "3 steps"},
    {"training.checkpoint_every": "8 steps"},  # falls together with the end of an epoch
    {"training.checkpoint_every": "5 ms"},
    {"training.checkpoint_every": "2 epochs", "training.schedule_unit": "step", "training.warmup": 5},
    {"training.checkpoint_every": "5 steps", "training.gradient_accumulation": 3, "training.drop_last": False},
    {"training.optimizer": "sgd", "training.workers": 2, "training.log_every": "1 epoch"},
    {"training.precision": "bf16", "data.examples": 300, "training.drop_last": False},
]


@pytest.mark.parametrize("changes", CADENCES, ids=lambda changes: " ".join(str(value) for value in changes.values()))
def test_a_run_stopped_anywhere_goes_on_to_the_same_bits(toy_run: MakeRun, changes: dict[str, Any]) -> None:
    whole = toy_run(changes, name="whole").train()
    for looks in range(CADENCES.index(changes), 32, 9):  # it is looked at 32 times, fewer with fewer steps
        run = toy_run(changes, name=f"stopped-{looks}")
        run.train(stop=StopAfter(looks))
        assert run.ended is None or isinstance(run.ended, Terminated), looks
        run.train()
        assert run.ended is None, looks
        assert run.facts() == whole.facts(), looks
        assert run.record.weights_sha256 == whole.record.weights_sha256, looks
        assert run.record.best == whole.record.best, looks
        assert run.record.baselines == whole.record.baselines, looks


def test_a_run_stopped_again_and_again_goes_on_to_the_same_bits(toy_run: MakeRun) -> None:
    whole = toy_run(name="whole").train()
    run = toy_run(name="often")
    while isinstance(run.train(stop=StopAfter(4)).ended, Terminated):
        assert run.attempts < 30
    assert run.facts() == whole.facts()
    assert run.record.weights_sha256 == whole.record.weights_sha256


def test_sigterm_saves_so_that_nothing_is_trained_twice(toy_run: MakeRun) -> None:
    run = toy_run({"training.checkpoint_every": "3 epochs"})
    run.train(stop=StopAfter(2 + 13))  # 2 looks in the baselines
    assert isinstance(run.ended, Terminated)
    (state,) = (entry for entry in run.manifest.entries if "state" in entry.roles)
    assert (state.epoch, state.step) == (2, 12)
    assert state.file == "checkpoints/state-e0002-s000000012.pt"


TRAIN = """
import sys
from pathlib import Path
from cardrunner import registry
from cardrunner.errors import EnvironmentFailed
from cardrunner.launching.pipeline import open_context
from cardrunner.runs.events import AttemptStarted
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.interrupts import StopRequest
from cardrunner.training import assembly
from cardrunner.tracking.progress import NullProgress
attempt = int(sys.argv[2])
ctx = open_context(RunFolder(Path(sys.argv[1])), stop=StopRequest(), progress=NullProgress(), attempt=attempt)
ctx.ledger.append(AttemptStarted(attempt=attempt))
try:
    registry.stage("train").run(ctx)
except EnvironmentFailed as error:
    print(error)
"""


def train_apart(zygote: Any, run: Any, *, limit: int | None = None) -> Any:
    """One attempt in a process of its own."""
    run.attempts += 1
    return zygote.code(TRAIN, run.folder.root, run.attempts, cwd=run.folder.root, limit=limit)


def test_a_run_killed_at_any_moment_goes_on_to_the_same_bits(toy_run: MakeRun, zygote: Any) -> None:
    changes = {"training.checkpoint_every": "2 steps", "training.epochs": 6, "training.toy": {"step_ms": 5}}
    whole = toy_run(changes, name="whole").train()
    for after in (0.02, 0.05, 0.1, 0.2, 0.3, 0.4):
        run = toy_run(changes, name=f"killed-{after}")
        process = train_apart(zygote, run)
        time.sleep(after)
        process.send_signal(signal.SIGKILL)
        process.wait()
        finished(run)
        assert run.facts() == whole.facts()
        assert run.record.weights_sha256 == whole.record.weights_sha256


def test_a_process_that_exits_in_a_step_is_resumed(toy_run: MakeRun, zygote: Any) -> None:
    whole = toy_run(name="whole").train()
    run = toy_run({"training.toy": {"exit_at": 13}}, name="exits")
    assert train_apart(zygote, run).wait() == 9
    assert [row.step for row in run.rows if row.kind == "validation"] == [8]
    finished(run)
    assert run.facts() == whole.facts()
    assert run.record.weights_sha256 == whole.record.weights_sha256


def test_a_stop_verdict_that_a_kill_cut_short_still_ends_the_run(toy_run: MakeRun) -> None:
    rule = {"metric": "val_loss", "above": 0.1, "action": "stop"}
    run = toy_run({"kill_thresholds": [rule]})
    assert isinstance(run.train().ended, RunStopped)
    lines = run.folder.ledger.read_text().splitlines(keepends=True)
    run.folder.ledger.write_text("".join(line for line in lines if '"attempt_ended"' not in line))
    assert isinstance(run.train().ended, RunStopped)
    assert run.record.steps == STEPS


# ------------------------------------------------------------ checkpoints that are not what they were


def states(run: Any) -> list[Path]:
    return sorted(run.folder.checkpoints.glob("state-*.pt"))


def interrupted(run: Any, *, looks: int = 17) -> Any:
    run.train(stop=StopAfter(looks))
    assert isinstance(run.ended, Terminated)
    return run


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("spoil", [truncate, flip_a_bit, remove])
def test_a_bad_checkpoint_is_named_and_put_aside_and_the_one_before_used(
    toy_run: MakeRun, spoil: Callable[[Path], None]
) -> None:
    changes = {"training.checkpoint_every": "2 steps"}
    whole = toy_run(changes, name="whole").train()
    run = interrupted(toy_run(changes, name="spoilt"))
    *_, newest = states(run)
    spoil(newest)
    finished(run)
    (warning,) = run.events("warning")
    assert newest.name in warning["message"]
    assert "checkpoints/rejected" in warning["message"]
    assert [path.name.removesuffix(".missing") for path in (run.folder.checkpoints / "rejected").iterdir()] == [
        newest.name
    ]
    assert run.facts() == whole.facts()
    assert run.record.weights_sha256 == whole.record.weights_sha256


def test_without_a_usable_checkpoint_the_run_refuses_to_begin_again(toy_run: MakeRun) -> None:
    run = interrupted(toy_run({"training.checkpoint_every": "2 steps"}))
    for path in states(run):
        flip_a_bit(path)
    for _ in range(2):  # also the second time, when all bad ones are out of sight
        run.train()
        assert isinstance(run.ended, IntegrityError)
        assert "no usable checkpoint" in str(run.ended)


def test_checkpoints_without_their_manifest_are_not_trusted(toy_run: MakeRun) -> None:
    run = interrupted(toy_run())
    run.folder.manifest.unlink()
    assert isinstance(run.train().ended, IntegrityError)
    assert "nothing vouches for" in str(run.ended)


def transplanted(source: Any, target: Any) -> None:
    """Put another run's checkpoints, manifest and all, into a run."""
    target.folder.checkpoints.mkdir()
    for path in source.folder.checkpoints.glob("*.*"):
        (target.folder.checkpoints / path.name).write_bytes(path.read_bytes())
    target.folder.history.write_bytes(source.folder.history.read_bytes())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"goal": "Something else."}, "another card"),
        ({"data.seed": 5}, "other data"),
        ({"training.threads": 2}, "1 CPU threads, now 2"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused_until_acknowledged(
    toy_run: MakeRun, changes: dict[str, Any], sentence: str
) -> None:
    source = interrupted(toy_run(name="source"))
    run = toy_run(changes, name="target")
    transplanted(source, run)
    run.train()
    assert isinstance(run.ended, IntegrityError)
    assert sentence in str(run.ended)
    assert "--acknowledge" in str(run.ended)
    record(run.context().ledger, "acknowledged", text="we know")
    run.train()
    assert run.ended is None
    assert any(sentence in note for note in run.record.notes)


def test_a_checkpoint_of_another_model_is_refused_even_when_acknowledged(toy_run: MakeRun) -> None:
    source = interrupted(toy_run(name="source"))
    run = toy_run({"model.hidden_dim": 30}, name="target")
    transplanted(source, run)
    record(run.context().ledger, "acknowledged", text="we know")
    run.train()
    assert isinstance(run.ended, IntegrityError)
    assert "layers.0.weight is float32 (24, 8) where the model has float32 (30, 8)" in str(run.ended)


def test_a_history_that_lost_rows_is_noticed(toy_run: MakeRun) -> None:
    run = interrupted(toy_run())
    run.folder.history.write_text("")
    run.train()
    assert isinstance(run.ended, IntegrityError)
    assert "rows were lost" in str(run.ended)


def test_a_disk_that_fills_while_saving_leaves_the_previous_checkpoint_intact(toy_run: MakeRun, zygote: Any) -> None:
    whole = toy_run(name="whole").train()
    run = interrupted(toy_run(name="full"))
    before = {
        path: path.read_bytes() for path in (*states(run), run.folder.best, run.folder.latest, run.folder.manifest)
    }
    limit = max(len(data) for data in before.values()) - 2000  # history and ledger fit, a full state does not
    code, out, err = train_apart(zygote, run, limit=limit).finish()
    assert code == 0, err
    assert "ulimit" in out
    assert {path: path.read_bytes() for path in before} == before
    assert not list(run.folder.checkpoints.glob(".*"))
    finished(run)
    assert run.facts() == whole.facts()
    assert run.record.weights_sha256 == whole.record.weights_sha256


def test_other_code_is_refused_until_acknowledged(toy_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run = interrupted(toy_run())
    monkeypatch.setattr(assembly, "code_sha256", lambda *modules: "f" * 64)
    run.train()
    assert isinstance(run.ended, IntegrityError)
    assert "it was trained by other code (sources" in str(run.ended)
    record(run.context().ledger, "acknowledged", text="only a message was reworded")
    assert run.train().ended is None
    assert any("it was trained by other code" in note for note in run.record.notes)


def test_a_state_that_is_saved_between_steps_holds_the_seconds_so_far(toy_run: MakeRun) -> None:
    run = toy_run({"training.checkpoint_every": "3 steps", "training.toy.raise_at": 8})
    with pytest.raises(ValueError, match="raise_at"):
        run.train()
    state = torch.load(states(run)[-1], weights_only=True)
    assert (state["cursor"]["step"], state["findings"]["seconds"] >= state["cursor"]["train_seconds"] > 0) == (6, True)
    assert 0 < state["findings"]["wait_seconds"] <= state["findings"]["seconds"]


def test_what_was_really_loaded_stands_in_the_ledger(toy_run: MakeRun) -> None:
    run = interrupted(toy_run({"training.checkpoint_every": "2 steps"}))
    before, newest = states(run)
    flip_a_bit(newest)
    finished(run)
    (event,) = run.events("resumed")
    assert event["file"] == f"checkpoints/{before.name}"
    assert f"s{event['step']:09d}" in before.name


# ------------------------------------------------------------ rules, limits and trouble


def rule(**fields: Any) -> dict[str, Any]:
    return {"kill_thresholds": [fields]}


def test_a_stop_rule_ends_the_run_with_everything_saved(toy_run: MakeRun) -> None:
    run = toy_run(rule(metric="val_accuracy", below="99%", after="2 epochs", action="stop")).train()
    assert isinstance(run.ended, RunStopped)
    assert not isinstance(run.ended, TimedOut)
    assert "val_accuracy < 0.99 after epoch 2" in str(run.ended)
    (verdict,) = run.events("verdict")
    assert (verdict["rule"], verdict["action"], verdict["epoch"], verdict["step"]) == (0, "stop", 2, 16)
    assert (run.record.epochs_done, run.manifest.entries[-1].step) == (2, 16)


def test_an_investigate_rule_pauses_and_the_run_can_go_on(toy_run: MakeRun) -> None:
    changes = rule(metric="val_loss", above=0.8, after="1 epoch", action="investigate")
    run, whole = toy_run(changes), toy_run(name="whole").train()
    assert isinstance(run.train().ended, RunPaused)
    record(Ledger(run.folder.ledger), "acknowledged", text="we looked")
    assert run.train().ended is None
    assert run.facts() == whole.facts()


def test_a_warning_rule_is_recorded_and_the_run_goes_on(toy_run: MakeRun) -> None:
    run = toy_run(rule(metric="val_loss", above=0.1, action="warn")).train()
    assert run.ended is None
    assert [verdict["epoch"] for verdict in run.events("verdict")] == [1]  # it stays true


def test_a_restart_rule_asks_once(toy_run: MakeRun) -> None:
    changes = {"training.learning_rate": 0.001}
    run = toy_run(rule(metric="val_loss", above=0.1, after="2 epochs", action="restart", set=changes)).train()
    assert isinstance(run.ended, RestartWanted)
    assert run.ended.changes == changes
    record(run.context().ledger, "restarted", attempt=2, reason="", set=changes)
    run.train(changes=changes)
    assert isinstance(run.ended, RunStopped)
    assert "has been made already" in str(run.ended)
    assert run.rows[-1].learning_rate == pytest.approx(0.00025)  # the schedule keeps its place at a tenth of the rate


def test_nan_in_training_ends_the_epoch_at_the_next_log_row(toy_run: MakeRun) -> None:
    run = toy_run({"training.toy": {"nan_at": 10}}).train()
    assert isinstance(run.ended, RunStopped)
    assert "not finite at step 12 in epoch 2" in str(run.ended)
    last = run.rows[-1]
    assert (last.kind, last.step) == ("validation", 12)
    assert math.isnan(last.metrics["val_loss/total"])
    assert math.isnan(last.per_batch["loss/total"])
    assert run.record.best.epoch == 1  # a NaN never wins
    assert max(entry.step for entry in run.manifest.entries) == 8  # and is never saved over what was good
    assert "NaN" in run.folder.history.read_text()


def test_nan_is_first_of_all_the_business_of_the_rules(toy_run: MakeRun) -> None:
    changes = rule(metric="val_loss", above=5.0, action="investigate") | {"training.toy": {"nan_at": 10}}
    run = toy_run(changes).train()
    assert isinstance(run.ended, RunPaused)
    run.train()  # a fault strikes once, so that the state before it goes on well
    assert run.ended is None
    assert run.record.epochs_done == 3


def test_a_timeout_saves_and_says_so(toy_run: MakeRun) -> None:
    changes = {"infra.timeout": "400 ms", "training.toy": {"step_ms": 20}, "training.epochs": 50}
    run = toy_run(changes).train()
    assert isinstance(run.ended, TimedOut)
    assert "infra.timeout" in str(run.ended)
    step = run.record.steps
    assert 0 < step < 50
    assert max(entry.step for entry in run.manifest.entries) == step


def test_a_budget_saves_before_more_is_spent(toy_run: MakeRun) -> None:
    changes = {
        "infra.price": "$36/h",
        "timing.budget": "$0.004",
        "timing.epoch": "100 ms",  # a budget below the first epoch is refused
        "training.toy": {"step_ms": 20},
        "training.epochs": 50,
    }
    run = toy_run(changes)
    assert isinstance(run.train().ended, RunStopped)
    assert "timing.budget" in str(run.ended)
    assert 0 < run.record.steps < 40


@pytest.mark.parametrize(
    ("reason", "kind"), [("interrupted", Interrupted), ("terminated", Terminated), ("stopped", RunStopped)]
)
def test_every_way_of_asking_has_its_own_ending(toy_run: MakeRun, reason: Any, kind: type[Exception]) -> None:
    stop = StopRequest()
    stop.request(reason)
    assert type(toy_run().train(stop=stop).ended) is kind


def test_out_of_memory_without_a_rule_splits_the_batch(toy_run: MakeRun) -> None:
    plain = toy_run({"model.dropout": 0}, name="plain").train()
    run = toy_run({"training.toy": {"oom_at": 5}, "model.dropout": 0}).train()
    assert run.ended is None
    (note,) = run.record.notes
    assert "out of memory at step 5" in note
    assert "2 pieces" in note
    assert run.record.steps == plain.record.steps
    for one, two in zip(plain.rows, run.rows, strict=True):  # same effective batch, same figures but for rounding
        assert one.metrics == pytest.approx(two.metrics, rel=1e-4)
        assert one.per_batch == pytest.approx(two.per_batch, rel=1e-4)


def test_a_split_batch_stays_split_after_a_resume(toy_run: MakeRun) -> None:
    changes = {"training.toy": {"oom_at": 5}}
    whole = toy_run(changes, name="whole").train()
    run = interrupted(toy_run(changes, name="again"))
    finished(run)
    assert run.facts() == whole.facts()
    assert run.record.notes == whole.record.notes


def test_out_of_memory_with_a_restart_rule_goes_on_from_there_with_the_new_batch_size(toy_run: MakeRun) -> None:
    changes = {"training.batch_size": 16}
    run = toy_run(rule(event="out_of_memory", action="restart", set=changes) | {"training.toy": {"oom_at": 13}}).train()
    assert isinstance(run.ended, RestartWanted)
    assert run.ended.changes == changes
    record(run.context().ledger, "restarted", attempt=2, reason="", set=changes)
    run.train(changes=changes)
    assert run.ended is None
    # 12 steps of 32 before; then what is left of epoch 2, and epoch 3, in steps of 16
    assert run.record.steps == 12 + (256 - 4 * 32) // 16 + 256 // 16
    assert run.record.examples == 3 * 256


def test_one_example_that_does_not_fit_is_the_end(toy_run: MakeRun) -> None:
    run = toy_run({"training.toy": {"oom_at": 2}, "training.batch_size": 1}).train()
    assert isinstance(run.ended, EnvironmentFailed)
    assert "not even one example" in str(run.ended)


def test_an_unexpected_error_stays_what_it_is(toy_run: MakeRun) -> None:
    with pytest.raises(ValueError, match="raise_at"):
        toy_run({"training.toy": {"raise_at": 4}}).train()


def test_a_batch_larger_than_the_data_is_a_usage_error(toy_run: MakeRun) -> None:
    run = toy_run({"training.batch_size": 250}).train(changes={"training.batch_size": 300})
    assert isinstance(run.ended, UsageError)
    assert "training.batch_size: 300 leaves no batch" in str(run.ended)


# ------------------------------------------------------------ every field of `training` does what it says


def weights_of(run: Any) -> str:
    return str(run.train().record.weights_sha256)


_usual: list[str] = []


def usual_weights(toy_run: MakeRun) -> str:
    """Of the unchanged card; trained once for all tests."""
    if not _usual:
        _usual.append(weights_of(toy_run(name="usual")))
    return _usual[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"training.epochs": 4},
        {"training.batch_size": 16},
        {"training.learning_rate": 0.02},
        {"training.weight_decay": 0.1},
        {"training.optimizer": "adam", "training.weight_decay": 0.1},
        {"training.optimizer": "sgd"},
        {"training.schedule": "constant"},
        {"training.schedule_unit": "step"},
        {"training.warmup": 1},
        {"training.loss": {"class": {"kind": "cross_entropy", "weight": 2.0}}},
        {"training.gradient_clip": None},
        {"training.gradient_clip": 0.01},
        {"training.gradient_accumulation": 2},
        {"training.drop_last": False, "data.examples": 330},
        {"training.precision": "bf16"},
        {"training.precision": "fp16"},
        {"training.seed": 2},
        {"model.dropout": 0.5},
        {"data.seed": 1},
    ],
    ids=json.dumps,
)
def test_a_field_changes_the_weights(toy_run: MakeRun, changes: dict[str, Any]) -> None:
    assert usual_weights(toy_run) != weights_of(toy_run(changes, name="changed"))


@pytest.mark.parametrize(
    "changes",
    [
        {"training.workers": 2},
        {"training.log_every": "1 step"},
        {"training.keep": 1},
        {"training.precision": "tf32"},
        {"training.checkpoint_every": "1 step"},
    ],
    ids=json.dumps,
)
def test_a_field_leaves_the_weights_alone(toy_run: MakeRun, changes: dict[str, Any]) -> None:
    assert usual_weights(toy_run) == weights_of(toy_run(changes, name="changed"))


@pytest.mark.parametrize(("keep", "count"), [(1, 1), (3, 3), ("all", 8)])
def test_keep_is_how_many_full_states_stay(toy_run: MakeRun, keep: Any, count: int) -> None:
    run = toy_run({"training.keep": keep, "training.checkpoint_every": "3 steps"}).train()
    assert len(states(run)) == count
    assert {path.name for path in states(run)} == {
        Path(entry.file).name for entry in run.manifest.entries if "state" in entry.roles
    }


def test_keep_best_keeps_the_best_weights_by_other_metrics_too(toy_run: MakeRun) -> None:
    changes = {"training.keep_best": ["accuracy", "val_loss"], "training.epochs": 6, "training.learning_rate": 0.2}
    run = toy_run({**changes, "training.select": {"metric": "first_class_accuracy", "mode": "max"}})
    run.train(stop=StopAfter(40))
    run.train()
    rows = [row for row in run.rows if row.kind == "validation"]
    best = {entry.roles[0]: entry for entry in run.manifest.entries}
    most = max(rows, key=lambda row: row.metrics["val_metric/accuracy"])
    least = min(rows, key=lambda row: row.metrics["val_loss/total"])
    assert best["best val_metric/accuracy"].step == most.step
    assert best["best val_loss/total"].step == least.step
    assert best["best"].step == run.record.best.step
    content = torch.load(run.folder.root / "best-val_metric-accuracy.pt", weights_only=True)
    assert content["cardrunner"]["metrics"]["val_metric/accuracy"] == most.metrics["val_metric/accuracy"]
    assert len(list(run.folder.checkpoints.glob("export-*"))) == len({e.step for e in run.manifest.entries if e.stored})


def test_keep_best_names_metrics_that_are_computed(toy_run: MakeRun) -> None:
    run = toy_run().train(changes={"training.keep_best": ("val_beauty",)})
    assert isinstance(run.ended, UsageError)
    assert "training.keep_best: val_beauty is not computed by toy" in str(run.ended)


@pytest.mark.parametrize(("every", "steps"), [("5 steps", [5, 10, 15, 20]), ("2 epochs", [16]), ("1 h", [])])
def test_log_every_is_how_often_rows_are_written(toy_run: MakeRun, every: str, steps: list[int]) -> None:
    run = toy_run({"training.log_every": every}).train()
    assert [row.step for row in run.rows if row.kind == "train"] == steps


def test_threads_are_set_for_the_run_and_put_back(toy_run: MakeRun) -> None:
    before = torch.get_num_threads()
    run = toy_run({"training.threads": 2}).train()
    assert run.record.threads == 2
    assert torch.get_num_threads() == before
    assert not torch.are_deterministic_algorithms_enabled()


def test_tf32_on_a_cpu_is_noted(toy_run: MakeRun) -> None:
    assert any("tf32" in note for note in toy_run({"training.precision": "tf32"}).train().record.notes)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_an_environment_error(toy_run: MakeRun) -> None:
    run = toy_run({"training.device": "cuda"}).train()
    assert isinstance(run.ended, EnvironmentFailed)
    assert "training.device: cuda" in str(run.ended)


def test_the_cosine_schedule_is_the_one_of_torch(toy_run: MakeRun) -> None:
    rates = [row.learning_rate for row in toy_run({"training.epochs": 5}).train().rows if row.kind == "validation"]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=5)
    expected = []
    for _ in range(5):
        expected.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert rates == expected


def test_best_weights_that_are_kept_do_not_put_off_the_state_that_the_clock_asks_for(toy_run: MakeRun) -> None:
    changes = {"training.toy.step_ms": 20, "training.epochs": 8, "training.checkpoint_every": "500 ms"}
    run = toy_run(changes).train()
    states = [event for event in run.events("checkpoint_saved") if event["roles"] == ["state"]]
    assert len(states) > 1


def test_the_full_state_is_saved_at_the_end_however_rarely_the_card_asks_for_it(toy_run: MakeRun) -> None:
    run = toy_run({"training.checkpoint_every": "100 epochs"}).train()
    states = [event["step"] for event in run.events("checkpoint_saved") if "state" in event["roles"]]
    assert states == [run.rows[-1].step]

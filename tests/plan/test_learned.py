from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from cardrunner.card.load import LoadedCard
from cardrunner.main import main
from cardrunner.plan import plan_card
from cardrunner.plan.learned import learn
from cardrunner.plan.money import Learned, planned_prices
from cardrunner.runs.environment import collect_environment
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.history import Clock, History, HistoryRow
from cardrunner.runs.ledger import Ledger
from tests.ledger_lines import record

ToyCard = Callable[[Mapping[str, Any]], LoadedCard]
PastRun = Callable[..., RunFolder]
MakeCard = Callable[..., Path]
AT = "2026-03-01T12:00:00.000Z"
T4 = {"infra.gpu": "T4"}


def epoch_row(epoch: int, seconds: float, *, examples: int = 256) -> HistoryRow:
    clock = Clock(at=AT, seconds=seconds * epoch, epoch_seconds=seconds)
    return HistoryRow(
        kind="validation", epoch=epoch, step=8 * epoch, examples=examples * epoch, learning_rate=0.1,
        metrics={"val_loss/total": 1.0}, clock=clock,
    )  # fmt: skip


@pytest.fixture
def past_run(toy_run: Callable[..., Any]) -> PastRun:
    """Makes the folder of a run that timed its epochs: ``past_run("old", T4, seconds=[2, 2, 4])``."""

    def make(
        name: str,
        changes: Mapping[str, Any],
        *,
        seconds: tuple[float, ...] = (2.0, 2.0, 4.0),
        resumed_at: int | None = None,
        machine: Mapping[str, Any] | None = None,
    ) -> RunFolder:
        folder: RunFolder = toy_run(changes, name=name).folder
        environment = collect_environment(folder.root).model_dump() | dict(machine or {})
        resumed = None if resumed_at is None else {"file": "state.pt", "epoch": 1, "step": resumed_at}
        record(Ledger(folder.ledger), "attempt_started", attempt=1, environment=environment, resumed_from=resumed)
        for number, took in enumerate(seconds, start=1):
            History(folder.history).append(epoch_row(number, took))
        return folder

    return make


@pytest.fixture
def learned(toy_card: ToyCard, tmp_path: Path) -> Callable[..., Learned]:
    """What a card learns from the runs of this test: ``learned({"training.epochs": 5})``."""

    def ask(changes: Mapping[str, Any], *, examples: int | None = 256) -> Learned:
        loaded = toy_card(changes)
        return learn(loaded, tmp_path / "runs", planned_prices(loaded.card), examples=examples)

    return ask


def test_nothing_learned_says_so(learned: Callable[..., Learned]) -> None:
    found = learned(T4)
    assert (found.runs, found.estimate) == ((), None)
    assert found.note.startswith("nothing learned: no run in ")
    assert found.note.endswith("trained toy on T4 with batch size 32 for a full epoch")


def test_a_past_run_gives_the_epoch_time_of_this_card(past_run: PastRun, learned: Callable[..., Learned]) -> None:
    past_run("old", T4)
    found = learned({**T4, "timing.epoch": "4s", "training.epochs": 5, "infra.price": "$3600/h"}, examples=2560)
    (run,) = found.runs
    assert (run.run, run.epochs, run.examples_per_second, run.same_model) == ("old", 3, 128.0, True)
    assert found.estimate is not None
    assert (found.estimate.epoch_seconds, found.estimate.factor) == (20.0, 5.0)
    assert (found.estimate.total_seconds, found.estimate.cost_usd) == (100.0, 100.0)
    assert "old (" in found.note
    assert "128 examples/s" in found.note


def test_several_runs_count_with_their_median(past_run: PastRun, learned: Callable[..., Learned]) -> None:
    for name, seconds in (("a", 1.0), ("b", 2.0), ("c", 8.0)):
        past_run(name, T4, seconds=(seconds,))
    found = learned(T4)
    assert {run.run for run in found.runs} == {"a", "b", "c"}
    assert found.estimate is not None
    assert found.estimate.epoch_seconds == 2.0


@pytest.mark.parametrize(
    "other",
    [
        {"infra.gpu": "L4"},
        {"infra.gpu": None},
        {**T4, "training.batch_size": 64},
        {**T4, "infra.gpus": 2},
        {**T4, "training.precision": "bf16"},
    ],
)
def test_another_gpu_batch_size_or_precision_tells_nothing(
    past_run: PastRun, learned: Callable[..., Learned], other: Mapping[str, Any]
) -> None:
    past_run("old", other)
    assert learned(T4).runs == ()


def test_what_does_not_change_the_speed_does_not_matter(past_run: PastRun, learned: Callable[..., Learned]) -> None:
    past_run("old", {**T4, "training.seed": 7, "training.epochs": 9, "training.learning_rate": 0.5, "goal": "Other."})
    assert len(learned(T4).runs) == 1


def test_a_run_of_the_same_model_is_preferred_and_another_is_named(
    past_run: PastRun, learned: Callable[..., Learned]
) -> None:
    past_run("wide", {**T4, "model.hidden_dim": 99}, seconds=(64.0,))
    assert "of another model" in learned(T4).note
    past_run("same", T4, seconds=(1.0,))
    assert [run.run for run in learned(T4).runs] == ["same"]


def test_without_a_gpu_only_this_machine_tells_something(past_run: PastRun, learned: Callable[..., Learned]) -> None:
    past_run("elsewhere", {}, machine={"cpu": "a faster one"})
    assert learned({}).runs == ()
    past_run("here", {})
    assert [run.run for run in learned({}).runs] == ["here"]


def test_an_epoch_that_was_resumed_in_the_middle_is_not_timed(
    past_run: PastRun, learned: Callable[..., Learned]
) -> None:
    past_run("torn", T4, seconds=(2.0, 0.001), resumed_at=12)
    assert [(run.epochs, run.examples_per_second) for run in learned(T4).runs] == [(1, 128.0)]


def test_a_run_that_never_finished_an_epoch_tells_nothing(past_run: PastRun, learned: Callable[..., Learned]) -> None:
    past_run("short", T4, seconds=())
    assert learned(T4).runs == ()


def test_a_run_that_was_restarted_with_another_batch_size_tells_nothing(
    past_run: PastRun, learned: Callable[..., Learned]
) -> None:
    folder = past_run("restarted", T4)
    record(Ledger(folder.ledger), "restarted", attempt=1, reason="out of memory", set={"training.batch_size": 16})
    assert learned(T4).runs == ()


def test_speed_alone_gives_no_time_before_the_examples_are_known(
    past_run: PastRun, learned: Callable[..., Learned]
) -> None:
    past_run("old", T4)
    found = learned(T4, examples=None)
    assert (len(found.runs), found.estimate) == (1, None)
    assert "not known yet" in found.note


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("card.json", "[]"),
        ("card.json", "{"),
        ("card.json", '{"infra": 3}'),
        ("launch.json", "{}"),
        ("history.jsonl", '{"kind": "validation"}\n'),
        ("ledger.jsonl", '{"event": "attempt_started", "resumed_from": 3}\n'),
        ("ledger.jsonl", '{"event": "restarted"}\n'),
    ],
)
def test_a_broken_run_folder_is_passed_over(
    past_run: PastRun, learned: Callable[..., Learned], file: str, content: str
) -> None:
    folder = past_run("broken", T4)
    (folder.root / file).write_text(content)
    assert learned(T4).runs == ()
    past_run("whole", T4)
    assert [run.run for run in learned(T4).runs] == ["whole"]


def test_a_real_run_teaches_the_next_plan(
    make_card: MakeCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = make_card({"timing.epoch": "1h"})
    assert main(["launch", str(card), "--quiet"]) == 0
    found = plan_card(card).plan.learned
    assert [(run.run, run.state, run.epochs, run.same_data) for run in found.runs] == [
        ("toy-run", "completed", 3, True)
    ]
    assert found.estimate is not None
    assert found.estimate.epoch_seconds is not None
    assert found.estimate.epoch_seconds < 60
    capsys.readouterr()
    assert main(["plan", str(card), "--json", "--runs", str(tmp_path / "none")]) == 0
    assert json.loads(capsys.readouterr().out)["learned"]["runs"] == []

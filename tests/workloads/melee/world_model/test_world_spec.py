"""The torch-free half of the world-model workload."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cardrunner.card.schema.card import Card
from cardrunner.errors import CardError, UsageError
from cardrunner.specs import MetricNames
from cardrunner.workloads.melee.world_model.metric_names import METRICS
from cardrunner.workloads.melee.world_model.spec import SPEC, model_of

MakeCard = Callable[[dict[str, Any]], Card]
MEDIUM = {"architecture": "Mamba2", "context_len": 10, "parameters": 4282386}
STACKED = {"architecture": "FrameStackMLP", "context_len": 10, "parameters": 1433602}
BIG = {
    "data.games": 22000,
    "data.frames": 206754081,
    "data.size": "74.4 GB",
    "data.train_examples": 185648963,
    "data.val_examples": 20885118,
    "data.split.train": "90%",
}


def faults(make: MakeCard, changes: dict[str, Any]) -> str:
    with pytest.raises(CardError) as caught:
        make(changes)
    return "\n".join(f"{fault.path}: {fault.message}" for fault in caught.value.faults if fault.severity == "error")  # type: ignore[attr-defined]


@pytest.mark.parametrize("model", [MEDIUM, STACKED])
def test_the_numbers_of_the_big_cards_agree(world_card: MakeCard, model: dict[str, Any]) -> None:
    card = world_card({**BIG, "model": model})
    assert SPEC.examples(card) == (185648963, 20885118)
    derived = {number.loc[-1]: number.derived for number in SPEC.derive(card)}
    assert derived == {"train_examples": 185648963, "size": 74431469160, "parameters": model["parameters"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"model": {**MEDIUM, "parameters": 4300000}},
            "model.parameters: states 4300000 parameters, but Mamba2 with 196 inputs, d_model 384, d_state 64, 4"
            " layers, headdim 64 = 4282386 parameters",
        ),
        (
            {"model": {**STACKED, "parameters": 1}},
            "model.parameters: states 1 parameters, but FrameStackMLP with context_len 10 x 196 + 26 inputs, hidden_dim"
            " 512, trunk_dim 256 = 1433602 parameters",
        ),
        (
            {"model": {"architecture": "Mamba3"}},
            "model.architecture: unknown architecture 'Mamba3'; did you mean \"Mamba2\"?",
        ),
        (
            {"model": {"architecture": "FrameStackMLP", "d_model": 8}},
            "model.d_model: is a size of Mamba2; leave it out of a FrameStackMLP",
        ),
        (
            {"model": {"architecture": "Mamba2", "headdim": 100}},
            "model.headdim: is 100, which does not divide 2 x d_model = 768; choose one that does",
        ),
        (
            {"training.loss": {"actions": {"kind": "cross_entropy"}}},
            'training.loss.actions: unknown loss term; did you mean "action"?',
        ),
        (
            {"training.loss": {"action": {"kind": "mse"}}},
            "training.loss.action.kind: is 'mse', but the action term is cross_entropy; write cross_entropy",
        ),
        (
            {"after_training.demo": {"p0": "policy:best", "p1": "noop"}},
            "after_training.demo.p0: policy:best is this run's own checkpoint, which is a world model; write"
            " policy:PATH",
        ),
        (
            {"training.scheduled_sampling": {"rate": 1.5}},
            "training.scheduled_sampling.rate: must be at most 1",
        ),
        (
            {"data.predict_player": 0},
            "data.predict_player: unknown key",
        ),
    ],
)
def test_what_cannot_run_is_said_with_the_next_step(world_card: MakeCard, change: dict[str, Any], message: str) -> None:
    assert faults(world_card, change).startswith(message)


def test_terms_that_are_not_stated_are_named_with_their_weight(world_card: MakeCard) -> None:
    card = world_card({"training.loss": {"action": {"kind": "cross_entropy"}}})
    remarks = [remark.message for remark in SPEC.check(card) if remark.severity == "warning"]
    assert any(message.startswith("leaves out dynamics, which then has weight 0.5;") for message in remarks)


def test_the_page_shows_the_sizes_of_the_architecture_and_the_sampling(world_card: MakeCard) -> None:
    card = world_card({"training.scheduled_sampling": {"rate": "30%", "frames": 3, "anneal_epochs": 2}})
    rows = {field: value for section in SPEC.describe(card).values() for field, value in section}
    assert (rows["d_model"], rows["chunk_size"], rows["Context len (K)"]) == ("8", "4", "4")
    assert "hidden_dim" not in rows
    assert rows["Scheduled sampling"] == (
        "30% of the examples see the model's own prediction of the last 3 frames; the share rises over 2 epochs"
    )
    assert dict(SPEC.describe(world_card({}))["training"])["Scheduled sampling"] == "none"


def test_a_rule_may_look_only_at_what_training_computes() -> None:
    names = MetricNames(METRICS)
    assert names.training("loss/action") is not None
    assert names.training("metric/rollout_error_20") is None
    assert names.spec("val_metric/rollout_error_20") is not None


def test_a_card_of_another_workload_is_refused(policy_card: MakeCard) -> None:
    with pytest.raises(UsageError, match="not a card of the workload melee-world-model"):
        model_of(policy_card({}))

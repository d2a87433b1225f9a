from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from cardrunner.card.schema.card import Card
from cardrunner.contracts import ForeseesData, MetricNames
from cardrunner.errors import CardError
from cardrunner.workloads.melee.policy.spec import SPEC

MakeCard = Callable[[dict[str, Any]], Card]

BIG = {
    "data.games": 22000,
    "data.frames": 206754081,
    "data.size": "74.4 GB",
    "data.train_examples": 185648963,
    "data.val_examples": 20885118,
    "data.split.train": "90%",
    "model.context_len": 10,
    "model.hidden_dim": 512,
    "model.trunk_dim": 256,
    "model.parameters": 1153781,
}
IN_BLOCKS = "read in sequence, shuffled in blocks of 256 MiB"
FULL_ENCODING = {"data.encoding": {"projectiles": True, "state_flags": True, "hitstun": True}}


def faults(make: MakeCard, changes: dict[str, Any]) -> str:
    with pytest.raises(CardError) as caught:
        make(changes)
    return "\n".join(f"{fault.path}: {fault.message}" for fault in caught.value.faults if fault.severity == "error")  # type: ignore[attr-defined]


def test_the_numbers_of_the_big_card_agree(policy_card: MakeCard) -> None:
    card = policy_card(BIG)
    assert SPEC.examples(card) == (185648963, 20885118)
    derived = {number.loc[-1]: number.derived for number in SPEC.derive(card)}
    assert derived == {"train_examples": 185648963, "size": 74431469160, "parameters": 1153781}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"data.val_examples": 20885119},
            "data.train_examples: states 185648963 examples, but 206754081 frames - 22000 games x 10 - 20885119"
            " val_examples = 185648962 examples",
        ),
        (
            {"data.size": "74.6 GB"},
            "data.size: states 74.6 GB (74600000000 bytes), but 206754081 frames x 360 bytes = 74.4 GB"
            " (74431469160 bytes)",
        ),
        (
            {"model.parameters": 1153782},
            "model.parameters: states 1153782 parameters, but PolicyMLP with context_len 10 x 196 inputs,"
            " hidden_dim 512, trunk_dim 256 = 1153781 parameters",
        ),
        (
            {"data.train_examples": None, "data.val_examples": 185648963},
            "data.val_examples: states 185648963 examples, but about 0.1 x (206754081 frames - 22000 games x 10)"
            " = 20653408 examples",
        ),
    ],
)
def test_a_number_that_disagrees_is_named_with_the_one_that_follows(
    policy_card: MakeCard, change: dict[str, Any], message: str
) -> None:
    assert faults(policy_card, {**BIG, **change}) == message


def test_an_encoding_with_all_groups_has_712_bytes_and_another_model(policy_card: MakeCard) -> None:
    text = faults(policy_card, {**BIG, **FULL_ENCODING})
    assert "206754081 frames x 712 bytes" in text
    assert "= 1604341 parameters" in text
    assert "data.encoding.hitstun: is true, but this version trains on files of 56 floats and 17 ints" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"model.architecture": "PolicyMPL"},
            "model.architecture: unknown architecture 'PolicyMPL'; did you mean \"PolicyMLP\"?",
        ),
        (
            {"model.outputs": {"analog": 6}},
            "model.outputs.analog: is 6, but a controller has 5 analog values; write 5 or leave it out",
        ),
        (
            {"data.split.by": "frame"},
            "data.split.by: is 'frame', but only whole games can be split; write game",
        ),
        (
            {"data.games": 1, "data.frames": 500},
            "data.split.train: 0.5 of 1 games leaves no game for training; choose another share",
        ),
        (
            {"data.source": "synthetic"},
            "data.synthetic: the size of the generated data is missing; write"
            " {games: 24, frames_per_game: 1800, seed: 0}",
        ),
        (
            {"data.synthetic": {"games": 2, "frames_per_game": 200}},
            "data.synthetic: is only for source: synthetic; remove it, or make synthetic the source",
        ),
        (
            {"training.loss": {"analog": {"kind": "mse"}, "button": {"kind": "bce"}}},
            'training.loss.button: unknown loss term; did you mean "buttons"?',
        ),
        (
            {"training.loss": {"analog": {"kind": "l1"}, "buttons": {"kind": "bce"}}},
            "training.loss.analog.kind: is 'l1', but the analog term is mse; write mse",
        ),
        (
            {"training.loss": {"analog": {"kind": "mse", "weight": 0}, "buttons": {"kind": "bce", "weight": 0}}},
            "training.loss: has no term with a weight above 0, so nothing would be learned",
        ),
        (
            {"after_training.demo": {"p1": "polcy:best"}},
            "after_training.demo.p1: unknown agent 'polcy:best'; there are policy:best, policy:latest, policy:PATH,"
            " random, noop, hold-forward, replay",
        ),
        (
            {"after_training.demo": {"seed_game": "game"}},
            "after_training.demo.seed_game: is 'game'; write the number of a validation game (0 is the first), a replay"
            " such as game.slp, a game of an encoded file such as games.pt:3, or simulator",
        ),
        (
            {"after_training.demo": {"world_model": "best"}},
            "after_training.demo.world_model: best is this run's own checkpoint, which is a policy; write simulator or"
            " a path",
        ),
    ],
)
def test_what_cannot_run_is_said_with_the_next_step(
    policy_card: MakeCard, change: dict[str, Any], message: str
) -> None:
    assert faults(policy_card, change) == message


def test_examples_that_nobody_states_are_estimated_from_the_split(policy_card: MakeCard) -> None:
    card = policy_card({"data.games": 10, "data.frames": 1000, "data.split.train": 0.8})
    assert SPEC.examples(card) == (768, 192)


def test_nothing_is_estimated_from_nothing(policy_card: MakeCard) -> None:
    assert SPEC.examples(policy_card({})) is None


def test_generated_games_have_a_known_number_of_examples(policy_card: MakeCard) -> None:
    knobs = {"games": 4, "frames_per_game": 150, "seed": 1}
    card = policy_card({"data.source": "synthetic", "data.synthetic": knobs})
    assert SPEC.examples(card) == (292, 292)


def test_swapped_example_counts_are_warned_about(policy_card: MakeCard) -> None:
    swapped = {**BIG, "data.train_examples": 20885118, "data.val_examples": 185648963}
    remarks = list(SPEC.check(policy_card(swapped)))
    assert [(remark.loc, remark.severity) for remark in remarks] == [(("data", "train_examples"), "warning")]


def test_the_names_people_write_lead_to_metrics() -> None:
    names = MetricNames(SPEC.metrics)
    written = ("val_loss", "val_loss/total", "val_stick_mae", "stick_mae", "btn_pressed_acc", "val_button_pressed_acc")
    assert [names.canonical(name) for name in written] == [
        "val_loss/total",
        "val_loss/total",
        "val_metric/stick_mae",
        "val_metric/stick_mae",
        "val_metric/button_pressed_acc",
        "val_metric/button_pressed_acc",
    ]


def test_no_two_metrics_share_a_name() -> None:
    every = [name for metric in SPEC.metrics for name in (f"val_{metric.name}", *metric.aliases)]
    assert len(every) == len(set(every))


def test_the_review_page_has_the_rows_of_the_example_card(policy_card: MakeCard) -> None:
    rows = {section: dict(pairs) for section, pairs in SPEC.describe(policy_card(BIG)).items()}
    assert rows["data"]["File size"] == "74.4 GB"
    assert rows["data"]["Train examples"] == "185,648,963 (90%)"
    assert rows["data"]["Val examples"] == "20,885,118 (10%)"
    assert rows["model"]["Parameters"] == "1,153,781"
    assert rows["model"]["Output"] == "analog (5) + button_logits (8) = 13-dim controller"
    assert rows["training"]["Loss"] == "MSE (analog) + BCE (buttons), equal weight"


def test_reading_a_card_needs_no_torch() -> None:
    code = (
        "import sys, cardrunner.workloads.melee.policy.spec; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("changes", "mode"),
    [
        ({"data.size": "74.4 GB", "infra.memory": "16 GB"}, IN_BLOCKS),
        ({"data.size": "10 GB", "infra.memory": "16 GB"}, "memory-mapped, full shuffle"),
        ({"data.games": 10, "data.frames": 10**9, "infra.memory": "16 GB"}, IN_BLOCKS),
        ({"data.shuffle": "block", "data.shuffle_block": "1 GiB"}, IN_BLOCKS.replace("256 MiB", "1 GiB")),
        ({"data.shuffle": "full", "data.size": "74.4 GB", "infra.memory": "16 GB"}, "memory-mapped, full shuffle"),
        ({"infra.memory": "16 GB"}, None),
    ],
)
def test_how_the_data_will_be_read_is_known_from_its_size(
    policy_card: Callable[..., Card], changes: dict[str, Any], mode: str | None
) -> None:
    assert isinstance(SPEC, ForeseesData)
    assert SPEC.data_mode(policy_card(changes)) == mode

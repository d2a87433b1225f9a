"""The defaults of a workload: what a card may say, how the data is split, and what the loss and the metrics come to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from cardrunner.card.load import load_card_bytes
from cardrunner.card.schema.base import PositiveCount
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.training import ModelSection
from cardrunner.contracts import Batch
from cardrunner.errors import CardError, PluginFailed
from cardrunner.specs import MetricSpec
from cardrunner.tracking.progress import NullProgress
from cardrunner.workloads import simple

NUMBERS = torch.arange(10.0)[:, None]


class LineModel(ModelSection):
    """A line."""

    hidden_dim: PositiveCount = 3
    """Not used."""


class Bare(simple.SimpleWorkload):
    """Nothing but what has to be there."""

    name = "bare"

    def tensors(self, card: Card, files: Sequence[Path]) -> Sequence[Any]:
        return NUMBERS.numpy(), 2 * NUMBERS

    def build_model(self, card: Card) -> nn.Module:
        return nn.Linear(1, 1)

    def loss(self, card: Card, outputs: Any, batch: Batch) -> Tensor:
        loss: Tensor = (outputs - batch[1]).square().mean()
        return loss


class Whole(Bare):
    """Everything stated."""

    model_section = LineModel
    architectures: ClassVar[tuple[str, ...]] = ("Line", "Curve")
    loss_terms: ClassVar[Mapping[str, str]] = {"distance": "mse"}
    metrics = (
        simple.LOSS,
        MetricSpec("metric/small", "max", "share", "how often it is small"),
        MetricSpec("metric/small_odd", "max", "share", "the same for odd numbers"),
    )

    def count(self, card: Card) -> int:
        return 10

    def parameters(self, card: Card) -> tuple[int, str]:
        return 2, "1 + 1"

    def score(self, card: Card, outputs: Any, batch: Batch) -> Mapping[str, Any]:
        small, odd = batch[0][:, 0] < 4, batch[0][:, 0] % 2 == 1
        return {"metric/small": small, "metric/small_odd": (small, odd)}


def card_of(workload: simple.SimpleWorkload, **sections: Mapping[str, Any]) -> Card:
    card: dict[str, Any] = {
        "card": 1,
        "name": "line",
        "created": "2026-12-01",
        "goal": "Draw a line.",
        "workload": "bare",
        "data": {"source": "synthetic", "split": {"train": "80%", "by": "example"}},
        "model": {"architecture": "Line"},
        "training": {
            "epochs": 1,
            "batch_size": 2,
            "learning_rate": 0.1,
            "select": {"metric": "val_loss/total", "mode": "min"},
        },
        "infra": {"platform": "local"},
        "timing": {"epoch": "1s"},
        "targets": [{"metric": "val_loss/total", "below": 1}],
        "sign_off": {"reviewers": [{"id": "ada"}]},
    }
    for name, changes in sections.items():
        card[name] = {**card[name], **changes}
    return load_card_bytes(json.dumps(card).encode(), file="card.yaml", resolve=lambda _: workload).card


def opened(workload: simple.SimpleWorkload, tmp_path: Path, **sections: Mapping[str, Any]) -> Any:
    card = card_of(workload, **sections)
    return workload.open_data(card, (), scratch=tmp_path, progress=NullProgress())


def test_a_card_of_the_least_workload_is_valid() -> None:
    card = card_of(Bare())
    assert Bare().examples(card) is None
    assert Bare().examples(card_of(Bare(), data={"train_examples": 8, "val_examples": 2})) == (8, 2)
    assert Bare().describe(card) == {"data": [], "model": [], "training": []}


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"data": {"train_examples": 7}}, "data.train_examples: states 7, but 10 examples at 80% = 8"),
        ({"data": {"val_examples": 3}}, "data.val_examples: states 3, but the rest of 10 examples at 80% = 2"),
        (
            {"data": {"split": {"train": "100%", "by": "example"}}},
            "leaves one side without examples; write a share such as 80%",
        ),
        ({"model": {"parameters": 3}}, r"model.parameters: states 3, but 1 \+ 1 = 2"),
        ({"model": {"architecture": "Dot"}}, "unknown architecture 'Dot'; there is Line and Curve"),
        ({"training": {"loss": {"mse": {"kind": "mse"}}}}, r"unknown loss term; there is distance: {kind: mse}"),
    ],
)
def test_what_does_not_add_up_is_named(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(CardError, match=message):
        card_of(Whole(), **sections)


def test_a_loss_without_terms_says_so() -> None:
    with pytest.raises(CardError, match="the loss has no terms; leave it out"):
        card_of(Bare(), training={"loss": {"mse": {"kind": "mse"}}})


def test_the_page_shows_every_field_that_it_added() -> None:
    rows = Whole().describe(card_of(Whole(), model={"hidden_dim": 5}))
    assert rows == {"data": [], "model": [("Hidden dim", "5")], "training": []}


def test_the_first_share_trains_and_the_rest_validates(tmp_path: Path) -> None:
    data = opened(Bare(), tmp_path, data={"train_examples": 8})
    assert (len(data.train), len(data.validation)) == (8, 2)
    numbers, doubled = data.train.__getitems__(torch.tensor([7, 0]))
    assert (numbers.flatten().tolist(), doubled.flatten().tolist()) == ([7, 0], [14, 0])
    assert [(fact.expected, fact.actual, fact.ok) for fact in data.facts()] == [("8", "8", True), (None, "2", True)]


def test_stated_counts_are_held_against_the_data(tmp_path: Path) -> None:
    facts = opened(Bare(), tmp_path, data={"train_examples": 9, "val_examples": 2}).facts()
    assert [(fact.expected, fact.actual, fact.ok) for fact in facts] == [("9", "8", False), ("2", "2", True)]


def test_another_number_is_other_data(tmp_path: Path) -> None:
    class Other(Bare):
        def tensors(self, card: Card, files: Sequence[Path]) -> Sequence[Any]:
            return NUMBERS, 3 * NUMBERS

    first, again, other = (opened(kind(), tmp_path).identity() for kind in (Bare, Bare, Other))
    assert first == again != other
    assert json.loads(json.dumps(first)) == first


def test_metrics_are_means_over_the_examples_that_count(tmp_path: Path) -> None:
    workload = Whole()
    data, objective = opened(workload, tmp_path), workload.objective(card_of(workload))
    batch = data.train.__getitems__(torch.arange(8))
    outcome = objective.score(batch[1] + 1, batch)
    assert objective.names == ("loss/total", "metric/small", "metric/small_odd")
    assert outcome.loss == 1
    assert outcome.numerators.tolist() == [8, 4, 2]
    assert outcome.denominators.tolist() == [8, 8, 4]


def test_the_default_export_is_the_model_of_the_card() -> None:
    config = Whole().export_config(card_of(Whole(), model={"parameters": 2}))
    assert config == {"model_type": "bare", "architecture": "Line", "hidden_dim": 3}


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ({"metric/other": NUMBERS[:, 0]}, "score gave metric/other, and not metric/small, which the table of metrics"),
        ({"metric/small": NUMBERS}, r"score gave metric/small as \(10, 1\); it has to give a value for each of 10"),
        ({"metric/small": (NUMBERS[:, 0],) * 3}, "it has to give a value for each of 10 examples"),
    ],
)
def test_a_score_that_is_no_value_for_each_example_is_named(scores: dict[str, Any], said: str, tmp_path: Path) -> None:
    class Odd(Whole):
        def score(self, card: Card, outputs: Any, batch: Batch) -> Mapping[str, Any]:
            return scores

    with pytest.raises(PluginFailed, match=said):
        Odd().objective(card_of(Odd())).score(NUMBERS, (NUMBERS, NUMBERS))


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ((), "tensors gave nothing; it has to give what the model takes and what it is to answer"),
        ((NUMBERS, NUMBERS[:9]), r"tensors gave \(10, 1\), \(9, 1\); it has to give"),
        ((NUMBERS[:1], NUMBERS[:1]), "tensors gave 1 examples, and data.split.train leaves none of them on one side"),
    ],
)
def test_data_that_cannot_be_split_is_named(tensors: Sequence[Tensor], said: str, tmp_path: Path) -> None:
    class Odd(Bare):
        def tensors(self, card: Card, files: Sequence[Path]) -> Sequence[Any]:
            return tensors

    with pytest.raises(PluginFailed, match=said):
        opened(Odd(), tmp_path)

"""The toy: card, data, objective, faults."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cardrunner.card.load import LoadedCard
from cardrunner.errors import CardError
from cardrunner.tracking.progress import NullProgress
from cardrunner.training.metrics import Meter, row_of
from cardrunner.workloads.toy.faults import Faults
from cardrunner.workloads.toy.spec import MAJORITY, SPEC, ToyKnobs
from cardrunner.workloads.toy.workload import WORKLOAD

ToyCard = Callable[..., LoadedCard]


def opened(loaded: LoadedCard, scratch: Path) -> Any:
    return WORKLOAD.open_data(loaded.card, (), scratch=scratch, progress=NullProgress())


def test_the_toy_card_is_valid_without_a_remark(toy_card: ToyCard) -> None:
    assert toy_card().warnings == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.source": "file.pt"}, "write synthetic"),
        ({"model.architecture": "Big"}, "there is ToyMLP"),
        ({"training.loss": {"class": {"kind": "mse"}}}, "unknown loss term"),
        ({"model.parameters": 300}, r"\(8 \+ 1\) x 24 \+ \(24 \+ 1\) x 3 = 291"),
        ({"data.train_examples": 250}, "320 examples at 80% = 256"),
        ({"data.val_examples": 70}, "= 64"),
        ({"data.split": {"train": "100%", "by": "example"}}, "leaves one side without examples"),
        ({"training.toy": {"nan_at": 0}}, "training.toy.nan_at"),
        ({"training.toy": {"nan_on": 3}}, "nan_at"),
    ],
)
def test_a_card_that_does_not_add_up_is_refused(toy_card: ToyCard, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CardError, match=message):
        toy_card(changes)


def test_stated_numbers_that_agree_are_fine(toy_card: ToyCard) -> None:
    card = toy_card({"model.parameters": 291, "data.train_examples": 256, "data.val_examples": 64}).card
    assert SPEC.examples(card) == (256, 64)
    assert sum(parameter.numel() for parameter in WORKLOAD.build_model(card).parameters()) == 291


def test_the_review_page_has_a_row_for_each_section(toy_card: ToyCard) -> None:
    assert set(SPEC.describe(toy_card().card)) == {"data", "model", "training"}


def test_a_seed_makes_the_same_data_again(toy_card: ToyCard, tmp_path: Path) -> None:
    one, two, other = (opened(toy_card({"data.seed": seed}), tmp_path) for seed in (3, 3, 4))
    indices = torch.arange(10)
    assert torch.equal(one.train.__getitems__(indices)[0], two.train.__getitems__(indices)[0])
    assert not torch.equal(one.train.__getitems__(indices)[0], other.train.__getitems__(indices)[0])
    assert one.identity() == two.identity() != other.identity()
    assert (len(one.train), len(one.validation)) == (256, 64)


def test_the_metrics_are_those_declared_and_the_baseline_counts(toy_card: ToyCard, tmp_path: Path) -> None:
    card = toy_card().card
    data, objective = opened(toy_card(), tmp_path), WORKLOAD.objective(card)
    assert objective.names == tuple(metric.name for metric in SPEC.metrics)
    batch = data.validation.__getitems__(torch.arange(64))
    outputs = WORKLOAD.baselines(card, data)[MAJORITY](batch)
    outcome = objective.score(outputs, batch)
    assert float(outcome.numerators[1]) == int((batch[1] == data.majority).sum())
    assert float(outcome.denominators[2]) == int((batch[1] == 0).sum())


def test_a_fault_strikes_once_in_a_run(tmp_path: Path) -> None:
    batch = (torch.ones(2, 3), torch.ones(2, dtype=torch.int64))
    for _ in range(2):  # the second time as in a resumed process
        faults = Faults(ToyKnobs(nan_at=3, oom_at=4, raise_at=5), tmp_path)
        assert faults.strike(1, batch) == batch
    assert faults.strike(3, batch)[0].isnan().all()
    assert faults.strike(3, batch) == batch
    with pytest.raises(torch.OutOfMemoryError):
        faults.strike(4, batch)
    assert faults.strike(4, batch) == batch
    with pytest.raises(ValueError, match="raise_at"):
        faults.strike(5, batch)


def test_there_is_nothing_to_look_at(toy_card: ToyCard, tmp_path: Path) -> None:
    loaded = toy_card()
    data = opened(loaded, tmp_path)
    assert WORKLOAD.demo(loaded.card, tmp_path / "best.pt", data, out=tmp_path, progress=NullProgress()) is None


def test_the_accuracy_of_outputs_that_are_nan_is_not_a_number(toy_card: ToyCard) -> None:
    objective = WORKLOAD.objective(toy_card().card)
    batch = (torch.zeros(4, 8), torch.zeros(4, dtype=torch.int64))  # the first class, which argmax finds among NaNs
    meter = Meter(objective.names, device=torch.device("cpu"))
    meter.add(row_of([objective.score(torch.full((4, 3), torch.nan), batch)]))
    found = meter.figures().weighted
    assert set(found) == {"loss/total", "metric/accuracy", "metric/first_class_accuracy"}
    assert all(math.isnan(value) for value in found.values())

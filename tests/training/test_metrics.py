"""Metrics over batches: exact, whatever the batches are."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor

from cardrunner.contracts import BatchScore
from cardrunner.training.metrics import Meter, row_of
from tests.examples import examples

CPU = torch.device("cpu")
NAMES = ("loss", "hits")


def outcome(values: Tensor, counted: Tensor) -> BatchScore:
    """The loss is the mean of the values; the second metric counts only some examples."""
    numerators = torch.stack((values.sum(), (values * counted).sum()))
    return BatchScore(values.mean(), numerators, torch.stack((torch.tensor(float(len(values))), counted.sum())))


def meter_over(values: Tensor, counted: Tensor, batch_size: int) -> Meter:
    meter = Meter(NAMES, device=CPU)
    for part, mask in zip(torch.split(values, batch_size), torch.split(counted, batch_size), strict=True):
        meter.add(row_of([outcome(part, mask)]))
    return meter


@examples(40)
@given(examples=st.integers(1, 500), batch_size=st.integers(1, 64), seed=st.integers(0, 100))
def test_weighted_figures_do_not_depend_on_the_batch_size(examples: int, batch_size: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(examples, generator=generator)
    counted = (torch.rand(examples, generator=generator) < 0.3).float()
    found = meter_over(values, counted, batch_size).figures().weighted
    assert found["loss"] == pytest.approx(float(values.double().mean()), rel=1e-5)
    expected = float((values * counted).sum() / counted.sum()) if counted.any() else math.nan
    assert found["hits"] == pytest.approx(expected, rel=1e-5, nan_ok=True)


def test_per_batch_figures_are_the_plain_mean_in_which_the_last_batch_counts_full() -> None:
    values = torch.tensor([1.0, 1.0, 1.0, 1.0, 5.0])
    found = meter_over(values, torch.ones(5), 4).figures()
    assert found.weighted["loss"] == pytest.approx(9 / 5)
    assert found.per_batch["loss"] == pytest.approx((1 + 5) / 2)


def test_a_batch_with_nothing_to_count_does_not_count() -> None:
    values, counted = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([0.0, 0.0, 0.0, 1.0])
    assert meter_over(values, counted, 2).figures().per_batch["hits"] == 4.0


def test_nothing_to_count_at_all_is_nan() -> None:
    figures = Meter(NAMES, device=CPU).figures()
    assert math.isnan(figures.weighted["loss"])
    assert math.isnan(figures.per_batch["loss"])


def test_a_split_batch_counts_as_one() -> None:
    values, counted = torch.tensor([1.0, 2.0, 6.0]), torch.ones(3)
    whole, split = Meter(NAMES, device=CPU), Meter(NAMES, device=CPU)
    whole.add(row_of([outcome(values, counted)]))
    split.add(row_of([outcome(values[:1], counted[:1]), outcome(values[1:], counted[1:])]))
    assert whole.figures() == split.figures()


@pytest.mark.parametrize("at", [0, 70, 199])
def test_one_nan_shows_in_both_figures(at: int) -> None:
    values = torch.ones(200)
    values[at] = math.nan
    figures = meter_over(values, torch.ones(200), 1).figures()
    assert math.isnan(figures.weighted["loss"])
    assert math.isnan(figures.per_batch["loss"])


@pytest.mark.parametrize("cut", [0, 1, 63, 64, 65, 150])
def test_a_meter_goes_on_to_the_same_bits_from_its_state(cut: int) -> None:
    parts = list(torch.rand(200, 7, generator=torch.Generator().manual_seed(0)))
    whole, first, second = (Meter(NAMES, device=CPU) for _ in range(3))
    for part in parts:
        whole.add(row_of([outcome(part, (part > 0.5).float())]))
    for part in parts[:cut]:
        first.add(row_of([outcome(part, (part > 0.5).float())]))
    second.load_state_dict(first.state_dict())
    for part in parts[cut:]:
        second.add(row_of([outcome(part, (part > 0.5).float())]))
    assert second.figures() == whole.figures()


def test_reading_changes_nothing() -> None:
    meter = meter_over(torch.rand(10), torch.ones(10), 3)
    assert meter.figures() == meter.figures()


def test_names_take_a_prefix() -> None:
    figures = meter_over(torch.ones(2), torch.ones(2), 1).figures().prefixed("val_")
    assert set(figures.weighted) == set(figures.per_batch) == {"val_loss", "val_hits"}


def test_a_share_of_outputs_that_are_nan_is_not_a_number() -> None:
    meter = Meter(NAMES, device=CPU)
    right = torch.tensor([1.0, 0.0])  # a comparison with NaN is False, and looks like an answer
    spoiled = BatchScore(
        torch.tensor(math.nan), torch.stack((torch.tensor(math.nan), right.sum())), torch.full((2,), 2.0)
    )
    meter.add(row_of([outcome(torch.ones(3), torch.ones(3))]))
    meter.add(row_of([spoiled]))
    found = meter.figures()
    assert all(math.isnan(value) for value in (*found.weighted.values(), *found.per_batch.values()))


def test_one_piece_of_a_batch_that_is_nan_makes_the_batch_nan() -> None:
    meter = Meter(NAMES, device=CPU)
    good = outcome(torch.ones(3), torch.ones(3))
    meter.add(row_of([good, BatchScore(good.loss, torch.tensor([math.nan, 3.0]), good.denominators)]))
    assert math.isnan(meter.figures().weighted["hits"])


def test_an_infinite_loss_leaves_shares_as_they_are() -> None:
    meter = Meter(NAMES, device=CPU)
    good = outcome(torch.ones(4), torch.ones(4))
    meter.add(row_of([BatchScore(good.loss, torch.tensor([math.inf, 3.0]), good.denominators)]))
    assert meter.figures().weighted == {"loss": math.inf, "hits": 0.75}

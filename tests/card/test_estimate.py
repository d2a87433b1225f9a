from __future__ import annotations

from collections.abc import Callable

import pytest

from cardrunner.card.estimate import batches_of, batches_per_epoch, covered_labels, estimate, interval
from cardrunner.card.load import LoadedCard
from cardrunner.common.units import Every

Edit = Callable[..., LoadedCard]


def test_the_shipped_card_costs_what_it_says(policy_card: LoadedCard) -> None:
    columns = estimate(policy_card.card)
    assert [column.label for column in columns] == ["1x", "3x", "5x"]
    assert [column.training for column in columns] == [9000, 27000, 45000]
    assert [column.total for column in columns] == [9120, 27300, 45600]
    assert [column.cost for column in columns] == pytest.approx([1.4947, 4.4742, 7.4733], abs=1e-4)
    assert [column.covered for column in columns] == [True, True, False]
    assert covered_labels(columns) == "1x and 3x"


def test_a_single_epoch_time_is_scaled_and_a_single_load_time_is_not(full_card: LoadedCard) -> None:
    fast, slow = estimate(full_card.card)
    assert (fast.epoch, slow.epoch) == (90, 225)
    assert fast.load == slow.load == 0.25


def test_several_gpus_cost_several_prices(full_card: LoadedCard) -> None:
    assert estimate(full_card.card)[0].cost == pytest.approx(1800.25 / 3600 * 2.10 * 2)


def test_batches_are_rounded_as_the_last_one_is_treated(policy_card: LoadedCard, full_card: LoadedCard) -> None:
    assert batches_per_epoch(policy_card.card, policy_card.spec) == 185648963 // 1024 == 181297
    assert batches_of(1025, full_card.card.training) == 3  # 512 + 512 + 1: drop_last is false
    assert batches_of(1025, full_card.card.training, processes=2) == 2


@pytest.mark.parametrize(
    ("every", "seconds"),
    [(Every(10, "step"), 6.0), (Every(2, "epoch"), 1200.0), (Every(45, "second"), 45.0)],
)
def test_an_interval_in_seconds(every: Every, seconds: float) -> None:
    assert interval(every, epoch=600.0, batches=1000) == seconds


def test_steps_are_not_converted_without_a_number_of_batches() -> None:
    assert interval(Every(10, "step"), epoch=600.0, batches=None) is None

from __future__ import annotations

from collections.abc import Callable

import pytest

from cardrunner.card.estimate import (
    batches_per_epoch,
    bill_of,
    covered_labels,
    estimate,
    interval,
    spending_limit,
)
from cardrunner.card.load import LoadedCard
from cardrunner.card.markdown import render_card
from cardrunner.common.units import Every, format_dollars
from cardrunner.plan.money import planned_costs, planned_prices, worst_case

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
    assert full_card.card.training.batches(1025) == 3  # 512 + 512 + 1: drop_last is false
    assert full_card.card.training.batches(1025, processes=2) == 2


@pytest.mark.parametrize(
    ("every", "seconds"),
    [(Every(10, "step"), 6.0), (Every(2, "epoch"), 1200.0), (Every(45, "second"), 45.0)],
)
def test_an_interval_in_seconds(every: Every, seconds: float) -> None:
    assert interval(every, epoch=600.0, batches=1000) == seconds


def test_steps_are_not_converted_without_a_number_of_batches() -> None:
    assert interval(Every(10, "step"), epoch=600.0, batches=None) is None


def test_a_budget_is_metered_at_the_gpus_price_and_the_bill_is_more(policy_card: LoadedCard) -> None:
    limit = spending_limit(policy_card.card)
    assert limit is not None
    assert limit.seconds is not None
    assert [limit.usd, limit.seconds] == pytest.approx([7.5, 7.5 / 0.59 * 3600])
    assert limit.billed == pytest.approx(bill_of(policy_card.card, limit.seconds))
    assert limit.more == "about $11.41 is billed by then, CPU and memory included"
    assert [bill_of(policy_card.card, column.total) for column in estimate(policy_card.card)] == pytest.approx(
        [2.2743, 6.8078, 11.3713], abs=1e-4
    )


def test_on_a_machine_without_further_prices_the_budget_is_the_bill(toy_card: Callable[..., LoadedCard]) -> None:
    limit = spending_limit(toy_card({"infra.price": "$36/h", "timing.budget": "$5"}).card)
    assert limit is not None
    assert [limit.usd, limit.seconds, limit.billed] == pytest.approx([5.0, 500.0, 5.0])
    assert (limit.more, limit.share) == (None, "")
    assert spending_limit(toy_card({"infra.price": "$36/h"}).card) is None


def test_page_validate_and_plan_name_the_same_bill(policy_card: LoadedCard) -> None:
    said = "about $11.41 is billed by then, CPU and memory included"
    page = render_card(policy_card)
    assert f"The run saves and stops before it spends more than $7.50 of GPU time; {said}." in page
    assert "| Whole bill, with CPU and memory | $2.27 | $6.81 | $11.37 |" in page
    assert f"$7.50 is counted as GPU time alone; {said}" in {fault.message for fault in policy_card.warnings}
    planned = planned_prices(policy_card.card)
    worst = worst_case(policy_card.card, planned)
    assert (worst.budget_usd, round(worst.budget_cost_usd or 0.0, 2)) == (7.5, 11.41)
    costs = [column.cost_usd or 0.0 for column in planned_costs(policy_card.card, planned, None)]
    assert [format_dollars(cost) for cost in costs] == ["$2.27", "$6.81", "$11.37"]

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cardrunner import registry
from cardrunner.card.load import LoadedCard, load_card_bytes
from cardrunner.card.prices import read_prices
from cardrunner.plan.money import planned_costs, planned_prices, timeout_cover, worst_case

POLICY = Path(__file__).parents[2] / "runcards" / "policy-22k.yaml"
ToyCard = Callable[[Mapping[str, Any]], LoadedCard]


def policy(*changes: tuple[str, str]) -> LoadedCard:
    """The policy card with pieces of its text replaced."""
    text = POLICY.read_text(encoding="utf-8")
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    return load_card_bytes(text.encode(), file="card.yaml", resolve=registry.workload_spec)


NO_PRICE = (
    ("  price: $0.59/h\n", ""),
    ("  budget: $7.50\n", ""),
    ("    cost: [$1.50, $4.50, $7.50]\n", ""),
)


def test_the_card_s_price_counts_and_the_table_s_stands_beside_it() -> None:
    prices = planned_prices(policy().card)
    line = prices.lines[0]
    assert (line.resource, line.usd, line.source, line.as_of) == ("T4", 0.59, "card", None)
    assert (prices.table_usd, prices.table_as_of) == (0.59, "2026-05")


def test_without_a_price_the_table_s_counts_and_says_its_month() -> None:
    card = policy(*NO_PRICE).card
    prices = planned_prices(card)
    line = prices.lines[0]
    assert (line.usd, line.source, line.as_of) == (0.59, "table", "2026-05")
    costs = [column.cost_usd for column in planned_costs(card, prices, None)]
    assert costs == [
        pytest.approx(column.cost_usd) for column in planned_costs(policy().card, planned_prices(policy().card), None)
    ]


def test_cpu_and_memory_come_on_top_in_every_cost_and_the_card_s_own_figures_stand_beside() -> None:
    card = policy().card
    prices = planned_prices(card)
    hour = 0.59 + 4 * 0.04716 + 16e9 / 2**30 * 0.007992
    assert [(line.resource, line.unit, line.as_of) for line in prices.lines[1:]] == [
        ("CPU", "core hour", "2026-06"),
        ("memory", "GiB hour", "2026-06"),
    ]
    assert prices.usd_per_hour == pytest.approx(hour)
    assert prices.not_included == ()
    columns = list(planned_costs(card, prices, None))
    assert [column.cost_usd for column in columns] == pytest.approx(
        [9120 / 3600 * hour, 27300 / 3600 * hour, 12.666667 * hour]
    )
    assert [column.gpu_usd for column in columns] == pytest.approx([1.495, 4.474, 7.473], abs=1e-3)
    worst = worst_case(card, prices)
    assert worst.cost_usd == pytest.approx(48 * hour)
    assert worst.budget_cost_usd == pytest.approx(7.5 / 0.59 * hour)


def test_what_has_no_price_or_no_amount_is_said() -> None:
    table = dict(read_prices())
    table["CPU"] = replace(table["CPU"], usd=None, as_of="")
    card = policy(("  memory: 16 GB\n", "")).card
    prices = planned_prices(card, table)
    assert prices.not_included == ("CPU (price not known)", "memory (the card states no amount)")
    assert prices.usd_per_hour == 0.59


def test_an_hour_without_the_gpu_has_no_price() -> None:
    card = policy(("gpu: T4\n", "gpu: A100\n"), *NO_PRICE).card
    assert planned_prices(card).usd_per_hour is None
    assert len(planned_prices(card).lines) == 2, "CPU and memory alone would look cheaper than it is"


def test_a_machine_of_one_s_own_is_free_until_the_card_says_otherwise(toy_card: ToyCard) -> None:
    assert planned_prices(toy_card({}).card).usd_per_hour is None
    prices = planned_prices(toy_card({"infra.gpu": "T4", "infra.gpus": 2, "infra.price": "$0.50/h"}).card)
    assert (prices.usd_per_hour, prices.table_usd, prices.not_included) == (1.0, None, ())


def test_the_worst_case_is_the_timeout_times_the_attempts_and_the_budget_may_come_first() -> None:
    card = policy().card
    worst = worst_case(card, planned_prices(card))
    assert (worst.attempts, worst.seconds, worst.budget_usd, worst.limited_by) == (4, 172800, 7.5, "the budget")
    assert worst.cost_usd == pytest.approx(43.09, abs=0.005)
    assert worst.budget_seconds == pytest.approx(7.5 / 0.59 * 3600)
    free = policy(("  budget: $7.50\n", "")).card
    assert worst_case(free, planned_prices(free)).limited_by == "the timeout and 3 retries"


def test_a_run_beyond_the_timeout_is_split_into_attempts_and_the_plan_says_who_starts_them() -> None:
    cover = timeout_cover(policy().card, "policy-22k")
    assert cover is not None
    assert cover.later_attempts == "the retries start 3, then `cardrunner resume policy-22k` starts each next one"


def test_nothing_limits_a_card_without_limits(toy_card: ToyCard) -> None:
    card = toy_card({}).card
    worst = worst_case(card, planned_prices(card))
    assert (worst.seconds, worst.cost_usd, worst.limited_by) == (None, None, "nothing")
    assert timeout_cover(card, "run") is None


@pytest.mark.parametrize(
    ("epoch", "load", "attempts"),
    [("1h", "1h", 1), ("2h", "1h", 2), ("10h", "1h", 8), ("10h", "5h", None)],
)
def test_attempts_are_counted_with_a_load_in_each(
    toy_card: ToyCard, epoch: str, load: str, attempts: int | None
) -> None:
    timing = {"calibration": [1], "epoch": epoch, "data_load": load}
    card = toy_card({"timing": timing, "infra.timeout": "5h"}).card
    (column,) = planned_costs(card, planned_prices(card), 256)
    assert column.attempts_needed == attempts
    assert column.covered_by_timeout == (attempts == 1)


def test_an_estimate_says_how_fast_it_takes_the_machine_to_be() -> None:
    card = policy().card
    columns = list(planned_costs(card, planned_prices(card), 185_648_963))
    assert [round(column.examples_per_second or 0) for column in columns] == [103138, 34379, 20628]

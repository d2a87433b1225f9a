from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cardrunner import registry
from cardrunner.card.load import LoadedCard, load_card_bytes
from cardrunner.plan.money import planned_costs, planned_prices, timeout_cover, worst_case
from cardrunner.prices import read_prices

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
    (line,) = prices.lines
    assert (line.resource, line.usd, line.source, line.as_of) == ("T4", 0.59, "card", None)
    assert (prices.usd_per_hour, prices.table_usd, prices.table_as_of) == (0.59, 0.59, "2026-05")
    assert prices.not_included == ("CPU (price not known)", "memory (price not known)")


def test_without_a_price_the_table_s_counts_and_says_its_month() -> None:
    card = policy(*NO_PRICE).card
    prices = planned_prices(card)
    (line,) = prices.lines
    assert (line.usd, line.source, line.as_of) == (0.59, "table", "2026-05")
    assert [column.cost_usd for column in planned_costs(card, prices, None)] == pytest.approx(
        [1.495, 4.474, 7.473], abs=1e-3
    )


def test_cpu_and_memory_are_counted_where_their_price_is_known() -> None:
    card = policy().card
    table = dict(read_prices())
    table["CPU"] = replace(table["CPU"], usd=0.05, as_of="2026-06")
    table["memory"] = replace(table["memory"], usd=0.01, as_of="2026-06")
    prices = planned_prices(card, table)
    assert prices.usd_per_hour == pytest.approx(0.59 + 4 * 0.05 + 16e9 / 2**30 * 0.01)
    assert prices.not_included == ()
    worst = worst_case(card, prices)
    assert worst.cost_usd == pytest.approx(48 * (prices.usd_per_hour or 0))


def test_an_hour_without_the_gpu_has_no_price() -> None:
    card = policy(("gpu: T4\n", "gpu: H200\n"), *NO_PRICE).card
    table = {name: replace(price, usd=price.usd or 0.05) for name, price in read_prices().items() if name != "H200"}
    assert planned_prices(card, table).usd_per_hour is None
    assert planned_prices(card).usd_per_hour is None


def test_a_machine_of_one_s_own_is_free_until_the_card_says_otherwise(toy_card: ToyCard) -> None:
    assert planned_prices(toy_card({}).card).usd_per_hour is None
    prices = planned_prices(toy_card({"infra.gpu": "T4", "infra.gpus": 2, "infra.price": "$0.50/h"}).card)
    assert (prices.usd_per_hour, prices.table_usd, prices.not_included) == (1.0, None, ())


def test_the_worst_case_is_the_timeout_times_the_attempts_and_the_budget_may_come_first() -> None:
    card = policy().card
    worst = worst_case(card, planned_prices(card))
    assert (worst.attempts, worst.seconds, worst.budget_usd, worst.limited_by) == (4, 172800, 7.5, "the budget")
    assert worst.cost_usd == pytest.approx(28.32)
    assert worst.budget_seconds == pytest.approx(7.5 / 0.59 * 3600)
    free = policy(("  budget: $7.50\n", "")).card
    assert worst_case(free, planned_prices(free)).limited_by == "the timeout and 3 retries"


def test_nothing_limits_a_card_without_limits(toy_card: ToyCard) -> None:
    card = toy_card({}).card
    worst = worst_case(card, planned_prices(card))
    assert (worst.seconds, worst.cost_usd, worst.limited_by) == (None, None, "nothing")
    assert timeout_cover(card) is None


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

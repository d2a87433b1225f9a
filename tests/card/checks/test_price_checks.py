from __future__ import annotations

from collections.abc import Callable

import pytest

from cardrunner.card.load import LoadedCard
from cardrunner.card.prices import gpu_names
from cardrunner.errors import CardError

Edit = Callable[..., LoadedCard]
NO_COST = ("    cost: [$1.50, $4.50, $7.50]\n", "")
NO_BUDGET = ("  budget: $7.50\n", "")


def told(loaded: LoadedCard) -> list[str]:
    return [str(fault) for fault in loaded.warnings if fault.path in ("infra.price", "infra.gpu")]


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("t4", 'is no GPU that Modal offers; did you mean "T4"?'),
        ("A100_80GB", 'is no GPU that Modal offers; did you mean "A100-80GB"?'),
        ("H1O0", 'is no GPU that Modal offers; did you mean "H100"?'),
        ("Radeon", "is no GPU that Modal offers; there are T4, L4, A10"),
        ("T4:2", "names the GPU alone; write gpu: T4 and gpus: 2"),
        ("T4:many", "names the GPU alone; write gpu: T4, and how many under gpus"),
    ],
)
def test_a_gpu_that_modal_has_not_is_a_fault_with_a_guess(edited: Edit, written: str, sentence: str) -> None:
    with pytest.raises(CardError) as caught:
        edited(("gpu: T4\n", f'gpu: "{written}"\n'))
    (fault,) = (str(fault) for fault in caught.value.faults if "infra.gpu" in str(fault))
    assert f"infra.gpu: {sentence}" in fault


@pytest.mark.parametrize("name", gpu_names())
def test_every_gpu_of_the_table_is_taken(edited: Edit, name: str) -> None:
    assert edited(("gpu: T4\n", f"gpu: {name}\n"), NO_COST, NO_BUDGET).card.infra.gpu == name


@pytest.mark.parametrize(("price", "warned"), [("0.59", False), ("0.61", False), ("0.63", True), ("0.50", True)])
def test_a_price_more_than_5_percent_off_the_table_is_warned_about(edited: Edit, price: str, warned: bool) -> None:
    warnings = told(edited(("price: $0.59/h", f"price: ${price}/h"), NO_COST, NO_BUDGET))
    assert len(warnings) == warned
    if warned:
        assert "the price table has $0.59/h for T4 (published by Modal, 2026-05); time and cost use" in warnings[0]


def test_a_gpu_without_a_known_price_is_not_compared(edited: Edit) -> None:
    assert told(edited(("gpu: T4\n", "gpu: A100\n"))) == []


def test_a_machine_of_one_s_own_may_have_any_gpu_at_any_price(toy_card: Callable[..., LoadedCard]) -> None:
    assert told(toy_card({"infra.gpu": "RTX 3060", "infra.price": "$9/h"})) == []

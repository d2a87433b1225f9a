from __future__ import annotations

import re

import pytest

from cardrunner.card.prices import CPU, MEMORY, gpu_names, read_prices


def test_the_table_that_ships_is_dated_wherever_it_has_a_price() -> None:
    for price in read_prices().values():
        assert (price.usd is None) == (price.as_of == "")
        assert price.usd is None or price.usd > 0
        assert re.fullmatch(r"(20\d\d-\d\d)?", price.as_of)
        assert price.source


def test_published_prices_stand_as_they_were_read() -> None:
    known = {name: price.usd for name, price in read_prices().items() if price.usd is not None}
    assert known.pop(CPU) == pytest.approx(0.0000131 * 3600), "dollars per core and second"
    assert known.pop(MEMORY) == pytest.approx(0.00000222 * 3600), "dollars per GiB and second"
    assert known == {
        "T4": 0.59, "L4": 0.8, "A10": 1.1, "L40S": 1.95, "A100-40GB": 2.1, "A100-80GB": 2.5, "RTX-PRO-6000": 3.03,
        "H100": 3.95, "H200": 4.54, "B200": 6.25,
    }  # fmt: skip


def test_every_gpu_of_the_platform_has_a_row_and_nothing_else_is_a_gpu() -> None:
    assert gpu_names() == (
        "T4", "L4", "A10", "L40S", "A100", "A100-40GB", "A100-80GB", "RTX-PRO-6000", "H100", "H100!", "H200", "B200",
        "B200+",
    )  # fmt: skip
    assert {CPU, MEMORY} == set(read_prices()) - set(gpu_names())

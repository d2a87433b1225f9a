from __future__ import annotations

import pytest

from benchmarks.timing import interleaved, ratio


def test_cases_take_turns_and_the_lead_is_not_counted() -> None:
    calls: list[str] = []
    cases = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    seconds = interleaved(cases, repetitions=2, calls=2, lead=1)
    assert "".join(calls) == "bbbaaaaaabbb"
    assert {name: len(times) for name, times in seconds.items()} == {"a": 2, "b": 2}


def test_a_ratio_is_the_median_of_pairs_inside_its_interval() -> None:
    found = ratio([2.0, 4.0, 60.0], [1.0, 2.0, 10.0])
    assert found.median == pytest.approx(2.0)
    assert found.low <= found.median <= found.high <= 6.0
    assert str(found).startswith("2.000  [2.000, 6.000]  n=3")


def test_a_ratio_without_noise_has_no_width() -> None:
    found = ratio([3.0] * 15, [2.0] * 15)
    assert (found.low, found.median, found.high) == (1.5, 1.5, 1.5)

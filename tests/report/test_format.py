from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from cardrunner.common.text import listed, plural
from cardrunner.contracts import MetricSpec
from cardrunner.report.table import difference, measured, rate, sentence, share, stated, when

SHARE = MetricSpec(name="metric/right", direction="max", unit="share", meaning="", percent=True)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0132049, "0.01320"),
        (0.0, "0"),
        (1234.56, "1235"),
        (28772.0, "28,772"),
        (3.2e-7, "3.200e-07"),
        (-0.5, "-0.5000"),
        (2e9, "2.000e+09"),
    ],
)
def test_measured_values_have_four_significant_digits(value: float, text: str) -> None:
    assert measured(value) == text


def test_shares_are_percentages() -> None:
    assert measured(0.97954, SHARE) == "97.95%"
    assert stated(0.982, SHARE) == "98.2%"
    assert difference(0.981, 0.982, SHARE) == "−0.10 pp"


@pytest.mark.parametrize(("value", "text"), [(math.nan, "NaN"), (math.inf, "∞"), (-math.inf, "−∞")])
def test_what_is_no_number_says_so(value: float, text: str) -> None:
    assert measured(value) == measured(value, SHARE) == stated(value, SHARE) == text


def test_what_was_not_measured_stays_nothing() -> None:
    assert measured(None) is None
    assert stated(None) is None
    assert rate(None) is None
    assert share(1.0, 0.0) is None


def test_differences_carry_their_sign() -> None:
    assert difference(0.0145, 0.02) == "−0.0055"
    assert difference(0.02, 0.0145) == "+0.0055"
    assert difference(0.5, 0.5) == "±0"
    assert difference(math.inf, 0.5) == "∞"


@pytest.mark.parametrize(("value", "text"), [(4571.4, "4,570"), (0.012345, "0.0123"), (99.96, "100.0"), (0.0, "0")])
def test_rates_have_three_significant_digits(value: float, text: str) -> None:
    assert rate(value) == text


def test_times_lose_their_milliseconds_and_other_text_stays() -> None:
    assert when("2026-02-26T09:30:00.125Z") == when("2026-02-26T09:30:00Z") == "2026-02-26 09:30:00 UTC"
    assert when("yesterday") == "yesterday"
    assert when(None) is None


def test_words_make_sentences() -> None:
    assert listed([]) == ""
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert plural(1, "epoch") == "1 epoch"
    assert plural(2, "epoch") == "2 epochs"
    assert sentence("not recorded") == "Not recorded."
    assert sentence("Done!") == "Done!"


@given(st.floats())
def test_every_number_has_a_text(value: float) -> None:
    assert measured(value)
    assert stated(value)
    assert difference(value, 0.5)

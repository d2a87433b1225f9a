"""What counts as a number."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cardrunner.workloads.command.reports.values import number, step_number


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1.0),
        (0.5, 0.5),
        ("0.6941", 0.6941),
        (" '0.5', ", 0.5),
        ("-1e-3", -0.001),
        ("inf", math.inf),
        (np.float32(0.5), 0.5),
        (np.array(2), 2.0),
        (np.ones(1), 1.0),
    ],
)
def test_numbers(value: object, expected: float) -> None:
    assert number(value) == expected


def test_nan_stays() -> None:
    assert math.isnan(number("nan") or 0)
    assert math.isnan(number(float("nan")) or 0)


@pytest.mark.parametrize(
    "value",
    [True, None, "", "high", "97%", "1_000", "1" * 100, [1], {"a": 1}, np.ones(2), np.array("x"), 10**400, b"1"],
)
def test_everything_else_is_no_number(value: object) -> None:
    assert number(value) is None


@pytest.mark.parametrize(
    ("value", "step"), [(3, 3), ("3", 3), (3.0, 3), (0, 0), (1.5, None), (-1, None), ("nan", None)]
)
def test_steps_are_whole_numbers(value: object, step: int | None) -> None:
    assert step_number(value) == step

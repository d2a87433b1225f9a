"""Quantities that every run measures about itself; rules name them as they name metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from cardrunner.common import units
from cardrunner.specs import MetricNames, Range


class Quantity(NamedTuple):
    """A quantity of a run and its notation in cards."""

    name: str
    worse: Literal["above", "below"]
    """On which side a rule about it belongs."""
    read: Callable[[Any], float]
    """Parse a value of a card into a number; raises ValueError with a one-sentence explanation."""
    show: Callable[[float], str]
    example: str
    meaning: str
    grows: bool = False
    """Whether it only ever grows, so that a restart cannot help."""
    range: Range = Range(lower=0.0)


_SHARE = Range(0.0, 1.0, percent=True)


def _plain(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number, of examples per second")
    return float(value)


def _share(value: Any) -> float:
    share = units.parse_percent(value) if isinstance(value, str) else _plain_share(value)
    if not _SHARE.lower <= share <= _SHARE.upper:
        raise ValueError("is a share of the training time, from 0% to 100%")
    return share


def _plain_share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("write a share, such as 50%")
    return float(value)


QUANTITIES = {
    quantity.name: quantity
    for quantity in (
        Quantity(
            "epoch_time", "above", units.parse_duration, units.format_duration, "45 min",
            "an epoch with its validation, judged at its end; not one that an attempt began in the middle of",
        ),
        Quantity(
            "examples_per_second", "below", _plain, "{:.4g}".format, "1000",
            "training examples by training time since the row before, judged at log points; an attempt's first one, "
            "with its warm-up, is left out",
        ),
        Quantity(
            "data_wait", "above", _share, lambda value: units.format_percent(value, decimals=1), "50%",
            "the share of the training time since the row before that went into waiting for batches, judged as "
            "examples_per_second is", range=_SHARE,
        ),
        Quantity(
            "wall_time", "above", units.parse_duration, units.format_duration, "6h",
            "all attempts from their start, loading included, judged at log points and validations", grows=True,
        ),
        Quantity(
            "cost", "above", units.parse_dollars, units.format_dollars, "$5",
            "wall_time at the card's price, judged at log points and validations", grows=True,
        ),
    )
}  # fmt: skip
"""The quantities by name. They hide metrics of a workload that have the same names."""


def range_of(name: str, metrics: MetricNames) -> Range:
    """The values that a metric or a quantity can have; any value if `name` is neither."""
    found = metrics.spec(name) or metrics.training(name) or QUANTITIES.get(name)
    return found.range if found else Range()


def number_text(name: str) -> Callable[[float], str]:
    """The function that formats values of a metric or a quantity."""
    return _safely(QUANTITIES[name].show) if name in QUANTITIES else "{:.6g}".format


def _safely(show: Callable[[float], str]) -> Callable[[float], str]:
    """Format NaN and infinity as plain numbers, which units cannot."""

    def text(value: float) -> str:
        try:
            return show(value)
        except ValueError:
            return f"{value:g}"

    return text

"""The durations that a card could have, from what a trial took."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from cardrunner.card.schema.card import Card
from cardrunner.common.units import format_duration

_ROUND: Final = (
    10,
    20,
    30,
    60,
    120,
    180,
    300,
    600,
    900,
    1_200,
    1_800,
    *(3_600 * n for n in (1, 2, 3, 4, 6, 8, 12, 24)),
)
_DAY: Final = 86_400
_LEAST_TIMEOUT, _LEAST_FIRST = 600.0, 120.0


@dataclass(frozen=True)
class Offered:
    """What the card's duration could be.

    Args:
        offered: seconds.
        least: a card with less than these seconds is offered another.
        most: the same for one with more.
    """

    offered: float
    least: float
    most: float

    def than(self, written: float | None) -> str | None:
        """The duration to write in place of what the card has; None where that fits."""
        if written is not None and self.least <= written <= self.most:
            return None
        return format_duration(self.offered)


@dataclass(frozen=True)
class Durations:
    """What was measured.

    Args:
        whole: seconds of the whole run; None where nothing tells it.
        first: seconds until its first row.
        measured: the script came to its end, so that the whole was measured.
    """

    whole: float | None
    first: float | None
    measured: bool

    def first_metric(self, written: float) -> Iterator[str]:
        """The field of `training`."""
        if self.first is not None:
            offered = Offered(max(_LEAST_FIRST, rounded_up(10 * self.first)), 3 * self.first, 60 * self.first + 300)
            if (text := offered.than(written)) is not None:
                yield f"  first_metric: {text}   # in the trial it came within {format_duration(math.ceil(self.first))}"

    def sections(self, card: Card) -> Iterator[str]:
        """The fields of `infra` and `timing`."""
        if self.whole is None:
            return
        took = format_duration(round(self.whole, 1))
        why = f"the trial took {took}" if self.measured else f"by the pace of the trial it takes {took}"
        timeout = Offered(max(_LEAST_TIMEOUT, rounded_up(3 * self.whole)), 2 * self.whole, 20 * self.whole + 600)
        if (text := timeout.than(card.infra.timeout)) is not None:
            yield "infra:"
            yield f"  timeout: {text}   # {why}"
        total = Offered(rounded_up(1.5 * self.whole), self.whole, 5 * self.whole + 10)
        if card.timing.total is not None and (text := total.than(card.timing.total[0])) is not None:
            yield "timing:"
            yield f"  total: {text}   # {why}"


def rounded_up(seconds: float) -> float:
    """A round duration that is no shorter."""
    days = -(-seconds // _DAY) * _DAY
    return float(next((round_one for round_one in _ROUND if round_one >= seconds), days))

"""How long a card's run would take and cost at each calibration: the figures of the plan and of the results card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cardrunner.card.contracts import WorkloadSpec
from cardrunner.card.prices import hour_of
from cardrunner.card.schema.card import Card
from cardrunner.common.text import listed
from cardrunner.common.units import Every, cost_of_seconds, format_dollars

_ROUNDING = 0.005
"""Two amounts that differ by a smaller share are the same amount, rounded."""


class Estimate(NamedTuple):
    """One column of the time and cost table. Durations in seconds, money in US dollars."""

    factor: float
    """The calibration: 1 is the optimistic estimate."""
    epoch: float
    training: float
    """Training time of all epochs."""
    load: float
    total: float
    """Loading and training together."""
    cost: float | None
    """None if the card states no price."""
    covered: bool
    """Whether one attempt ends before the timeout; true without a timeout."""

    @property
    def label(self) -> str:
        """``1x``, ``3x``, ``2.5x``."""
        return f"{self.factor:g}x"


def estimate(card: Card) -> tuple[Estimate, ...]:
    """The time and cost of a card, one entry per calibration, in the card's order."""
    columns = card.timing.columns(epochs_of(card))
    return tuple(_column(card, factor, *times) for factor, times in zip(card.timing.calibration, columns, strict=True))


def epochs_of(card: Card) -> int:
    """The parts of a run whose times are estimated: its epochs; 1 where they are not counted."""
    return card.training.planned_epochs or 1


def cost_of(card: Card, seconds: float) -> float | None:
    """The cost of a duration on the card's GPUs; None if the card states no price."""
    price = card.infra.price
    return None if price is None else cost_of_seconds(seconds, hourly=price, count=card.infra.gpus)


def bill_of(card: Card, seconds: float, *, hourly: float | None = None) -> float | None:
    """The whole bill of a duration, CPU and memory included where they are billed; None if a price is unknown.

    Args:
        hourly: US dollars per hour; by default those of the platform's price table.
    """
    rate = hour_of(card.infra).usd if hourly is None else hourly
    return None if rate is None else cost_of_seconds(seconds, hourly=rate)


def is_more(billed: float | None, cost: float | None) -> bool:
    """Whether a whole bill is so much more than the cost of the GPUs that people have to know it."""
    return billed is not None and cost is not None and billed > (1 + _ROUNDING) * cost


class SpendingLimit(NamedTuple):
    """What a budget allows: the run meters the time at `infra.price` alone."""

    usd: float
    seconds: float | None
    """Seconds of all attempts after which the run stops itself; None if the card states no price."""
    billed: float | None
    """The whole bill of that time in US dollars; None if it is not known."""

    @property
    def share(self) -> str:
        """`` of GPU time`` where more than that is billed, to follow the amount; else empty."""
        return " of GPU time" if self.more else ""

    @property
    def more(self) -> str | None:
        """The bill beyond the budget, as a clause; None where both are the same."""
        if self.billed is None or not is_more(self.billed, self.usd):
            return None
        return f"about {format_dollars(self.billed)} is billed by then, CPU and memory included"


def spending_limit(card: Card, *, hourly: float | None = None) -> SpendingLimit | None:
    """What the card's budget allows; None without a budget.

    Args:
        hourly: as in `bill_of`.
    """
    budget, metered = card.timing.budget, cost_of(card, 1.0)
    if budget is None:
        return None
    seconds = budget / metered if metered else None
    return SpendingLimit(budget, seconds, None if seconds is None else bill_of(card, seconds, hourly=hourly))


def batches_per_epoch(card: Card, spec: WorkloadSpec) -> int | None:
    """Batches of one process in an epoch; None if the number of training examples is not known yet."""
    examples = training_examples(card, spec)
    return None if examples is None else card.training.batches(examples, processes=processes_of(card))


def training_examples(card: Card, spec: WorkloadSpec) -> int | None:
    """Training examples, as stated or else as the workload derives them."""
    if (stated := card.data.counted[0]) is not None:
        return stated
    derived = spec.examples(card)
    return derived[0] if derived else None


def processes_of(card: Card) -> int:
    """How many processes train together: one per GPU, or as many as the card asks for on the CPU."""
    return max(card.infra.gpus, card.training.cpu_processes)


def interval(every: Every, *, epoch: float, batches: int | None) -> float | None:
    """Seconds between two events of an interval.

    Args:
        epoch: the duration of an epoch in seconds.
        batches: batches per epoch; without it steps cannot be converted.
    """
    if every.unit == "second":
        return every.value
    if every.unit == "epoch":
        return every.value * epoch
    return every.value * epoch / batches if batches else None


def covered_labels(columns: Sequence[Estimate]) -> str:
    """``1x and 3x``: the calibrations that the timeout covers; empty when none."""
    return listed(column.label for column in columns if column.covered)


def _column(card: Card, factor: float, epoch: float, load: float) -> Estimate:
    training = epoch * epochs_of(card)
    total, timeout = load + training, card.infra.timeout
    return Estimate(
        factor=factor,
        epoch=epoch,
        training=training,
        load=load,
        total=total,
        cost=cost_of(card, total),
        covered=timeout is None or total <= timeout,
    )

"""Planned time and cost: prices, the cost of each calibration, what the timeout covers, the worst case."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Literal

from cardrunner.card.estimate import cost_of, covered_labels, epochs_of, estimate, spending_limit
from cardrunner.card.platforms import platform_of
from cardrunner.card.prices import Billed, Price, hour_of
from cardrunner.card.schema.card import Card
from cardrunner.common.units import cost_of_seconds
from cardrunner.runs.records import Record, State


class PriceLine(Record):
    """One resource of the bill."""

    resource: str
    amount: float
    unit: str
    usd: float
    """US dollars for one unit."""
    source: Literal["card", "table"]
    as_of: str | None
    """The month in which the table's price was read, such as 2026-05."""


class Prices(Record):
    """What an hour costs."""

    lines: tuple[PriceLine, ...]
    usd_per_hour: float | None
    """The sum of all lines; None if a price is unknown."""
    table_usd: float | None
    """The shipped table's price for one hour of the card's GPU."""
    table_as_of: str | None
    not_included: tuple[str, ...]
    """Resources that are billed as well and have no known price."""


class PlannedCost(Record):
    """Time and money at one calibration."""

    factor: float | None
    """Factor over the optimistic estimate; None if that estimate is zero."""
    epoch_seconds: float | None
    load_seconds: float
    training_seconds: float
    total_seconds: float
    examples_per_second: float | None
    """The speed that the epoch time implies."""
    cost_usd: float | None
    """US dollars, including CPU and memory where their price is known."""
    gpu_usd: float | None
    """The part at `infra.price`, which is what the card's stated costs and its budget count."""
    covered_by_timeout: bool
    attempts_needed: int | None
    """Attempts, with a resume after each timeout; None if no attempt would get past loading the data."""


class PastRun(Record):
    """A run of the workspace that trained the same workload on the same GPU with the same batch size."""

    run: str
    state: State
    started: str
    epochs: int
    """Number of full epochs that were timed."""
    examples_per_second: float
    """The median over its epochs, including validation."""
    slowest: float
    """Examples per second in its slowest epoch."""
    fastest: float
    load_seconds: float | None
    same_model: bool
    same_data: bool


class Learned(Record):
    """What past runs say about time and cost, beside the card's own estimate."""

    note: str
    """What was learned, or why nothing could be."""
    runs: tuple[PastRun, ...]
    estimate: PlannedCost | None


class TimeoutCover(Record):
    """What the timeout of one attempt covers."""

    seconds: float
    attempts: int
    """Number of attempts, including the platform's retries."""
    covers: str
    """The calibrations that fit, such as ``1x and 3x``; empty if none fits."""
    counts: str
    """Which work counts towards the timeout."""
    later_attempts: str
    """What starts the next attempt of a run that takes longer."""


class WorstCase(Record):
    """The longest and most expensive that a run can become before something ends it."""

    attempts: int
    seconds: float | None
    """Timeout x attempts; None if nothing limits the time."""
    cost_usd: float | None
    """The cost of that time at `Prices.usd_per_hour`."""
    budget_usd: float | None
    budget_seconds: float | None
    """Seconds of all attempts after which the run stops itself to keep the budget."""
    budget_cost_usd: float | None
    """The cost of that time including CPU and memory, which the run does not meter."""
    limited_by: str
    """The limit that is reached first."""


def planned_prices(card: Card, table: Mapping[str, Price] | None = None) -> Prices:
    """What an hour of the card's machine costs.

    Args:
        card: the card.
        table: prices by resource; the platform's by default.
    """
    table = platform_of(card.infra).prices() if table is None else table
    hour, listed = hour_of(card.infra, table), table.get(card.infra.gpu or "")
    return Prices(
        lines=tuple(_line(line) for line in hour.lines),
        usd_per_hour=hour.usd,
        table_usd=listed.usd if listed else None,
        table_as_of=listed.as_of or None if listed else None,
        not_included=hour.not_included,
    )


def planned_costs(card: Card, prices: Prices, examples: int | None) -> Iterator[PlannedCost]:
    """One entry per calibration, in the card's order.

    Args:
        examples: training examples per epoch; None if not known yet.
    """
    for column in estimate(card):
        yield cost_at(card, prices, factor=column.factor, epoch=column.epoch, load=column.load, examples=examples)


def cost_at(
    card: Card, prices: Prices, *, factor: float | None, epoch: float, load: float, examples: int | None
) -> PlannedCost:
    """Time and cost of a run from the seconds that an epoch and loading take."""
    training = epoch * epochs_of(card)
    total, timeout, rate = load + training, card.infra.timeout, prices.usd_per_hour
    return PlannedCost(
        factor=factor,
        epoch_seconds=epoch if card.timing.total is None else None,
        load_seconds=load,
        training_seconds=training,
        total_seconds=total,
        examples_per_second=examples / epoch if examples and epoch > 0 else None,
        cost_usd=_cost(total, rate),
        gpu_usd=cost_of(card, total),
        covered_by_timeout=timeout is None or total <= timeout,
        attempts_needed=_attempts_needed(training, load, timeout),
    )


def optimistic_epoch(card: Card) -> float:
    """Seconds of an epoch at 1x, the base of the card's factors."""
    return card.timing.columns(epochs_of(card))[0][0] / card.timing.calibration[0]


def timeout_cover(card: Card, run: str) -> TimeoutCover | None:
    """What the timeout of one attempt covers; None if the card sets no timeout."""
    infra = card.infra
    if infra.timeout is None:
        return None
    command = f"`cardrunner resume {run}` starts each next one"
    by_itself = infra.retries if platform_of(infra).resumes_after_timeout else 0
    return TimeoutCover(
        seconds=infra.timeout,
        attempts=1 + infra.retries,
        later_attempts=f"the retries start {by_itself}, then {command}" if by_itself else command,
        covers=covered_labels(estimate(card)),
        counts="one attempt from its start: loading the data, training, validation, checkpoints",
    )


def worst_case(card: Card, prices: Prices) -> WorstCase:
    """The upper limits of time and cost: timeout x attempts, and the budget."""
    infra, limit = card.infra, spending_limit(card, hourly=prices.usd_per_hour)
    attempts = 1 + infra.retries
    seconds = None if infra.timeout is None else infra.timeout * attempts
    until = limit.seconds if limit else None
    return WorstCase(
        attempts=attempts,
        seconds=seconds,
        cost_usd=_cost(seconds, prices.usd_per_hour),
        budget_usd=limit.usd if limit else None,
        budget_seconds=until,
        budget_cost_usd=limit.billed if limit else None,
        limited_by=_first_limit(seconds, until, infra.retries),
    )


def _cost(seconds: float | None, rate: float | None) -> float | None:
    return None if seconds is None or rate is None else cost_of_seconds(seconds, hourly=rate)


def _first_limit(seconds: float | None, until: float | None, retries: int) -> str:
    if until is not None and (seconds is None or until < seconds):
        return "the budget"
    if seconds is None:
        return "nothing"
    return "the timeout" + (f" and {retries} retries" if retries > 1 else " and 1 retry" if retries else "")


def _attempts_needed(training: float, load: float, timeout: float | None) -> int | None:
    """Attempts until the training is done, where each loads the data first and resumes from the last checkpoint."""
    if timeout is None or load + training <= timeout:
        return 1
    return math.ceil(training / (timeout - load)) if timeout > load else None


def _line(billed: Billed) -> PriceLine:
    return PriceLine(**billed._asdict(), source="card" if billed.as_of is None else "table")

"""Time and money before anybody knows: prices, what each calibration costs, what the timeout covers, the worst case."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Literal

from cardrunner.card.estimate import cost_of, covered_labels, estimate
from cardrunner.card.prices import Billed, Price, hour_of, read_prices
from cardrunner.card.schema.card import Card
from cardrunner.runs.records import Record, State
from cardrunner.units import cost_of_seconds


class PriceLine(Record):
    """One resource of the bill."""

    resource: str
    amount: float
    unit: str
    usd: float
    """For one unit."""
    source: Literal["card", "table"]
    as_of: str | None
    """The month of the table's price."""


class Prices(Record):
    """What an hour costs."""

    lines: tuple[PriceLine, ...]
    usd_per_hour: float | None
    """All lines together; None where nobody knows a price."""
    table_usd: float | None
    """What the shipped table has for one hour of the card's GPU."""
    table_as_of: str | None
    not_included: tuple[str, ...]
    """What is billed too and has no known price."""


class PlannedCost(Record):
    """Time and money at one calibration."""

    factor: float | None
    """Of the optimistic estimate; None where that is no time at all."""
    epoch_seconds: float
    load_seconds: float
    training_seconds: float
    total_seconds: float
    examples_per_second: float | None
    """That the epoch time takes for granted."""
    cost_usd: float | None
    """CPU and memory included, where their price is known."""
    gpu_usd: float | None
    """Of that what `infra.price` gives, which the card's stated costs and its budget count."""
    covered_by_timeout: bool
    attempts_needed: int | None
    """With a resume after each timeout; None: no attempt would get beyond loading the data."""


class PastRun(Record):
    """A run of the workspace that trained the same workload on the same GPU with the same batch size."""

    run: str
    state: State
    started: str
    epochs: int
    """Full epochs that were timed."""
    examples_per_second: float
    """The median over its epochs, validation included."""
    slowest: float
    """Examples per second in its slowest epoch."""
    fastest: float
    load_seconds: float | None
    same_model: bool
    same_data: bool


class Learned(Record):
    """What past runs say about time and cost, beside the card's own estimate."""

    note: str
    """What was learned, or why nothing was."""
    runs: tuple[PastRun, ...]
    estimate: PlannedCost | None


class TimeoutCover(Record):
    """What the timeout of one attempt covers."""

    seconds: float
    attempts: int
    """With the platform's retries."""
    covers: str
    """The calibrations that fit: ``1x and 3x``; empty when none does."""
    counts: str
    """What its clock counts."""
    later_attempts: str
    """Who starts the next attempt of a run that takes longer."""


class WorstCase(Record):
    """The most that can happen before something ends the run."""

    attempts: int
    seconds: float | None
    """Timeout x attempts; None: nothing limits the time."""
    cost_usd: float | None
    """For that time at `Prices.usd_per_hour`."""
    budget_usd: float | None
    budget_seconds: float | None
    """When the run itself would stop to keep the budget, in time of all attempts."""
    budget_cost_usd: float | None
    """What that time costs with CPU and memory, which the run does not count."""
    limited_by: str
    """What comes first."""


def planned_prices(card: Card, table: Mapping[str, Price] | None = None) -> Prices:
    """What an hour of the card's machine costs.

    Args:
        card: the card.
        table: prices by resource; those that ship when absent.
    """
    hour = hour_of(card.infra, table)
    known = {} if card.infra.platform == "local" else read_prices() if table is None else table
    listed = known.get(card.infra.gpu or "")
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
        examples: training examples of an epoch; None when nobody knows yet.
    """
    for column in estimate(card):
        yield cost_at(card, prices, factor=column.factor, epoch=column.epoch, load=column.load, examples=examples)


def cost_at(
    card: Card, prices: Prices, *, factor: float | None, epoch: float, load: float, examples: int | None
) -> PlannedCost:
    """Time and money of a run whose epochs and loading take so many seconds."""
    training = epoch * card.training.epochs
    total, timeout, rate = load + training, card.infra.timeout, prices.usd_per_hour
    return PlannedCost(
        factor=factor,
        epoch_seconds=epoch,
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
    """Seconds of an epoch at 1x, which the card's factors are meant against."""
    timing = card.timing
    return timing.epoch[0] if len(timing.epoch) == 1 else timing.epoch[0] / timing.calibration[0]


def timeout_cover(card: Card, run: str) -> TimeoutCover | None:
    """What the timeout of one attempt of a run covers; None where the card sets none."""
    infra = card.infra
    if infra.timeout is None:
        return None
    command = f"`cardrunner resume {run}` starts each next one"
    by_itself = infra.retries if infra.platform != "local" else 0
    return TimeoutCover(
        seconds=infra.timeout,
        attempts=1 + infra.retries,
        later_attempts=f"the retries start {by_itself}, then {command}" if by_itself else command,
        covers=covered_labels(estimate(card)),
        counts="one attempt from its start: loading the data, training, validation, checkpoints",
    )


def worst_case(card: Card, prices: Prices) -> WorstCase:
    """Timeout x attempts, and what the budget ends before that."""
    infra, budget, rate = card.infra, card.timing.budget, prices.usd_per_hour
    attempts = 1 + infra.retries
    seconds = None if infra.timeout is None else infra.timeout * attempts
    metered = cost_of(card, 1.0)  # a second as the run itself counts it, by the price that the card states
    until = None if budget is None or not metered else budget / metered
    return WorstCase(
        attempts=attempts,
        seconds=seconds,
        cost_usd=_cost(seconds, rate),
        budget_usd=budget,
        budget_seconds=until,
        budget_cost_usd=_cost(until, rate),
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
    """Attempts until the training is done when each loads first and goes on from the last checkpoint."""
    if timeout is None or load + training <= timeout:
        return 1
    return math.ceil(training / (timeout - load)) if timeout > load else None


def _line(billed: Billed) -> PriceLine:
    return PriceLine(**billed._asdict(), source="card" if billed.as_of is None else "table")

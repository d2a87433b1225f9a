"""Time and money before anybody knows: prices, what each calibration costs, what the timeout covers, the worst case."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from cardrunner.card.estimate import cost_of, covered_labels, estimate
from cardrunner.card.hourly import Billed, hour_of
from cardrunner.card.schema.card import Card
from cardrunner.plan.money_records import PlannedCost, PriceLine, Prices, TimeoutCover, WorstCase
from cardrunner.prices import Price, read_prices


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
    return None if seconds is None or rate is None else seconds / 3600 * rate


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

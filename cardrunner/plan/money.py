"""Time and money before anybody knows: prices, what each calibration costs, what the timeout covers, the worst case."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from cardrunner.card.estimate import covered_labels, estimate
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.infra import InfraBase
from cardrunner.plan.money_records import PlannedCost, PriceLine, Prices, TimeoutCover, WorstCase
from cardrunner.prices import CPU, MEMORY, Price, read_prices

GIB = 2**30


def planned_prices(card: Card, table: Mapping[str, Price] | None = None) -> Prices:
    """What an hour of the card's machine costs: the card's price of the GPU, else the table's; CPU and memory on top.

    Args:
        card: the card. A machine of one's own costs what the card says, or nothing.
        table: prices by resource; those that ship when absent.
    """
    infra = card.infra
    table = {} if infra.platform == "local" else read_prices() if table is None else table
    listed = table.get(infra.gpu or "")
    lines = tuple(_lines(infra, table))
    return Prices(
        lines=lines,
        usd_per_hour=sum(line.amount * line.usd for line in lines) if _priced(lines, infra) else None,
        table_usd=listed.usd if listed else None,
        table_as_of=listed.as_of or None if listed else None,
        not_included=tuple(_not_included(infra, table, {line.resource for line in lines})),
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
        cost_usd=None if rate is None else total / 3600 * rate,
        covered_by_timeout=timeout is None or total <= timeout,
        attempts_needed=_attempts_needed(training, load, timeout),
    )


def optimistic_epoch(card: Card) -> float:
    """Seconds of an epoch at 1x, which the card's factors are meant against."""
    timing = card.timing
    return timing.epoch[0] if len(timing.epoch) == 1 else timing.epoch[0] / timing.calibration[0]


def timeout_cover(card: Card) -> TimeoutCover | None:
    """What the timeout covers; None where the card sets none."""
    infra = card.infra
    if infra.timeout is None:
        return None
    return TimeoutCover(
        seconds=infra.timeout,
        attempts=1 + infra.retries,
        covers=covered_labels(estimate(card)),
        counts="one attempt from its start: loading the data, training, validation, checkpoints",
    )


def worst_case(card: Card, prices: Prices) -> WorstCase:
    """Timeout x attempts, and what the budget ends before that."""
    infra, budget, rate = card.infra, card.timing.budget, prices.usd_per_hour
    attempts = 1 + infra.retries
    seconds = None if infra.timeout is None else infra.timeout * attempts
    metered = None if infra.price is None else infra.price * infra.gpus  # what the run itself counts
    until = None if budget is None or not metered else budget / metered * 3600
    return WorstCase(
        attempts=attempts,
        seconds=seconds,
        cost_usd=None if seconds is None or rate is None else seconds / 3600 * rate,
        budget_usd=budget,
        budget_seconds=until,
        limited_by=_first_limit(seconds, until, infra.retries),
    )


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


def _lines(infra: InfraBase, table: Mapping[str, Price]) -> Iterator[PriceLine]:
    listed = table.get(infra.gpu or "")
    if infra.price is not None:
        unit = "GPU hour" if infra.gpu else "hour"
        yield _line(infra.gpu or "this machine", infra.gpus, unit, infra.price, None)
    elif listed is not None and listed.usd is not None:
        yield _line(listed.resource, infra.gpus, listed.unit, listed.usd, listed.as_of)
    for name, amount in _besides(infra).items():
        known = table.get(name)
        if amount is not None and known is not None and known.usd is not None:
            yield _line(name, amount, known.unit, known.usd, known.as_of)


def _line(resource: str, amount: float, unit: str, usd: float, as_of: str | None) -> PriceLine:
    source = "card" if as_of is None else "table"
    return PriceLine(resource=resource, amount=amount, unit=unit, usd=usd, source=source, as_of=as_of)


def _priced(lines: tuple[PriceLine, ...], infra: InfraBase) -> bool:
    """Whether the GPU is among the lines; an hour without it would look cheaper than it is."""
    return any(line.resource not in _besides(infra) for line in lines)


def _not_included(infra: InfraBase, table: Mapping[str, Price], lines: set[str]) -> Iterator[str]:
    for name in _besides(infra):
        if name in table and name not in lines:
            yield f"{name} ({'price not known' if table[name].usd is None else 'the card does not say how much'})"


def _besides(infra: InfraBase) -> dict[str, float | None]:
    """What is billed beside the GPU, in the table's units."""
    return {CPU: infra.cpu, MEMORY: None if infra.memory is None else infra.memory / GIB}

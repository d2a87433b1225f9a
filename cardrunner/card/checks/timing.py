"""Checks of time and cost: the stated table, the timeout, the budget, the time between log lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cardrunner.card.contracts import WorkloadSpec
from cardrunner.card.estimate import (
    Estimate,
    batches_per_epoch,
    cost_of,
    covered_labels,
    epochs_of,
    estimate,
    interval,
    spending_limit,
)
from cardrunner.card.platforms import platform_of
from cardrunner.card.prices import hour_of
from cardrunner.card.schema.card import Card
from cardrunner.common import units
from cardrunner.common.text import listed
from cardrunner.specs import Remark

STATED_TOLERANCE = 0.10
"""How far a stated time or cost may be from what the card's other numbers give."""
LONGEST_SILENCE = 300.0
"""The longest reasonable time between log lines, in seconds; later people wonder whether the run is alive."""


def stated_columns(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """Stated training time, wall time and cost agree with the other numbers, column by column."""
    del spec
    columns = estimate(card)
    for name, format_value in (
        ("training", units.format_duration),
        ("total", units.format_duration),
        ("cost", units.format_dollars),
    ):
        stated = getattr(card.timing.stated, name) or ()
        if name == "cost" and stated and card.infra.price is None:
            yield Remark(
                loc=("timing", "stated", "cost"),
                message="cannot be checked: infra.price is missing",
                severity="warning",
            )
            continue
        for index, value in enumerate(stated):
            derived: float = getattr(columns[index], name)
            if abs(value - derived) > STATED_TOLERANCE * derived:
                formula = _formula(card, columns[index], name)
                message = (
                    f"states {format_value(value)} at {columns[index].label}, but {formula} = {format_value(derived)}"
                )
                yield Remark(loc=("timing", "stated", name, index), message=message)


def timeout(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """Calibrations that one attempt cannot finish."""
    del spec
    limit = card.infra.timeout
    if limit is None:
        return
    if limit == 0:
        yield Remark(loc=("infra", "timeout"), message="0s ends every attempt at once; say how long one may take")
        return
    columns = estimate(card)
    covered = covered_labels(columns) or "no calibration"
    for column in columns:
        if not column.covered:
            takes = f"{column.label} takes {units.format_duration(column.total)}"
            message = f"{units.format_duration(limit)} covers {covered}; {takes}: {_what_then(card)}"
            yield Remark(loc=("infra", "timeout"), message=message, severity="warning")


def log_interval(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """The time between log lines at the slowest calibration."""
    if (every := card.training.log_interval) is None:
        return
    slowest = max(estimate(card), key=lambda column: column.epoch)
    silence = interval(every, epoch=slowest.epoch, batches=batches_per_epoch(card, spec))
    if silence is None or silence <= LONGEST_SILENCE:
        return
    written, limit = units.format_every(every), units.format_duration(LONGEST_SILENCE)
    apart = f"{units.format_duration(silence)} at {slowest.label}"
    message = f"every {written} is a line every {apart}, more than {limit}; log more often"
    yield Remark(loc=("training", "log_every"), message=message, severity="warning")


def budget(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """Calibrations that would spend more than the budget."""
    del spec
    limit = card.timing.budget
    if limit is None:
        return
    if card.infra.price is None:
        yield Remark(loc=("timing", "budget"), message="cannot be kept without infra.price; state the price per hour")
        return
    columns = estimate(card)
    first = min(columns, key=lambda column: column.load + column.epoch)
    if (least := cost_of(card, first.load + first.epoch)) is not None and limit < least:
        spent = f"which costs {units.format_dollars(least)} with loading at {first.label}"
        message = f"{units.format_dollars(limit)} ends the run before its first epoch is trained, {spent}"
        yield Remark(loc=("timing", "budget"), message=message)
        return
    yield from _beyond_the_gpu(card)
    for column in columns:
        if column.cost is not None and column.cost > limit:
            spent = f"{column.label}, which costs {units.format_dollars(column.cost)}"
            message = f"{units.format_dollars(limit)} ends the run before {spent}"
            yield Remark(loc=("timing", "budget"), message=message, severity="warning")


def _beyond_the_gpu(card: Card) -> Iterator[Remark]:
    """What is billed beside the time that the budget counts."""
    limit, rest = spending_limit(card), listed(hour_of(card.infra).not_included)
    if limit is not None and (limit.more or rest):
        counts = f"{units.format_dollars(limit.usd)} is counted as GPU time alone"
        message = "; ".join(filter(None, (counts, limit.more, rest and f"not counted: {rest}")))
        yield Remark(loc=("timing", "budget"), message=message, severity="warning")


def overrun(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """A reaction to a projected overrun needs a budget or a timeout."""
    del spec
    chosen = card.timing.on_projected_overrun
    if chosen != "warn" and card.timing.budget is None and card.infra.timeout is None:
        message = f"{chosen} never happens: the card has neither a budget nor a timeout (infra.timeout)"
        yield Remark(loc=("timing", "on_projected_overrun"), message=message, severity="warning")


def _what_then(card: Card) -> str:
    if card.infra.retries and platform_of(card.infra).resumes_after_timeout:
        return f"it would need a resume, which the {card.infra.retries} retries do from the last checkpoint"
    return "it would need a resume"


def _formula(card: Card, column: Estimate, name: str) -> str:
    shown: dict[str, Callable[[], str]] = {
        "training": lambda: f"{epochs_of(card)} epochs x {units.format_duration(column.epoch)}",
        "total": lambda: (
            f"{units.format_duration(column.training)} of training + {units.format_duration(column.load)} of loading"
        ),
        "cost": lambda: f"{units.format_duration(column.total)} x {_rate(card)}",
    }
    return shown[name]()


def _rate(card: Card) -> str:
    price = units.format_hourly_rate(card.infra.price or 0.0)
    return price if card.infra.gpus == 1 else f"{price} x {card.infra.gpus} GPUs"

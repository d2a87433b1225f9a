"""Time and cost: estimated against actual."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from cardrunner.card.estimate import Estimate, bill_of, estimate, is_more
from cardrunner.card.platforms import platform_of
from cardrunner.common.units import format_bytes, format_dollars, format_duration, format_hourly_rate
from cardrunner.report.recorded import RecordedRun
from cardrunner.report.table import Cell, Code, Strong, Table, count, rate, share, when
from cardrunner.runs.attempts import Attempt
from cardrunner.runs.events import ResumePoint
from cardrunner.runs.outcome import metered_cost


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What the run took, in seconds and US dollars; None if unknown."""

    load: float | None
    epoch: float | None
    """The median time of an epoch, including its validation."""
    training: float | None
    total: float
    cost: float | None


@dataclass(frozen=True, kw_only=True)
class TimingFacts:
    """What `timing.md.j2` shows."""

    table: Table
    figures: Table
    attempts: Table
    reading: str | None
    price: str
    lost: bool
    """Whether an attempt recorded no end, which makes its time a lower bound."""


def timing_facts(run: RecordedRun) -> TimingFacts:
    """Collect what the section "Time and cost" shows."""
    spent = spent_by(run)
    return TimingFacts(
        table=_against(run, estimate(run.card), spent),
        figures=_figures(run, spent),
        attempts=_attempts(run.attempts),
        reading=_reading(estimate(run.card), spent),
        price=_price(run, spent),
        lost=any(attempt.ended is None for attempt in run.attempts) and not run.status.live,
    )


def spent_by(run: RecordedRun) -> Spent:
    """Time and money of all attempts together."""
    epochs = [row.clock.epoch_seconds for row in run.validation_rows if row.clock.epoch_seconds is not None]
    total = sum(attempt.seconds for attempt in run.attempts)
    return Spent(
        load=run.load.seconds if run.load else None,
        epoch=statistics.median(epochs) if epochs else None,
        training=run.train.seconds if run.train else None,
        total=total,
        cost=metered_cost(run.folder, total),
    )


def _against(run: RecordedRun, columns: Sequence[Estimate], spent: Spent) -> Table:
    epoch = [("One epoch (median)", *_times([column.epoch for column in columns], spent.epoch))]
    rows: list[tuple[Cell, ...]] = [
        ("Loading the data", *_times([column.load for column in columns], spent.load)),
        *([] if run.reported else epoch),
        (_done(run), *_times([column.training for column in columns], spent.training)),
        ("Whole run, all attempts", *_times([column.total for column in columns], spent.total)),
        ("Cost", *_dollars([column.cost for column in columns], spent.cost)),
    ]
    heads = ("", *(f"Estimated, {column.label}" for column in columns), "Actual", f"Against {columns[0].label}")
    return Table(heads, "l" + "r" * (len(heads) - 1), tuple(rows))


def _done(run: RecordedRun) -> str:
    planned = run.card.training.planned_epochs
    if run.reported or planned is None:
        return "The script, all attempts"
    done = run.epochs_done
    return f"Training, {planned} epochs" if done >= planned else f"Training, {done} of {planned} epochs"


def _times(estimated: Sequence[float], actual: float | None) -> tuple[Cell, ...]:
    shown = None if actual is None else Strong(format_duration(actual))
    return (*(format_duration(value) for value in estimated), shown, _times_over(actual, estimated[0]))


def _dollars(estimated: Sequence[float | None], actual: float | None) -> tuple[Cell, ...]:
    texts = [None if value is None else format_dollars(value) for value in estimated]
    return (*texts, None if actual is None else Strong(format_dollars(actual)), _times_over(actual, estimated[0]))


def _times_over(actual: float | None, estimated: float | None) -> str | None:
    return f"{actual / estimated:.2f}x" if actual is not None and estimated else None


def _reading(columns: Sequence[Estimate], spent: Spent) -> str | None:
    if spent.epoch is None:
        return None
    within = next(
        (column for column in sorted(columns, key=lambda column: column.epoch) if spent.epoch <= column.epoch), None
    )
    where = f"within the {within.label} estimate" if within else f"over every estimate, including {columns[-1].label}"
    return f"An epoch took {format_duration(spent.epoch)}: {where}."


def _figures(run: RecordedRun, spent: Spent) -> Table:
    train, card = run.train, run.card
    rows: list[tuple[Cell, Cell, Cell]] = []
    if train and train.reported:
        rows.append(("Newest step", count(train.steps), "reported by the script"))
    elif train:
        speed = train.examples / train.train_seconds if train.train_seconds > 0 else None
        rows += [
            ("Optimizer steps", count(train.steps), f"{count(train.steps_per_epoch)} per epoch"),
            ("Training examples processed", count(train.examples), "all epochs and attempts"),
            (
                "Throughput",
                f"{rate(speed)} examples/s" if speed else None,
                "examples per second of training, excluding validation",
            ),
            ("Waiting for data", share(train.wait_seconds, train.train_seconds), "share of the seconds of training"),
        ]
    if card.infra.timeout is not None and run.attempts:
        longest = max(attempt.seconds for attempt in run.attempts)
        rows.append(
            (
                "Timeout used",
                share(longest, card.infra.timeout),
                f"longest attempt of {format_duration(card.infra.timeout)}",
            )
        )
    if card.timing.budget is not None and spent.cost is not None:
        rows.append(("Budget used", share(spent.cost, card.timing.budget), f"of {format_dollars(card.timing.budget)}"))
    return Table(("Figure", "Value", "How it was obtained"), "lrl", tuple(rows))


def _price(run: RecordedRun, spent: Spent) -> str:
    infra = run.card.infra
    if infra.price is None:
        return (
            "The card names no price."
            if not platform_of(infra).free
            else "The card names no price: this machine counts as free."
        )
    gpus = f" for each of {infra.gpus} GPUs" if infra.gpus > 1 else ""
    price = f"the card's price of {format_hourly_rate(infra.price)}{gpus}"
    billed = bill_of(run.card, spent.total)
    about = format_dollars(billed or 0.0)
    rest = f", which with CPU and memory is about {about}" if is_more(billed, spent.cost) else ""
    return f"Cost is the time of all attempts at {price}; it is not the bill{rest}."


def _attempts(attempts: Sequence[Attempt]) -> Table:
    columns = (
        "Attempt", "Started", "Ended", "Lasted", "Executor", "Ended as", "Began from", "Data", "Peak memory", "Reason",
    )  # fmt: skip
    return Table(columns, "rllrllllrl", tuple(_attempt(attempt) for attempt in attempts))


def _attempt(attempt: Attempt) -> tuple[Cell, ...]:
    return (
        str(attempt.number),
        when(attempt.started),
        when(attempt.ended) or "no end recorded",
        f"{'' if attempt.ended else 'at least '}{format_duration(attempt.seconds)}",
        attempt.executor,
        attempt.state or "unknown",
        _origin(attempt.resumed_from),
        Code(attempt.data[:12]) if attempt.data else None,
        format_bytes(attempt.peak_memory) if attempt.peak_memory else None,
        attempt.reason,
    )


def _origin(resumed_from: ResumePoint | None) -> Cell:
    return "the beginning" if resumed_from is None else str(resumed_from)

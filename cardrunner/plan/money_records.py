"""Time and money of a plan as JSON. Times are in seconds, money in US dollars."""

from __future__ import annotations

from typing import Literal

from cardrunner.runs.records import Record, State


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

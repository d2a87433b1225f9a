"""The plan as JSON: what `cardrunner plan --json` prints and ``plan.json`` of a run folder keeps.

Times are in seconds, sizes in bytes, money in US dollars. Keys stay; more may be added.
"""

from __future__ import annotations

from typing import Any, Literal

from cardrunner.contracts import Direction, Severity
from cardrunner.plan.money import Learned, PlannedCost, Prices, TimeoutCover, WorstCase
from cardrunner.runs.records import DataMatchRecord, FactRow, Record


class OpenBox(Record):
    """What keeps the gate closed; see `cardrunner.gate.Finding`."""

    what: str
    why: str
    command: str | None
    """What closes it; None where no command does."""


class GateState(Record):
    """Whether the launch would be let through."""

    open: bool
    findings: tuple[OpenBox, ...]
    signed_by: tuple[str, ...]
    approvals: tuple[dict[str, Any], ...]
    """The verdicts that count, with time, note and conditions."""


class PlannedStage(Record):
    """A stage and the side it runs on: with the data, or with the people."""

    name: str
    side: Literal["worker", "launcher"]
    executor: str
    """What runs it; ``here`` on the launcher's side."""


class Resources(Record):
    """The machine that the card asks for; None where it asks for nothing."""

    available: bool
    """False: this version has no executor for the platform."""
    missing: str | None
    """A package that the workload needs and this machine lacks, in a sentence; None where all are here or elsewhere."""
    gpu: str | None
    gpus: int
    cpu_cores: float | None
    memory_bytes: int | None
    volume: str | None
    checkpoints: str | None
    """The folder of run folders on the volume."""
    detached: bool | None


class Work(Record):
    """How much is trained; None where the number of examples is not known before the data is open."""

    train_examples: int | None
    val_examples: int | None
    batches_per_epoch: int | None
    """Of one process."""
    steps_per_epoch: int | None
    steps: int | None
    """Optimizer steps of all epochs."""


class PlannedData(Record):
    """A data file as far as it can be seen without opening it."""

    path: str
    found: str | None
    bytes: int | None
    expected_bytes: int | None
    problem: str | None


class PlannedFact(Record):
    """A row of the expected-against-actual table, as far as it is known before the run."""

    name: str
    """A path of the card."""
    expected: str
    actual: str | None
    ok: bool | None
    """None: only `seen_by` can tell."""
    seen_by: Literal["here", "the card's arithmetic", "the load stage"]


class MetricUse(Record):
    """A place of the card that needs a metric."""

    where: str
    """The card's path."""
    written: str
    """The name as the card has it."""
    role: Literal["target", "kill threshold", "best checkpoint", "baseline"]
    condition: str
    """For example ``< 0.015``."""


class PlannedMetric(Record):
    """A metric of the card and what computes it."""

    name: str
    """The canonical name."""
    computed: bool
    """False: people read it off themselves."""
    direction: Direction | None
    unit: str | None
    uses: tuple[MetricUse, ...]


class PlannedRule(Record):
    """A kill threshold."""

    condition: str
    action: str
    set: dict[str, Any]
    why: str | None


class Unchecked(Record):
    """Something that cannot be seen from here."""

    what: str
    why: str


class Warned(Record):
    """A warning of `cardrunner validate`."""

    file: str
    line: int
    column: int
    path: str
    message: str
    severity: Severity


class Setting(Record):
    """One value of the resolved configuration."""

    path: str
    text: str
    """As a card would write it."""
    stated: bool
    """False: the card leaves it to its default."""


class Plan(Record):
    """``plan.json`` and what `cardrunner plan --json` says."""

    version: Literal[1] = 1
    run: str
    run_folder: str
    name_taken: bool
    """Something stands there already, so that a launch would refuse."""
    card: str
    card_digest: str
    workload: str
    platform: str
    executor: str
    resources: Resources
    gate: GateState
    stages: tuple[PlannedStage, ...]
    work: Work
    data: tuple[PlannedData, ...]
    data_mode: str | None
    """How the workload says it will read the data; None: it says so in the load stage."""
    expected: tuple[PlannedFact, ...]
    data_match: DataMatchRecord | None = None
    """None: no demo, or the workload cannot tell."""
    prices: Prices
    estimates: tuple[PlannedCost, ...]
    learned: Learned
    timeout: TimeoutCover | None
    worst_case: WorstCase
    metrics: tuple[PlannedMetric, ...]
    also_computed: tuple[str, ...]
    """What the workload computes besides, by its canonical name."""
    kill_thresholds: tuple[PlannedRule, ...]
    unchecked: tuple[Unchecked, ...]
    """What only the run itself will find out."""
    answers: tuple[FactRow, ...] = ()
    """What the platform was asked without paying, cheapest first; the last one may be what would stop a launch."""
    warnings: tuple[Warned, ...]
    packages: dict[str, str]
    configuration: dict[str, Any]
    """The effective card."""
    settings: tuple[Setting, ...]
    """Every value of `configuration` once more, as people write it, with who chose it."""

"""The plan as JSON: what `cardrunner plan --json` prints and ``plan.json`` of a run folder keeps.

Times are in seconds, sizes in bytes, money in US dollars. Existing keys never change; new ones may be added.
"""

from __future__ import annotations

from typing import Any, Literal

from cardrunner.contracts import Direction, Severity
from cardrunner.plan.money import Learned, PlannedCost, Prices, TimeoutCover, WorstCase
from cardrunner.runs.records import DataMatchRecord, FactRow, Record


class OpenBox(Record):
    """A reason why the gate is closed; see `cardrunner.gate.Finding`."""

    what: str
    why: str
    command: str | None
    """The command that resolves it; None if no command does."""


class GateState(Record):
    """Whether the gate would admit the launch."""

    open: bool
    findings: tuple[OpenBox, ...]
    signed_by: tuple[str, ...]
    approvals: tuple[dict[str, Any], ...]
    """The valid verdicts, with time, note and conditions."""


class PlannedStage(Record):
    """A stage and the side it runs on: with the data, or on the launching machine."""

    name: str
    side: Literal["worker", "launcher"]
    executor: str
    """The executor that runs it; ``here`` on the launcher's side."""
    package: str | None = None
    """The package that adds it, with its version; None for a built-in stage."""


class Resources(Record):
    """The machine that the card asks for; None where it states nothing."""

    available: bool
    """Whether this version has an executor for the platform."""
    missing: str | None
    """A sentence naming a package that the workload needs and this machine lacks; None if nothing is missing, or if the
    run is remote."""
    gpu: str | None
    gpus: int
    cpu_cores: float | None
    memory_bytes: int | None
    volume: str | None
    checkpoints: str | None
    """The folder of run folders on the volume."""
    detached: bool | None


class Work(Record):
    """The amount of training; None where the number of examples is known only once the data is open."""

    train_examples: int | None
    val_examples: int | None
    batches_per_epoch: int | None
    """Batches of one process."""
    steps_per_epoch: int | None
    steps: int | None
    """Optimizer steps of all epochs."""


class PlannedData(Record):
    """A data file, as known without opening it."""

    path: str
    found: str | None
    bytes: int | None
    expected_bytes: int | None
    problem: str | None


class PlannedFact(Record):
    """A row of the expected-against-actual table, as known before the run."""

    name: str
    """A path of the card."""
    expected: str
    actual: str | None
    ok: bool | None
    """None if only `seen_by` can tell."""
    seen_by: Literal["here", "the card's arithmetic", "the load stage"]


class MetricUse(Record):
    """A use of a metric in the card."""

    where: str
    """The path in the card."""
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
    """False if people read it off themselves."""
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
    """Something that cannot be checked before the launch."""

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
    """False if the value is the default."""


class Plan(Record):
    """The content of ``plan.json`` and of `cardrunner plan --json`."""

    version: Literal[1] = 1
    run: str
    run_folder: str
    name_taken: bool
    """Whether the run folder exists already, so that a launch would refuse."""
    card: str
    card_digest: str
    workload: str
    platform: str
    executor: str
    resources: Resources
    gate: GateState
    floors: tuple[str, ...] = ()
    """The ``cardrunner.yaml`` files that apply, the workspace's own first."""
    stages: tuple[PlannedStage, ...]
    work: Work
    data: tuple[PlannedData, ...]
    command: tuple[str, ...] = ()
    """What will run, line by line, where the run is a command line."""
    data_mode: str | None
    """How the workload will read the data; None if that is known only in the load stage."""
    expected: tuple[PlannedFact, ...]
    data_match: DataMatchRecord | None = None
    """None if there is no demo, or the workload cannot tell."""
    demo: str | None = None
    """What the demo shows; None without one, and in plans of earlier versions."""
    prices: Prices
    estimates: tuple[PlannedCost, ...]
    learned: Learned
    timeout: TimeoutCover | None
    worst_case: WorstCase
    metrics: tuple[PlannedMetric, ...]
    also_computed: tuple[str, ...]
    """Canonical names of the other metrics that the workload computes."""
    kill_thresholds: tuple[PlannedRule, ...]
    unchecked: tuple[Unchecked, ...]
    """What only the run itself can check."""
    answers: tuple[FactRow, ...] = ()
    """Answers to the free queries to the platform, cheapest first; the last may be the one that would stop a launch."""
    warnings: tuple[Warned, ...]
    packages: dict[str, str]
    configuration: dict[str, Any]
    """The effective card."""
    settings: tuple[Setting, ...]
    """Every value of `configuration` in card notation, with whether the card states it."""
    tracked: tuple[str, ...] = ()
    """Where each tracker keeps the run, phrased to follow the word "tracked"."""

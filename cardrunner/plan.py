"""What a launch would do, without doing any of it and without torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cardrunner import registry
from cardrunner.card.estimate import estimate
from cardrunner.card.load import LoadedCard, load_card
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.data import DataFile
from cardrunner.errors import EnvironmentFailed
from cardrunner.gate import GateReport, examine_gate
from cardrunner.pipeline import LAUNCHER_STAGES, WORKER_STAGES
from cardrunner.runs.environment import installed_packages
from cardrunner.runs.records import Record
from cardrunner.units import format_bytes, format_dollars, format_duration, rounding_of
from cardrunner.workspace import Workspace


class GateState(Record):
    """Whether the launch would be let through."""

    open: bool
    findings: tuple[str, ...]
    signed_by: tuple[str, ...]


class PlannedStage(Record):
    """A stage and the side it runs on."""

    name: str
    side: Literal["worker", "launcher"]


class PlannedCost(Record):
    """Time in seconds and dollars at one calibration."""

    factor: float
    total_seconds: float
    cost_usd: float | None
    covered_by_timeout: bool


class PlannedData(Record):
    """A data file as far as it can be seen without opening it."""

    path: str
    found: str | None
    bytes: int | None
    problem: str | None


class WorstCase(Record):
    """The most that can happen before somebody or something ends the run."""

    seconds: float | None
    """None: nothing limits the time."""
    cost_usd: float | None
    limited_by: str


class Plan(Record):
    """``plan.json`` and what `cardrunner plan --json` says."""

    run: str
    card: str
    card_digest: str
    workload: str
    platform: str
    executor: str
    gate: GateState
    stages: tuple[PlannedStage, ...]
    data: tuple[PlannedData, ...]
    estimates: tuple[PlannedCost, ...]
    worst_case: WorstCase
    packages: dict[str, str]
    unchecked: tuple[str, ...]
    """What only the run itself will find out."""
    warnings: tuple[str, ...]
    configuration: dict[str, Any]
    """The effective card."""


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A card that was read once, with everything that was found out about it."""

    loaded: LoadedCard
    workspace: Workspace
    gate: GateReport
    plan: Plan


def plan_card(path: Path, *, executor: str | None = None, run_name: str | None = None) -> Planned:
    """Plan a launch.

    Args:
        path: the card.
        executor: overrides the card's executor on a local platform.
        run_name: overrides the card's name.

    Raises:
        CardError: the card has faults.
        UsageError: it cannot be read.
    """
    loaded = load_card(path, registry.workload_spec)
    workspace = Workspace.around(path)
    gate = examine_gate(loaded, workspace)
    return Planned(
        loaded=loaded, workspace=workspace, gate=gate, plan=_plan(loaded, workspace, gate, executor, run_name)
    )


def executor_of(card: Card) -> str:
    """Where the card wants to run."""
    return card.infra.executor if card.infra.platform == "local" else card.infra.platform


def describe(plan: Plan) -> Iterator[str]:
    """The plan for people, line by line."""
    yield f"run          {plan.run} ({plan.workload}), card {plan.card_digest[:12]}"
    yield f"gate         {'open, signed by ' + ', '.join(plan.gate.signed_by) if plan.gate.open else 'closed'}"
    yield from (f"             - {finding}" for finding in plan.gate.findings)
    yield f"where        {plan.platform}, executor {plan.executor}"
    yield f"stages       {' → '.join(stage.name for stage in plan.stages)}"
    for data in plan.data:
        found = f"{data.found} ({format_bytes(data.bytes)})" if data.found and data.bytes is not None else data.found
        yield f"data         {data.path}: {data.problem or found}"
    for column in plan.estimates:
        cost = "" if column.cost_usd is None else f", {format_dollars(column.cost_usd)}"
        late = "" if column.covered_by_timeout else ", beyond the timeout"
        yield f"estimate     {column.factor:g}x: {format_duration(column.total_seconds)}{cost}{late}"
    yield f"worst case   {_worst_text(plan.worst_case)}"
    yield from (f"not checked  {text}" for text in plan.unchecked)
    yield from (f"warning      {text}" for text in plan.warnings)


def _plan(
    loaded: LoadedCard, workspace: Workspace, gate: GateReport, executor: str | None, run_name: str | None
) -> Plan:
    card = loaded.card
    data = tuple(_data(card, workspace))
    return Plan(
        run=run_name or card.name,
        card=str(loaded.path),
        card_digest=loaded.digest,
        workload=card.workload,
        platform=card.infra.platform,
        executor=executor or executor_of(card),
        gate=GateState(open=gate.open, findings=tuple(map(str, gate.findings)), signed_by=gate.signed_by),
        stages=tuple(_stages()),
        data=data,
        estimates=tuple(
            PlannedCost(
                factor=column.factor,
                total_seconds=column.total,
                cost_usd=column.cost,
                covered_by_timeout=column.covered,
            )
            for column in estimate(card)
        ),
        worst_case=_worst_case(card),
        packages=installed_packages(),
        unchecked=tuple(_unchecked(card, data)),
        warnings=tuple(map(str, loaded.warnings)),
        configuration=card.model_dump(mode="json", by_alias=True),
    )


def _stages() -> Iterator[PlannedStage]:
    yield from (PlannedStage(name=name, side="worker") for name in WORKER_STAGES)
    yield from (PlannedStage(name=name, side="launcher") for name in (*LAUNCHER_STAGES, "report"))


def _data(card: Card, workspace: Workspace) -> Iterator[PlannedData]:
    if card.data.is_synthetic or card.infra.platform != "local":
        return
    for entry in card.data.source:
        try:
            found = workspace.find_data(entry.path)
        except EnvironmentFailed as error:
            yield PlannedData(path=entry.path, found=None, bytes=None, problem=str(error))
            continue
        size = found.stat().st_size
        yield PlannedData(path=entry.path, found=str(found), bytes=size, problem=_size_problem(card, entry, size))


def _size_problem(card: Card, entry: DataFile, size: int) -> str | None:
    expected = entry.size or (card.data.size if len(card.data.source) == 1 else None)
    if expected is None or abs(size - expected) <= rounding_of(float(expected)):
        return None
    return f"has {format_bytes(size)} ({size} bytes), the card says {format_bytes(expected)}"


def _worst_case(card: Card) -> WorstCase:
    infra, budget = card.infra, card.timing.budget
    seconds = None if infra.timeout is None else infra.timeout * (1 + infra.retries)
    rate = None if infra.price is None else infra.price * infra.gpus
    by_time = None if seconds is None or rate is None else seconds / 3600 * rate
    if budget is not None and (by_time is None or budget < by_time):
        return WorstCase(seconds=seconds, cost_usd=budget, limited_by="the budget")
    limit = (
        "nothing" if seconds is None else f"the timeout and {infra.retries} retries" if infra.retries else "the timeout"
    )
    return WorstCase(seconds=seconds, cost_usd=by_time, limited_by=limit)


def _worst_text(worst: WorstCase) -> str:
    if worst.limited_by == "nothing":
        return "nothing limits the time or the cost"
    time = "" if worst.seconds is None else format_duration(worst.seconds)
    cost = "" if worst.cost_usd is None else format_dollars(worst.cost_usd)
    return f"{', '.join(filter(None, (time, cost)))} (limited by {worst.limited_by})"


def _unchecked(card: Card, data: tuple[PlannedData, ...]) -> Iterator[str]:
    if card.data.is_synthetic:
        yield "the data: it is generated when the run begins"
    elif card.infra.platform != "local":
        yield "the data: it is on the volume"
    elif any(entry.found for entry in data):
        yield "the content of the data files: they are opened when the run begins"
    if card.infra.gpu:
        yield f"whether a {card.infra.gpu} is free"

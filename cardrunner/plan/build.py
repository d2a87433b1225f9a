"""Reading a card once and finding out everything about its launch that can be found out from here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cardrunner import registry
from cardrunner.card.estimate import batches_of, training_examples
from cardrunner.card.load import LoadedCard, load_card
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.infra import ModalInfra
from cardrunner.errors import MissingExtra
from cardrunner.gate import GateReport, examine_gate
from cardrunner.pipeline import LAUNCHER_STAGES, WORKER_STAGES
from cardrunner.plan.configuration import settings
from cardrunner.plan.data import data_match, data_mode, expected_facts, planned_data
from cardrunner.plan.learned import learn
from cardrunner.plan.metrics import also_computed, planned_metrics, planned_rules
from cardrunner.plan.money import planned_costs, planned_prices, timeout_cover, worst_case
from cardrunner.plan.records import GateState, OpenBox, Plan, PlannedStage, Resources, Warned, Work
from cardrunner.plan.unchecked import unchecked
from cardrunner.runs.environment import installed_packages
from cardrunner.runs.folder import RunFolder
from cardrunner.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A card that was read once, with everything that was found out about it."""

    loaded: LoadedCard
    workspace: Workspace
    gate: GateReport
    plan: Plan


def plan_card(
    path: Path, *, executor: str | None = None, run_name: str | None = None, runs: Path | None = None
) -> Planned:
    """Plan a launch. Nothing of the card is executed, nothing is written, and no connection is opened.

    Args:
        path: the card.
        executor: overrides the card's executor on a local platform.
        run_name: overrides the card's name.
        runs: the past runs to learn from; those of the workspace when absent.

    Raises:
        CardError: the card has faults.
        UsageError: it cannot be read.
    """
    loaded = load_card(path, registry.workload_spec)
    workspace = Workspace.around(path)
    gate = examine_gate(loaded, workspace)
    executor = executor or executor_of(loaded.card)
    plan = _plan(
        loaded, workspace, gate, executor=executor, run=run_name or loaded.card.name, runs=runs or workspace.runs
    )
    return Planned(loaded=loaded, workspace=workspace, gate=gate, plan=plan)


def executor_of(card: Card) -> str:
    """Where the card wants to run."""
    return card.infra.executor if card.infra.platform == "local" else card.infra.platform


def _plan(loaded: LoadedCard, workspace: Workspace, gate: GateReport, *, executor: str, run: str, runs: Path) -> Plan:
    card, examples = loaded.card, training_examples(loaded.card, loaded.spec)
    data, prices = tuple(planned_data(card, workspace)), planned_prices(card)
    metrics, folder = tuple(planned_metrics(loaded)), RunFolder.of(runs, run)
    return Plan(
        run=run,
        run_folder=str(folder.root),
        name_taken=os.path.lexists(folder.root),
        card=str(loaded.path),
        card_digest=loaded.digest,
        workload=card.workload,
        platform=card.infra.platform,
        executor=executor,
        resources=_resources(card),
        gate=_gate(gate),
        stages=tuple(_stages(executor)),
        work=_work(loaded, examples),
        data=data,
        data_mode=data_mode(loaded),
        expected=tuple(expected_facts(loaded, data)),
        data_match=data_match(loaded, workspace),
        prices=prices,
        estimates=tuple(planned_costs(card, prices, examples)),
        learned=learn(loaded, runs, prices, examples=examples),
        timeout=timeout_cover(card, run),
        worst_case=worst_case(card, prices),
        metrics=metrics,
        also_computed=tuple(also_computed(loaded, metrics)),
        kill_thresholds=tuple(planned_rules(card)),
        unchecked=tuple(unchecked(card, data)),
        warnings=tuple(Warned(**fault._asdict()) for fault in loaded.warnings),
        packages=installed_packages(),
        configuration=card.model_dump(mode="json", by_alias=True),
        settings=tuple(settings(card)),
    )


def _gate(gate: GateReport) -> GateState:
    return GateState(
        open=gate.open,
        findings=tuple(OpenBox(what=box.what, why=box.why, command=box.command) for box in gate.findings),
        signed_by=gate.signed_by,
        approvals=tuple(dict(approval) for approval in gate.approvals),
    )


def _stages(executor: str) -> Iterator[PlannedStage]:
    yield from (PlannedStage(name=name, side="worker", executor=executor) for name in WORKER_STAGES)
    after = (*LAUNCHER_STAGES, "report")
    yield from (PlannedStage(name=name, side="launcher", executor="here") for name in after)


def _resources(card: Card) -> Resources:
    infra = card.infra
    modal = infra if isinstance(infra, ModalInfra) else None
    return Resources(
        available=executor_of(card) in registry.EXECUTORS,
        missing=_missing(card) if infra.platform == "local" else None,
        gpu=infra.gpu,
        gpus=infra.gpus,
        cpu_cores=infra.cpu,
        memory_bytes=infra.memory,
        volume=modal.volume if modal else None,
        checkpoints=modal.checkpoints if modal else None,
        detached=modal.detach if modal else None,
    )


def _missing(card: Card) -> str | None:
    try:
        registry.check_installed(card.workload)
    except MissingExtra as missing:
        return str(missing)
    return None


def _work(loaded: LoadedCard, examples: int | None) -> Work:
    card = loaded.card
    both, training = loaded.spec.examples(card), card.training
    batches = None if examples is None else batches_of(examples, training, processes=card.infra.gpus)
    steps = None if batches is None else -(-batches // training.gradient_accumulation)
    return Work(
        train_examples=examples,
        val_examples=card.data.val_examples or (both[1] if both else None),
        batches_per_epoch=batches,
        steps_per_epoch=steps,
        steps=None if steps is None else steps * training.epochs,
    )

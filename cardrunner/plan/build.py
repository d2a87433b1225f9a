"""Build a plan: read a card once and determine everything about its launch that is known before it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cardrunner import registry
from cardrunner.card.contracts import Storage
from cardrunner.card.estimate import training_examples
from cardrunner.card.load import LoadedCard, load_card
from cardrunner.card.platforms import executors_of, platform_of
from cardrunner.card.schema.card import Card
from cardrunner.card.values import leaves, worded
from cardrunner.errors import MissingExtra
from cardrunner.gate import GateReport, examine_gate
from cardrunner.plan.data import (
    also_computed,
    command_lines,
    data_match,
    data_mode,
    expected_facts,
    planned_data,
    planned_metrics,
    planned_rules,
)
from cardrunner.plan.learned import learn
from cardrunner.plan.money import planned_costs, planned_prices, timeout_cover, worst_case
from cardrunner.plan.records import (
    GateState,
    OpenBox,
    Plan,
    PlannedData,
    PlannedStage,
    Resources,
    Setting,
    Unchecked,
    Warned,
    Work,
)
from cardrunner.runs.environment import installed_packages
from cardrunner.runs.folder import RunFolder
from cardrunner.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A card and the plan of its launch."""

    loaded: LoadedCard
    workspace: Workspace
    gate: GateReport
    plan: Plan


def plan_card(
    path: Path, *, executor: str | None = None, run_name: str | None = None, runs: Path | None = None
) -> Planned:
    """Plan a launch, without executing anything of the card, writing files or opening connections.

    Args:
        path: the card.
        executor: overrides the card's executor on a local platform.
        run_name: overrides the card's name.
        runs: the past runs to learn from; by default those of the workspace.

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
    """The executor that the card asks for."""
    return platform_of(card.infra).executor_of(card.infra)


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
        floors=gate.floors,
        stages=tuple(_stages(card, executor)),
        work=_work(loaded, examples),
        data=data,
        command=command_lines(loaded, _run_folder(card, folder), workspace),
        data_mode=data_mode(loaded),
        expected=tuple(expected_facts(loaded, data)),
        data_match=data_match(loaded, workspace),
        demo=card.after_training.demo.sentence if card.after_training.demo else None,
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
        settings=tuple(_settings(card)),
        tracked=tuple(asked.sentence() for asked in card.infra.tracking.asked),
    )


def _run_folder(card: Card, folder: RunFolder) -> Path:
    """The folder of a run where it runs: a container has its own place for it, which only it knows."""
    far = platform_of(card.infra).storage(card.infra) is not None
    return Path("...") / folder.name if far else folder.root


def _settings(card: Card) -> Iterator[Setting]:
    yield from (Setting(path=leaf.path, text=worded(leaf.value), stated=leaf.stated) for leaf in leaves(card))


def _gate(gate: GateReport) -> GateState:
    return GateState(
        open=gate.open,
        findings=tuple(OpenBox(what=box.what, why=box.why, command=box.command) for box in gate.findings),
        signed_by=gate.signed_by,
        approvals=tuple(dict(approval) for approval in gate.approvals),
    )


def _stages(card: Card, executor: str) -> Iterator[PlannedStage]:
    for name in registry.stage_names("worker", card.extra_stages):
        yield PlannedStage(name=name, side="worker", executor=executor, package=registry.stage_package(name))
    for name in registry.stage_names("launcher", card.extra_stages):
        yield PlannedStage(name=name, side="launcher", executor="here", package=registry.stage_package(name))
    yield PlannedStage(name="report", side="launcher", executor="here")


def _resources(card: Card) -> Resources:
    infra, platform = card.infra, platform_of(card.infra)
    storage = platform.storage(infra)
    return Resources(
        available=executor_of(card) in executors_of(platform.name),
        missing=_missing(card) if storage is None else None,
        gpu=infra.gpu,
        gpus=infra.gpus,
        cpu_cores=infra.cpu,
        memory_bytes=infra.memory,
        volume=storage.volume if storage else None,
        checkpoints=storage.checkpoints if storage else None,
        detached=platform.detaches(infra) if storage else None,
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
    batches = None if examples is None else training.batches(examples, processes=card.infra.gpus)
    steps, epochs = None if batches is None else -(-batches // training.batches_per_step), training.planned_epochs
    return Work(
        train_examples=examples,
        val_examples=card.data.counted[1] or (both[1] if both else None),
        batches_per_epoch=batches,
        steps_per_epoch=steps,
        steps=None if steps is None or epochs is None else steps * epochs,
    )


_OFFLINE = "a plan opens no connection"


def unchecked(card: Card, data: Sequence[PlannedData], *, offline: str | None = _OFFLINE) -> Iterator[Unchecked]:
    """Everything that this plan takes on trust.

    Args:
        card: the card.
        data: its files, as far as they are on this machine.
        offline: why the platform was not asked; None if it was.
    """
    platform = platform_of(card.infra)
    storage = platform.storage(card.infra)
    if offline is not None or storage is None:
        yield from _data(card, data, storage)
    yield from (_because(what, why) for what, why in platform.unchecked(card, offline=offline))
    for asked in card.infra.tracking.asked:
        yield from (_because(what, why) for what, why in asked.unchecked())
    if checks := sum(item.check is not None for item in card.checklist):
        what = f"what the {'check' if checks == 1 else f'{checks} checks'} of the checklist would say now"
        yield _because(what, "a plan executes nothing of the card")
    if card.code is not None and card.code.folder is None:
        yield _because(f"whether the code is commit {card.code.commit}", "the machine that runs it is not asked")
    if (demo := card.after_training.demo) is not None:
        yield from (_because(f"whether {path} can be used", "the demo stage opens it") for path in demo.opens)


def _data(card: Card, data: Sequence[PlannedData], storage: Storage | None) -> Iterator[Unchecked]:
    if card.data.is_synthetic and not card.training.measured:
        yield _because("what the script reads", "the card names no file")
    elif card.data.is_synthetic:
        yield _because("the data", "it is generated when the run begins")
    elif storage is not None:
        yield _because("the data files, including whether they exist", f"they are on the volume {storage.volume}")
    elif any(entry.found for entry in data):
        yield _because("the content of the data files", "the load stage opens them")


def _because(what: str, why: str) -> Unchecked:
    return Unchecked(what=what, why=why)

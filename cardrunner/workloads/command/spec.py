"""The torch-free half of the workload `command`: any team's script, run as its command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cardrunner.card.contracts import WorkloadSpec, narrowed
from cardrunner.common.terminal import sign_remark
from cardrunner.common.units import format_duration
from cardrunner.specs import Derived, MetricSpec, Remark, TrivialBaseline
from cardrunner.workloads.command.proof_sections import CommandDemo
from cardrunner.workloads.command.sections import CommandData, CommandModel, CommandTraining, ReportedMetric

if TYPE_CHECKING:
    from cardrunner.card.schema.card import Card
    from cardrunner.card.schema.data import DataFiles
    from cardrunner.card.schema.plan import DemoSection
    from cardrunner.card.schema.training import ModelSection, TrainingBase

NAME = "command"
REPORTED = "reported by the script"
"""What stands beside every number that no part of this package measured."""
LOST = "a stop loses the run"


@dataclass
class CommandSpec:
    """See `cardrunner.card.contracts.WorkloadSpec`.

    Args:
        card: the card whose metrics it has; None for the workload itself, which has none.
    """

    card: Card | None = None
    name: str = NAME
    data_section: type[DataFiles] = CommandData
    model_section: type[ModelSection] = CommandModel
    training_section: type[TrainingBase] = CommandTraining
    demo_section: type[DemoSection] = CommandDemo
    trivial_baselines: tuple[TrivialBaseline, ...] = ()

    @property
    def worded(self) -> Mapping[str, Sequence[str]]:
        """The fields that `describe` has rows for."""
        own = tuple(CommandTraining.model_fields)
        return {"data": ("source",), "model": ("architecture", "parameters"), "training": own}

    def for_card(self, card: Card) -> WorkloadSpec:
        """The same with the metrics of a card."""
        return CommandSpec(card)

    @cached_property
    def metrics(self) -> tuple[MetricSpec, ...]:
        """Those that the card declares."""
        return () if self.card is None else metric_specs(training_of(self.card).metrics)

    def derive(self, card: Card) -> Iterable[Derived]:  # noqa: ARG002
        """Empty: nothing that the card states follows from its other numbers."""
        return ()

    def check(self, card: Card) -> Iterable[Remark]:
        """Faults of the command, its metrics and its files."""
        from cardrunner.workloads.command.checks import remarks  # most commands need no check

        yield from remarks(card, training_of(card))

    def check_files(self, card: Card, workspace: Path) -> Iterable[Remark]:
        """Faults of the command that the files of the code tell."""
        from cardrunner.workloads.command.carrying import file_remarks  # most commands need no check

        yield from file_remarks(card, training_of(card), workspace)

    def examples(self, card: Card) -> tuple[int, int] | None:  # noqa: ARG002
        """None: how many there are is the script's."""
        return None

    def data_mode(self, card: Card) -> str:  # noqa: ARG002
        """Who reads the data."""
        return "by the script"

    def describe(self, card: Card) -> Mapping[str, Sequence[tuple[str, str]]]:
        """Rows of the review page."""
        from cardrunner.workloads.command.page import data_rows, model_rows, training_rows

        return {"data": data_rows(card), "model": model_rows(card), "training": training_rows(training_of(card))}

    def command_lines(self, card: Card, run: Path, workspace: Path) -> Sequence[str]:
        """The lines of the plan about what will run."""
        from cardrunner.workloads.command.page import plan_lines

        return plan_lines(card, training_of(card), run, workspace)

    def stated_facts(self, card: Card) -> Mapping[str, str]:
        """What the script has to say of itself."""
        return {f"fact {name}": str(stated) for name, stated in (training_of(card).facts or {}).items()}

    def measured_again(self, card: Card) -> Sequence[str]:
        """What the card's command measures of the best checkpoint."""
        return [metric.key for metric in training_of(card).evaluated]

    def obstacle(self, card: Card, workspace: Path) -> str | None:
        """What keeps the command from being started here."""
        from cardrunner.workloads.command.obstacles import obstacle

        return obstacle(card, training_of(card), workspace)

    def starter(self) -> str:
        """The text that a new card starts from."""
        from cardrunner.workloads.command.starting import starter

        return starter(())

    def field_examples(self) -> str:
        """Examples of the fields that the starter leaves out."""
        return Path(__file__).with_name("examples.yaml").read_text(encoding="utf-8")

    def starter_of(self, command: Sequence[str], *, folder: Path, workspace: Path) -> str:
        """The text of a card that runs a command line as people type it in a folder."""
        from cardrunner.workloads.command.starting import starter

        return starter(command, folder=folder, workspace=workspace)

    def next_steps(self, card: str) -> Sequence[str]:
        """From a new card to its launch."""
        return (
            f"cardrunner try {card}             # runs a copy for two minutes, and offers the YAML to paste",
            f"cardrunner code {card} --write    # the digest of the code, for the signatures",
            f"cardrunner check {card} 1 --done --as ID   # once goal and targets say what the run is for",
            f"cardrunner sign {card} --as reviewer{sign_remark()}",
            f"cardrunner launch {card}",
        )


def training_of(card: Card) -> CommandTraining:
    """The `training` section of a card of this workload."""
    return narrowed(card.training, CommandTraining, workload=NAME)


def metric_specs(declared: Sequence[ReportedMetric]) -> tuple[MetricSpec, ...]:
    """The metrics that a card declares; one that is logged and validated under one name is one metric."""
    by_name: dict[str, list[ReportedMetric]] = {}
    for metric in declared:
        by_name.setdefault(metric.bare, []).append(metric)
    return tuple(_spec(name, found) for name, found in by_name.items())


def _spec(name: str, found: Sequence[ReportedMetric]) -> MetricSpec:
    validated = [metric for metric in found if metric.at == "validation"]
    main = (validated or list(found))[0]
    return MetricSpec(
        name=name,
        direction=main.direction,
        unit=main.unit,
        meaning=f"{main.meaning or ' or '.join(dict.fromkeys(_reads(found)))}, {REPORTED}",
        aliases=(name,) if validated and len(found) == len(validated) else (),
        percent=main.percent,
        validation_only=len(validated) == len(found),
        training_only=not validated,
        lower=main.lower,
        upper=main.upper,
    )


def _reads(found: Sequence[ReportedMetric]) -> Iterator[str]:
    for metric in found:
        yield from metric.read or (metric.name,)


def cost_of_a_stop(training: CommandTraining) -> str:
    """What a stop costs, as a sentence for the plan and the page."""
    if not training.resumes:
        return f"{LOST}: the card has no training.resume"
    if training.checkpoints is None:
        return "a stop loses what the script has not saved by itself; it finds its checkpoint itself"
    asked = f"it is asked by {training.stop.signal}, and has {format_duration(training.stop.grace)} to end"
    return f"a stop loses the steps since the newest whole checkpoint; {asked}"


SPEC: WorkloadSpec = CommandSpec()

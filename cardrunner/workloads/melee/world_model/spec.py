"""The torch-free half of the world-model workload: its card sections, arithmetic, metric names and checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from cardrunner.card.contracts import WorkloadSpec, narrowed
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.data import DataSection
from cardrunner.card.schema.plan import DemoSection
from cardrunner.card.schema.training import ModelSection, TrainingSection
from cardrunner.specs import DataMatch, Derived, MetricSpec, Remark, TrivialBaseline
from cardrunner.workloads.melee.demo.section import MatchDemo, demo_of
from cardrunner.workloads.melee.policy import arithmetic as spec_arithmetic, checks as spec_checks
from cardrunner.workloads.melee.policy.arithmetic import foreseen_mode
from cardrunner.workloads.melee.policy.sections import GamesData
from cardrunner.workloads.melee.world_model import sections as page
from cardrunner.workloads.melee.world_model.metric_names import LOSS_TERMS, METRICS, TRIVIAL_BASELINES
from cardrunner.workloads.melee.world_model.sections import (
    EXPAND,
    MAMBA2,
    SIZES_OF,
    ScheduledSampling,
    WorldModelSection,
    WorldModelTraining,
    parameter_formula,
    world_model_parameters,
)


class WorldModelSpec:
    """The spec of a model of the game, trained on encoded games."""

    name: str = "melee-world-model"
    data_section: type[DataSection] = GamesData
    model_section: type[ModelSection] = WorldModelSection
    training_section: type[TrainingSection] = WorldModelTraining
    demo_section: type[DemoSection] = MatchDemo
    metrics: tuple[MetricSpec, ...] = METRICS
    trivial_baselines: tuple[TrivialBaseline, ...] = TRIVIAL_BASELINES
    worded: Mapping[str, Sequence[str]] = {
        "data": ("games", "frames", "encoding", "synthetic"),
        "model": ("context_len", "dropout", *(name for sizes in SIZES_OF.values() for name in sizes)),
        "training": ("scheduled_sampling",),
    }

    def starter(self) -> str:
        """The starter card."""
        return Path(__file__).with_name("starter.yaml").read_text(encoding="utf-8")

    def derive(self, card: Card) -> Iterable[Derived]:
        """Every stated number that can be derived from others."""
        model, data = model_of(card), data_of(card)
        parameters, formula = world_model_parameters(model, data), parameter_formula(model, data)
        return spec_arithmetic.derive(model, data, parameters=parameters, formula=formula)

    def check(self, card: Card) -> Iterable[Remark]:
        """Further faults and warnings."""
        yield from spec_checks.check_data(model_of(card), data_of(card))
        yield from _check_model(model_of(card))
        yield from spec_checks.check_training(card.training, LOSS_TERMS)
        yield from spec_checks.check_demo(demo_of(card), trains="world model")

    def examples(self, card: Card) -> tuple[int, int] | None:
        """Training and validation examples; estimated from the split if the card states neither."""
        return spec_arithmetic.examples(model_of(card), data_of(card))

    def describe(self, card: Card) -> Mapping[str, Sequence[tuple[str, str]]]:
        """Rows of the review page for `data`, `model` and `training`."""
        return page.describe(card, model_of(card), data_of(card), sampling_of(card))

    def data_mode(self, card: Card) -> str | None:
        """How the data will be read; None if the sizes of data and memory are unknown."""
        return foreseen_mode(card, data_of(card))

    def data_match(self, card: Card, workspace: Path) -> DataMatch | None:
        """Whether policies and world model of the demo are trained on the same data."""
        from cardrunner.workloads.melee.demo.data_match import planned_match  # only needed for plans

        return planned_match(card, data_of(card), workspace)


def data_of(card: Card) -> GamesData:
    """The `data` section of a world-model card."""
    return narrowed(card.data, GamesData, workload=WorldModelSpec.name)


def model_of(card: Card) -> WorldModelSection:
    """The `model` section of a world-model card."""
    return narrowed(card.model, WorldModelSection, workload=WorldModelSpec.name)


def sampling_of(card: Card) -> ScheduledSampling | None:
    """The scheduled sampling of a world-model card."""
    return narrowed(card.training, WorldModelTraining, workload=WorldModelSpec.name).scheduled_sampling


def _check_model(model: WorldModelSection) -> Iterator[Remark]:
    """The architecture, and the sizes that belong to it."""
    if model.architecture not in SIZES_OF:
        text = f"unknown architecture {model.architecture!r}{spec_checks.guess(model.architecture, SIZES_OF)}"
        yield Remark(loc=("model", "architecture"), message=text)
        return
    for architecture, sizes in SIZES_OF.items():
        for name in sizes if architecture != model.architecture else ():
            if name in model.model_fields_set:
                text = f"is a size of {architecture}; leave it out of a {model.architecture}"
                yield Remark(loc=("model", name), message=text)
    if model.architecture == MAMBA2 and EXPAND * model.d_model % model.headdim:
        text = f"is {model.headdim}, which does not divide {EXPAND} x d_model = {EXPAND * model.d_model}; choose one"
        yield Remark(loc=("model", "headdim"), message=f"{text} that does")


SPEC: WorkloadSpec = WorldModelSpec()

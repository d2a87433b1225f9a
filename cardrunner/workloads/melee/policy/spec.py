"""The torch-free half of the policy workload: its card sections, arithmetic, metric names and checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cardrunner.card.contracts import WorkloadSpec, narrowed
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.data import DataSection
from cardrunner.card.schema.plan import DemoSection
from cardrunner.card.schema.training import ModelSection, TrainingSection
from cardrunner.errors import PluginFailed
from cardrunner.plugins import Plugin
from cardrunner.specs import DataMatch, Derived, MetricSpec, Remark, TrivialBaseline
from cardrunner.workloads.melee.demo.section import MatchDemo, demo_of
from cardrunner.workloads.melee.policy import arithmetic as spec_arithmetic, checks as spec_checks, page as spec_page
from cardrunner.workloads.melee.policy.arithmetic import foreseen_mode
from cardrunner.workloads.melee.policy.metric_names import METRICS, TRIVIAL_BASELINES
from cardrunner.workloads.melee.policy.models import find_model, model_plugin
from cardrunner.workloads.melee.policy.sections import MeleeData, PolicyModel


class PolicySpec:
    """Imitation of a player from encoded games; see `cardrunner.card.contracts.WorkloadSpec`."""

    name: str = "melee-policy"
    data_section: type[DataSection] = MeleeData
    model_section: type[ModelSection] = PolicyModel
    training_section: type[TrainingSection] = TrainingSection
    demo_section: type[DemoSection] = MatchDemo
    metrics: tuple[MetricSpec, ...] = METRICS
    trivial_baselines: tuple[TrivialBaseline, ...] = TRIVIAL_BASELINES
    worded: Mapping[str, Sequence[str]] = {
        "data": ("games", "frames", "encoding", "synthetic", "predict_player"),
        "model": ("context_len", "hidden_dim", "trunk_dim", "dropout", "outputs"),
    }

    def starter(self) -> str:
        """The text that a new card starts from."""
        return Path(__file__).with_name("starter.yaml").read_text(encoding="utf-8")

    def derive(self, card: Card) -> Iterable[Derived]:
        """Every stated number that follows from others."""
        model, data = model_of(card), data_of(card)
        encoding, parameters, formula = data.encoding.resolved(), None, ""
        with suppress(PluginFailed):  # which `check` reports
            if (architecture := find_model(model.architecture)) is not None:
                parameters, formula = architecture.parameters(model, encoding), architecture.formula(model, encoding)
        return spec_arithmetic.derive(model, data, parameters=parameters, formula=formula)

    def check(self, card: Card) -> Iterable[Remark]:
        """Other faults and warnings."""
        yield from spec_checks.check_data(model_of(card), data_of(card))
        yield from spec_checks.check_model(model_of(card))
        yield from spec_checks.check_training(card.training)
        yield from spec_checks.check_demo(demo_of(card), trains="policy")

    def examples(self, card: Card) -> tuple[int, int] | None:
        """Training and validation examples; estimated from the split if the card states neither."""
        return spec_arithmetic.examples(model_of(card), data_of(card))

    def used_plugins(self, card: Card) -> Sequence[Plugin]:
        """The package of the architecture, if it is not cardrunner's."""
        return tuple(filter(None, [model_plugin(model_of(card).architecture)]))

    def describe(self, card: Card) -> Mapping[str, Sequence[tuple[str, str]]]:
        """Rows of the review page for `data`, `model` and `training`."""
        return spec_page.describe(card, model_of(card), data_of(card))

    def data_mode(self, card: Card) -> str | None:
        """How the data will be read; None if neither card nor machine gives the sizes."""
        return foreseen_mode(card, data_of(card))

    def data_match(self, card: Card, workspace: Path) -> DataMatch | None:
        """Whether policy and world model of the demo learn from the same data."""
        from cardrunner.workloads.melee.demo.data_match import planned_match  # needed only for plans

        return planned_match(card, data_of(card), workspace)


def data_of(card: Card) -> MeleeData:
    """The `data` section of a policy card."""
    return narrowed(card.data, MeleeData, workload=PolicySpec.name)


def model_of(card: Card) -> PolicyModel:
    """The `model` section of a policy card."""
    return narrowed(card.model, PolicyModel, workload=PolicySpec.name)


SPEC: WorkloadSpec = PolicySpec()

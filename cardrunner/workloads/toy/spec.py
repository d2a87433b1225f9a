"""The torch-free half of the toy workload: a model of a few hundred parameters on synthetic data.

It shows that the core is independent of the domain, and serves crash tests and newcomers: a whole run takes a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from cardrunner.card.contracts import WorkloadSpec, narrowed
from cardrunner.card.schema.base import Count, PositiveCount, Section
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.data import DataSection
from cardrunner.card.schema.training import ModelSection, TrainingSection
from cardrunner.specs import MetricSpec, Remark, TrivialBaseline
from cardrunner.workloads import simple

MLP = "ToyMLP"
CLASSES = 3
LOSS_TERM, LOSS_KIND = "class", "cross_entropy"


class ToyData(DataSection):
    """Synthetic examples: random points, labelled by a fixed random rule with some noise."""

    examples: Annotated[PositiveCount, Field(ge=2, le=10_000_000)] = 640
    """Training and validation examples together."""
    features: Annotated[PositiveCount, Field(le=1000)] = 8
    """Numbers in each example."""
    seed: Annotated[Count, Field(lt=2**32)] = 0
    """The seed of the examples; training has a seed of its own."""


class ToyModel(ModelSection):
    """A classifier with one hidden layer and dropout."""

    hidden_dim: Annotated[PositiveCount, Field(le=10_000)] = 24
    """Units of the hidden layer."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the hidden units that a training step leaves out."""


class ToyKnobs(Section):
    """Faults on demand, for trying out how a run handles them.

    Steps are global step numbers from 1; each fault occurs once per run.
    """

    step_ms: Annotated[float, Field(ge=0)] = 0.0
    """The least delay added to every step, in milliseconds."""
    nan_at: PositiveCount | None = None
    """The inputs of this step are NaN."""
    oom_at: PositiveCount | None = None
    """This step runs out of memory."""
    hang_at: PositiveCount | None = None
    """This step never ends."""
    exit_at: PositiveCount | None = None
    """The process exits in this step without a message."""
    raise_at: PositiveCount | None = None
    """This step raises an unexpected error."""


class ToyTraining(TrainingSection):
    """The usual training fields and the fault settings."""

    toy: ToyKnobs = Field(default_factory=ToyKnobs.model_construct)


MAJORITY = "majority class"
METRICS = (
    MetricSpec(
        name="loss/total",
        direction="min",
        unit="nats",
        meaning="the loss that is trained: weighted cross entropy",
        aliases=("val_loss",),
        lower=0.0,
    ),
    MetricSpec(
        name="metric/accuracy",
        direction="max",
        unit="share of examples",
        meaning="how often the likeliest class is the right one",
        aliases=("val_accuracy", "accuracy"),
        percent=True,
    ),
    MetricSpec(
        name="metric/first_class_accuracy",
        direction="max",
        unit="share of examples of the first class",
        meaning="the same, over the examples whose class is the first one",
        aliases=("val_first_class_accuracy", "first_class_accuracy"),
        percent=True,
    ),
)


class ToySpec(simple.Spec):
    """See `cardrunner.card.contracts.WorkloadSpec`."""

    name: str = "toy"
    data_section: type[DataSection] = ToyData
    model_section: type[ModelSection] = ToyModel
    training_section: type[TrainingSection] = ToyTraining
    metrics: tuple[MetricSpec, ...] = METRICS
    trivial_baselines: tuple[TrivialBaseline, ...] = (
        TrivialBaseline(name=MAJORITY, meaning="always the commonest class of the training examples"),
    )
    worded: Mapping[str, Sequence[str]] = {"data": ("examples", "features", "seed"), "model": ("hidden_dim", "dropout")}
    architectures: ClassVar[tuple[str, ...]] = (MLP,)
    loss_terms: ClassVar[Mapping[str, str]] = {LOSS_TERM: LOSS_KIND}

    def starter(self) -> str:
        """The text that a new card starts from."""
        return Path(__file__).with_name("starter.yaml").read_text(encoding="utf-8")

    def count(self, card: Card) -> int:
        """The number of examples that the card asks for."""
        return data_of(card).examples

    def parameters(self, card: Card) -> tuple[int, str]:
        """Weights and biases of both layers."""
        features, hidden = data_of(card).features, model_of(card).hidden_dim
        formula = f"({features} + 1) x {hidden} + ({hidden} + 1) x {CLASSES}"
        return (features + 1) * hidden + (hidden + 1) * CLASSES, formula

    def check(self, card: Card) -> Iterable[Remark]:
        """The faults of every workload, and a source other than synthetic."""
        if not card.data.is_synthetic:
            yield Remark(loc=("data", "source"), message="the toy makes its own data; write synthetic")
        yield from super().check(card)

    def describe(self, card: Card) -> Mapping[str, Sequence[tuple[str, str]]]:
        """Rows of the review page."""
        data, model = data_of(card), model_of(card)
        train, validation = self.examples(card) or (0, 0)
        return {
            "data": [
                ("Source", f"made up: {data.examples} points of {data.features} numbers, seed {data.seed}"),
                ("Examples", f"{train} training, {validation} validation"),
            ],
            "model": [
                ("Architecture", f"{model.architecture}, {self.parameters(card)[0]} parameters"),
                ("Hidden / dropout", f"{model.hidden_dim} / {model.dropout:g}"),
            ],
            "training": [("Loss", f"cross entropy, weight {loss_weight(card):g}")],
        }


def data_of(card: Card) -> ToyData:
    """The `data` section of a toy card."""
    return narrowed(card.data, ToyData, workload=ToySpec.name)


def model_of(card: Card) -> ToyModel:
    """The `model` section of a toy card."""
    return narrowed(card.model, ToyModel, workload=ToySpec.name)


def loss_weight(card: Card) -> float:
    """The weight of the only loss term."""
    term = card.training.loss.get(LOSS_TERM)
    return 1.0 if term is None else term.weight


SPEC: WorkloadSpec = ToySpec()

"""The torch-free half of the toy workload: a model of a few hundred parameters on made-up data.

It proves that the core knows no domain, and is what crash tests and newcomers run: a whole run takes a second. Copy it
to begin a workload of your own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cardrunner.card.schema.card import Card
from cardrunner.card.schema.data import DataSection
from cardrunner.card.schema.training import ModelSection, TrainingSection
from cardrunner.specs import Derived, MetricSpec, Remark, TrivialBaseline, WorkloadSpec, narrowed
from cardrunner.workloads.toy.sections import (
    CLASSES,
    LOSS_KIND,
    LOSS_TERM,
    MLP,
    ToyData,
    ToyModel,
    ToyTraining,
    counts,
    parameters,
)

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


class ToySpec:
    """See `cardrunner.specs.WorkloadSpec`."""

    name: str = "toy"
    data_section: type[DataSection] = ToyData
    model_section: type[ModelSection] = ToyModel
    training_section: type[TrainingSection] = ToyTraining
    metrics: tuple[MetricSpec, ...] = METRICS
    trivial_baselines: tuple[TrivialBaseline, ...] = (
        TrivialBaseline(name=MAJORITY, meaning="always the commonest class of the training examples"),
    )
    worded: Mapping[str, Sequence[str]] = {"data": ("examples", "features", "seed"), "model": ("hidden_dim", "dropout")}

    def starter(self) -> str:
        """The card that a new one begins with."""
        return Path(__file__).with_name("starter.yaml").read_text(encoding="utf-8")

    def derive(self, card: Card) -> Iterable[Derived]:
        """Examples and parameters, where the card states them."""
        data, model = data_of(card), model_of(card)
        train, validation = counts(data)
        split = f"{data.examples} examples at {data.split.train * 100:g}%"
        if data.train_examples is not None:
            yield Derived(loc=("data", "train_examples"), stated=data.train_examples, derived=train, formula=split)
        if data.val_examples is not None:
            rest = f"the rest of {split}"
            yield Derived(loc=("data", "val_examples"), stated=data.val_examples, derived=validation, formula=rest)
        if model.parameters is not None:
            formula = f"({data.features} + 1) x {model.hidden_dim} + ({model.hidden_dim} + 1) x {CLASSES}"
            found = parameters(data, model)
            yield Derived(loc=("model", "parameters"), stated=model.parameters, derived=found, formula=formula)

    def check(self, card: Card) -> Iterable[Remark]:
        """Source, split, architecture and loss."""
        data, model = data_of(card), model_of(card)
        if not data.is_synthetic:
            yield Remark(loc=("data", "source"), message="the toy makes its own data; write synthetic")
        if 0 in counts(data):
            yield Remark(loc=("data", "split", "train"), message="leaves no example on one side; write 80%")
        if model.architecture != MLP:
            yield Remark(
                loc=("model", "architecture"), message=f"unknown architecture {model.architecture!r}; there is {MLP}"
            )
        for name, term in card.training.loss.items():
            if (name, term.kind) != (LOSS_TERM, LOSS_KIND):
                message = f"unknown loss term; there is {LOSS_TERM}: {{kind: {LOSS_KIND}}}"
                yield Remark(loc=("training", "loss", name), message=message)

    def examples(self, card: Card) -> tuple[int, int] | None:
        """Training and validation examples."""
        return counts(data_of(card))

    def describe(self, card: Card) -> Mapping[str, Sequence[tuple[str, str]]]:
        """Rows of the review page."""
        data, model = data_of(card), model_of(card)
        train, validation = counts(data)
        return {
            "data": [
                ("Source", f"made up: {data.examples} points of {data.features} numbers, seed {data.seed}"),
                ("Examples", f"{train} training, {validation} validation"),
            ],
            "model": [
                ("Architecture", f"{model.architecture}, {parameters(data, model)} parameters"),
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

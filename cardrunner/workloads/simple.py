"""A workload in about fifty lines: data in memory, model and loss; everything else has a default. Torch-free.

One class is a whole workload, named by an entry point in the group ``cardrunner.workloads``. Reading a card imports its
module, so torch and data libraries are imported inside the methods that need them::

    class Digits(simple.SimpleWorkload):
        name = "digits"
        needs = ("torch", "scikit-learn")

        def tensors(self, card, files): ...  # every example: the inputs of the model, then the labels
        def build_model(self, card): ...
        def loss(self, card, outputs, batch): ...  # scalar, the mean over the batch

Its only metric is the loss, until it defines `metrics` and a method `score`. A workload in two modules, such as the
toy, extends the two halves: `Spec`, which describes the card, and `Training`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from cardrunner.card.contracts import WorkloadSpec
from cardrunner.card.schema.base import Section
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.data import DataSection
from cardrunner.card.schema.training import ModelSection, TrainingSection
from cardrunner.common.text import listed
from cardrunner.specs import Derived, MetricSpec, Remark, TrivialBaseline

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from cardrunner.contracts import Batch, Data, DemoResult, Objective, Progress
    from cardrunner.workloads.in_memory import Score

LOSS = MetricSpec("loss/total", "min", "loss", "the loss that is trained", ("val_loss",))
"""The first metric of every workload."""
_SECTIONS: Mapping[str, type[Section]] = {"data": DataSection, "model": ModelSection, "training": TrainingSection}


class Spec(ABC):
    """The half that reads cards, without torch; see `cardrunner.card.contracts.WorkloadSpec`."""

    name: str
    """The name in cards after `workload:`, and of the entry point."""
    needs: ClassVar[tuple[str, ...]] = ("torch",)
    """The packages, as pip names them, that its training needs; a missing one is reported before the launch."""
    data_section: type[DataSection] = DataSection
    model_section: type[ModelSection] = ModelSection
    training_section: type[TrainingSection] = TrainingSection
    metrics: tuple[MetricSpec, ...] = (LOSS,)
    trivial_baselines: tuple[TrivialBaseline, ...] = ()
    architectures: ClassVar[tuple[str, ...]] = ()
    """The valid values of `model.architecture`; if empty, any text is valid."""
    loss_terms: ClassVar[Mapping[str, str]] = {}
    """The terms that `training.loss` may weight, each with its kind."""

    def count(self, card: Card) -> int | None:  # noqa: ARG002
        """Training and validation examples together; None if known only once the data is open."""
        return None

    def parameters(self, card: Card) -> tuple[int, str] | None:  # noqa: ARG002
        """Trainable parameters, and the formula with its numbers; None if known only once the model is built."""
        return None

    def examples(self, card: Card) -> tuple[int, int] | None:
        """Training and validation examples: the first part trains."""
        total = self.count(card)
        if total is not None:
            train = int(total * card.data.split.train)
            return train, total - train
        train_examples, val_examples = card.data.train_examples, card.data.val_examples
        return None if train_examples is None or val_examples is None else (train_examples, val_examples)

    def derive(self, card: Card) -> Iterable[Derived]:
        """Numbers of examples and parameters that the card states and that can be derived."""
        data, total, found = card.data, self.count(card), self.parameters(card)
        if total is not None:
            train, split = int(total * data.split.train), f"{total} examples at {data.split.train * 100:g}%"
            yield from _derived("data", "train_examples", data.train_examples, train, split)
            yield from _derived("data", "val_examples", data.val_examples, total - train, f"the rest of {split}")
        if found is not None:
            yield from _derived("model", "parameters", card.model.parameters, *found)

    def check(self, card: Card) -> Iterable[Remark]:
        """Faults of the split, the architecture and the loss."""
        if 0 in (self.examples(card) or ()):
            yield Remark(
                loc=("data", "split", "train"), message="leaves one side without examples; write a share such as 80%"
            )
        if self.architectures and card.model.architecture not in self.architectures:
            text = f"unknown architecture {card.model.architecture!r}; there is {listed(self.architectures)}"
            yield Remark(loc=("model", "architecture"), message=text)
        for name, term in card.training.loss.items():
            if self.loss_terms.get(name) != term.kind:
                terms = listed(f"{term}: {{kind: {kind}}}" for term, kind in self.loss_terms.items())
                text = f"unknown loss term; there is {terms}" if terms else "the loss has no terms; leave it out"
                yield Remark(loc=("training", "loss", name), message=text)

    def describe(self, card: Card) -> Mapping[str, Sequence[tuple[str, str]]]:
        """Rows of the review page: every field that is specific to this workload."""
        return {name: list(_own_rows(getattr(card, name), base)) for name, base in _SECTIONS.items()}


class Training(ABC):
    """The half with torch; see `cardrunner.contracts.Workload`. A batch is `tensors` of B examples."""

    spec: WorkloadSpec

    @abstractmethod
    def tensors(self, card: Card, files: Sequence[Path]) -> Sequence[Any]:
        """All examples: the inputs of the model, then the labels; tensors or arrays (N, ...), in the same order."""

    @abstractmethod
    def build_model(self, card: Card) -> nn.Module:
        """Fresh weights from torch's global generator."""

    @abstractmethod
    def loss(self, card: Card, outputs: Any, batch: Batch) -> Tensor:
        """The loss of the model's outputs: a scalar, the mean over the batch."""

    def score(self, card: Card, outputs: Any, batch: Batch) -> Mapping[str, Score]:  # noqa: ARG002
        """Each metric after the loss: its value for each example (B,), or values and a mask (B,) of those to count."""
        return {}

    def predict(self, model: nn.Module, batch: Batch) -> Any:
        """One forward pass over all tensors of a batch but the last."""
        return model(*batch[:-1])

    def open_data(self, card: Card, files: Sequence[Path], *, scratch: Path, progress: Progress) -> Data:  # noqa: ARG002
        """All tensors in memory; the first part of the examples trains."""
        from cardrunner.workloads.in_memory import InMemoryData

        return InMemoryData.of(self, card, files)

    def objective(self, card: Card) -> Objective:
        """The mean of the loss and of each metric."""
        from cardrunner.workloads.in_memory import MeanObjective

        return MeanObjective(self.spec, self.predict, partial(self.loss, card), partial(self.score, card))

    def baselines(self, card: Card, data: Data) -> Mapping[str, Callable[[Batch], Any]]:  # noqa: ARG002
        """Trivial baselines by name; each maps a batch to outputs, like the model."""
        return {}

    def export_config(self, card: Card) -> Mapping[str, Any]:
        """The settings that a loader needs besides the weights: all of the card's `model`."""
        return {"model_type": self.spec.name, **card.model.model_dump(mode="json", exclude={"parameters"})}

    def demo(self, card: Card, checkpoint: Path, data: Data, *, out: Path, progress: Progress) -> DemoResult | None:  # noqa: ARG002
        """None: there is no demo unless a workload defines one."""
        return None


class SimpleWorkload(Spec, Training):
    """Both halves in one class."""

    def __init__(self) -> None:
        self.spec: WorkloadSpec = self


def _derived(section: str, field: str, stated: int | None, derived: int, formula: str) -> Iterator[Derived]:
    if stated is not None:
        yield Derived(loc=(section, field), stated=stated, derived=derived, formula=formula)


def _own_rows(section: Section, base: type[Section]) -> Iterator[tuple[str, str]]:
    for name in type(section).model_fields:
        if name not in base.model_fields:
            yield name.replace("_", " ").capitalize(), str(getattr(section, name))

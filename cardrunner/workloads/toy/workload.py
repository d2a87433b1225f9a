"""The torch half of the toy workload.

Shapes:
    B  examples in a batch    F  features    C  classes    N  examples
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cardrunner.card.schema.card import Card
from cardrunner.contracts import Batch, Data, Fact, Progress, Workload, WorkloadSpec
from cardrunner.workloads import simple
from cardrunner.workloads.in_memory import InMemoryData, Score
from cardrunner.workloads.toy.faults import Faults
from cardrunner.workloads.toy.spec import (
    CLASSES,
    MAJORITY,
    SPEC,
    ToyData,
    ToyKnobs,
    ToyTraining,
    data_of,
    loss_weight,
    model_of,
)

_NOISE = 0.3


class ToyDataset(InMemoryData):
    """See `cardrunner.contracts.Data`; also a `BatchHook` of the training loop, which triggers the faults."""

    def __init__(self, card: Card, tensors: Sequence[Tensor], train: int, faults: Faults) -> None:
        super().__init__(card, tensors, train)
        self._section, self._faults = data_of(card), faults
        self.majority = int(tensors[1][:train].bincount().argmax())

    def facts(self) -> Sequence[Fact]:
        """The counts, which always match, as the generator makes them."""
        made = str(len(self.train) + len(self.validation))
        return [Fact(name="examples", expected=str(self._section.examples), actual=made, ok=True)]

    def identity(self) -> Mapping[str, Any]:
        """The settings that reproduce the data."""
        section = self._section
        made = {"examples": section.examples, "features": section.features, "seed": section.seed}
        return {"generator": "toy 1", **made, "train": len(self.train)}

    def on_batch(self, step: int, batch: Batch) -> Batch:
        """Trigger the faults of this step."""
        return self._faults.strike(step, batch)


class ToyMLP(nn.Module):
    """One hidden layer with dropout."""

    def __init__(self, features: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, CLASSES)
        )

    def forward(self, points: Tensor) -> Tensor:
        """Logits float (B, C) of points float (B, F)."""
        return self.layers(points)  # type: ignore[no-any-return]


class ToyWorkload(simple.Training):
    """Cross entropy and accuracy; see `cardrunner.contracts.Workload`."""

    spec: WorkloadSpec = SPEC

    def tensors(self, card: Card, files: Sequence[Path]) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Points float32 (N, F) and classes int64 (N,)."""
        return make_examples(data_of(card))

    def open_data(self, card: Card, files: Sequence[Path], *, scratch: Path, progress: Progress) -> Data:  # noqa: ARG002
        """Generate the examples."""
        knobs = card.training.toy if isinstance(card.training, ToyTraining) else ToyKnobs()
        train, _ = SPEC.examples(card) or (0, 0)
        return ToyDataset(card, self.tensors(card, files), train, Faults(knobs, scratch))

    def build_model(self, card: Card) -> nn.Module:
        """Fresh weights from torch's global generator."""
        model = model_of(card)
        return ToyMLP(data_of(card).features, model.hidden_dim, model.dropout)

    def loss(self, card: Card, outputs: Tensor, batch: Batch) -> Tensor:
        """Weighted cross entropy of logits float (B, C)."""
        return loss_weight(card) * functional.cross_entropy(outputs, batch[1])

    def score(self, card: Card, outputs: Tensor, batch: Batch) -> Mapping[str, Score]:  # noqa: ARG002
        """Whether the most likely class is right, for all examples and for those of the first class."""
        right = outputs.argmax(1) == batch[1]
        return {"metric/accuracy": right, "metric/first_class_accuracy": (right, batch[1] == 0)}

    def baselines(self, card: Card, data: Data) -> Mapping[str, Callable[[Batch], Any]]:  # noqa: ARG002
        """One baseline: always the most common class of the training examples."""
        majority = data.majority if isinstance(data, ToyDataset) else 0
        logits = functional.one_hot(torch.tensor(majority), CLASSES).float()
        return {MAJORITY: lambda batch: logits.to(batch[0].device).expand(len(batch[0]), CLASSES)}

    def export_config(self, card: Card) -> Mapping[str, Any]:
        """The settings that a loader needs besides the weights."""
        return {"model_type": "toy_mlp", "features": data_of(card).features, "dropout": model_of(card).dropout}


def make_examples(section: ToyData) -> tuple[Tensor, Tensor]:
    """Points from a normal distribution; the class is the largest of C random projections with some noise."""
    generator = torch.Generator().manual_seed(section.seed)
    points = torch.randn(section.examples, section.features, generator=generator)
    rule = torch.randn(section.features, CLASSES, generator=generator)
    noise = torch.randn(section.examples, CLASSES, generator=generator) * _NOISE
    return points, (points @ rule + noise).argmax(1)


WORKLOAD: Workload = ToyWorkload()

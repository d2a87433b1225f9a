"""The torch half of the toy workload.

Shapes:
    B  examples in a batch    F  features    C  classes    M  metrics
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cardrunner.card.schema.card import Card
from cardrunner.contracts import (
    Batch,
    BatchDataset,
    Data,
    DemoResult,
    Fact,
    Objective,
    Outcome,
    Progress,
    Workload,
    WorkloadSpec,
)
from cardrunner.workloads.toy.faults import Faults
from cardrunner.workloads.toy.sections import CLASSES, ToyData, ToyKnobs, ToyTraining, counts
from cardrunner.workloads.toy.spec import MAJORITY, METRICS, SPEC, data_of, loss_weight, model_of

_NOISE = 0.3


@dataclass(frozen=True)
class Examples:
    """Points with their classes, in memory: float32 (N, F) and int64 (N,)."""

    points: Tensor
    classes: Tensor

    def __len__(self) -> int:
        return len(self.points)

    def __getitems__(self, indices: Tensor) -> Batch:
        """Points float32 (B, F) and classes int64 (B,) of these int64 (B,) example numbers."""
        return self.points.index_select(0, indices), self.classes.index_select(0, indices)


class ToyDataset:
    """See `cardrunner.contracts.Data`; a `BatchHook` of the training loop too, where the faults strike."""

    mode = "in memory, full shuffle"

    def __init__(self, section: ToyData, faults: Faults) -> None:
        self._section, self._faults = section, faults
        whole = make_examples(section)
        train, _ = counts(section)
        self.train: BatchDataset = Examples(whole.points[:train], whole.classes[:train])
        self.validation: BatchDataset = Examples(whole.points[train:], whole.classes[train:])
        self.majority = int(whole.classes[:train].bincount().argmax())

    def facts(self) -> Sequence[Fact]:
        """The counts, which the generator cannot miss."""
        return [
            Fact(
                name="examples",
                expected=str(self._section.examples),
                actual=str(len(self.train) + len(self.validation)),
                ok=True,
            )
        ]

    def identity(self) -> Mapping[str, Any]:
        """What makes the same data again."""
        section = self._section
        made = {"examples": section.examples, "features": section.features, "seed": section.seed}
        return {"generator": "toy 1", **made, "train": len(self.train)}

    def on_batch(self, step: int, batch: Batch) -> Batch:
        """Let the faults of this step strike."""
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


class ToyObjective:
    """Cross entropy and how often the likeliest class is right."""

    names: tuple[str, ...] = tuple(metric.name for metric in METRICS)

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def predict(self, model: nn.Module, batch: Batch) -> Tensor:
        """Logits float (B, C)."""
        return model(batch[0])  # type: ignore[no-any-return]

    def score(self, outputs: Tensor, batch: Batch) -> Outcome:
        """See `cardrunner.contracts.Outcome`.

        Args:
            outputs: logits float (B, C).
            batch: points and classes.
        """
        classes = batch[1]
        loss = self.weight * functional.cross_entropy(outputs, classes)
        right, first = (outputs.argmax(1) == classes).float(), (classes == 0).float()
        everything = torch.ones_like(first).sum()
        numerators = torch.stack((loss.detach() * everything, right.sum(), (right * first).sum()))
        return Outcome(loss, numerators, torch.stack((everything, everything, first.sum())))


class ToyWorkload:
    """See `cardrunner.contracts.Workload`."""

    spec: WorkloadSpec = SPEC

    def open_data(self, card: Card, files: Sequence[Path], *, scratch: Path, progress: Progress) -> Data:  # noqa: ARG002
        """Make the examples."""
        knobs = card.training.toy if isinstance(card.training, ToyTraining) else ToyKnobs()
        return ToyDataset(data_of(card), Faults(knobs, scratch))

    def build_model(self, card: Card) -> nn.Module:
        """Fresh weights from torch's global generator."""
        model = model_of(card)
        return ToyMLP(data_of(card).features, model.hidden_dim, model.dropout)

    def objective(self, card: Card) -> Objective:
        """Weighted cross entropy."""
        return ToyObjective(loss_weight(card))

    def baselines(self, card: Card, data: Data) -> Mapping[str, Callable[[Batch], Any]]:  # noqa: ARG002
        """The commonest class of the training examples."""
        majority = data.majority if isinstance(data, ToyDataset) else 0
        logits = functional.one_hot(torch.tensor(majority), CLASSES).float()
        return {MAJORITY: lambda batch: logits.to(batch[0].device).expand(len(batch[0]), CLASSES)}

    def export_config(self, card: Card) -> Mapping[str, Any]:
        """What a loader needs besides the weights."""
        return {"model_type": "toy_mlp", "features": data_of(card).features, "dropout": model_of(card).dropout}

    def demo(self, card: Card, checkpoint: Path, data: Data, *, out: Path, progress: Progress) -> DemoResult | None:  # noqa: ARG002
        """There is nothing to look at."""
        return None


def make_examples(section: ToyData) -> Examples:
    """Points from a normal distribution; the class is the largest of C random projections with some noise."""
    generator = torch.Generator().manual_seed(section.seed)
    points = torch.randn(section.examples, section.features, generator=generator)
    rule = torch.randn(section.features, CLASSES, generator=generator)
    noise = torch.randn(section.examples, CLASSES, generator=generator) * _NOISE
    return Examples(points, (points @ rule + noise).argmax(1))


WORKLOAD: Workload = ToyWorkload()

"""Examples in memory, and an objective of means over examples, as `cardrunner.workloads.simple` uses them.

Shapes:
    N  examples    B  examples in a batch    M  metrics
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from cardrunner.card.contracts import WorkloadSpec
from cardrunner.card.schema.card import Card
from cardrunner.contracts import Batch, BatchDataset, BatchScore, Fact
from cardrunner.errors import PluginFailed

if TYPE_CHECKING:
    from cardrunner.workloads.simple import Training

Score = Tensor | tuple[Tensor, Tensor]
"""A metric's value for each example (B,), or the values and a mask of the examples that count (B,)."""


class InMemoryExamples:
    """Tensors whose first axis is the example."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.tensors = tuple(tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitems__(self, indices: Tensor) -> Batch:
        """The examples at these indices, int64 (B,)."""
        return tuple(tensor.index_select(0, indices) for tensor in self.tensors)


class InMemoryData:
    """See `cardrunner.contracts.Data`.

    Args:
        card: its stated counts are compared with the tensors.
        tensors: (N, ...) each.
        train: the number of training examples; the rest validate.
    """

    mode = "in memory, full shuffle"

    def __init__(self, card: Card, tensors: Sequence[Tensor], train: int) -> None:
        self._card, self._tensors = card, tensors
        self.train: BatchDataset = InMemoryExamples([tensor[:train] for tensor in tensors])
        self.validation: BatchDataset = InMemoryExamples([tensor[train:] for tensor in tensors])

    @classmethod
    def of(cls, workload: Training, card: Card, files: Sequence[Path]) -> InMemoryData:
        """The data that a workload's `tensors` returns.

        Raises:
            PluginFailed: its tensors differ in length, or one side of the split would be empty.
        """
        tensors = [torch.as_tensor(each) for each in workload.tensors(card, files)]
        lengths = {len(each) if each.dim() else 0 for each in tensors}
        if len(tensors) < 2 or len(lengths) != 1:
            shapes = ", ".join(str(tuple(each.shape)) for each in tensors) or "nothing"
            raise PluginFailed(
                f"the workload {card.workload}: tensors gave {shapes}; it has to give what the model takes and what it"
                " is to answer, of as many examples each"
            )
        total = lengths.pop()
        train = int(total * card.data.split.train)
        if train in (0, total):
            raise PluginFailed(
                f"the workload {card.workload}: tensors gave {total} examples, and data.split.train leaves none of them"
                " on one side"
            )
        return cls(card, tensors, train)

    def facts(self) -> Sequence[Fact]:
        """The counts that the card states, with those of the tensors."""
        data = self._card.data
        return [
            _count("training examples", data.train_examples, len(self.train)),
            _count("validation examples", data.val_examples, len(self.validation)),
        ]

    def identity(self) -> Mapping[str, Any]:
        """A digest of every number."""
        digest = hashlib.sha256()
        for tensor in self._tensors:
            digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
        return {"sha256": digest.hexdigest(), "train": len(self.train), "validation": len(self.validation)}


def _count(name: str, stated: int | None, found: int) -> Fact:
    expected = None if stated is None else str(stated)
    return Fact(name=name, expected=expected, actual=str(found), ok=stated is None or stated == found)


class MeanObjective:
    """Metrics that are means over the examples that count.

    Args:
        spec: defines the M metrics; the first one is the loss.
        predict: model and batch to outputs.
        loss: outputs and batch to a scalar.
        score: outputs and batch to the other metrics.
    """

    def __init__(
        self,
        spec: WorkloadSpec,
        predict: Callable[[nn.Module, Batch], Any],
        loss: Callable[[Any, Batch], Tensor],
        score: Callable[[Any, Batch], Mapping[str, Score]],
    ) -> None:
        self.names = tuple(metric.name for metric in spec.metrics)
        self._workload, self._predict, self._loss, self._score = spec.name, predict, loss, score

    def predict(self, model: nn.Module, batch: Batch) -> Any:
        """One forward pass."""
        return self._predict(model, batch)

    def score(self, outputs: Any, batch: Batch) -> BatchScore:
        """See `cardrunner.contracts.BatchScore`.

        Raises:
            PluginFailed: the loss is not a scalar, or a metric is missing or lacks a value for each example.
        """
        loss, examples = self._loss(outputs, batch), len(batch[-1])
        if loss.dim():
            raise self._failed(f"loss gave {tuple(loss.shape)}; it has to give a scalar, the mean over the batch")
        count = loss.detach().new_full((), float(examples), dtype=torch.float32)
        numerators, denominators = [loss.detach() * count], [count]
        with torch.no_grad():
            scores = self._score(outputs, batch)
            for name in self.names[1:]:
                values, counted = self._of_examples(name, scores, examples)
                numerators.append(values.sum() if counted is None else (values * counted).sum())
                denominators.append(count if counted is None else counted.sum())
        return BatchScore(loss, torch.stack(numerators), torch.stack(denominators))

    def _of_examples(self, name: str, scores: Mapping[str, Score], examples: int) -> tuple[Tensor, Tensor | None]:
        """Values (B,) of a metric, and the mask (B,) of those that count, as float."""
        if name not in scores:
            given = ", ".join(scores) or "nothing"
            raise self._failed(f"score gave {given}, and not {name}, which the table of metrics has")
        found = scores[name]
        parts: Sequence[Tensor] = found if isinstance(found, tuple) else (found,)
        if len(parts) > 2 or any(part.shape != (examples,) for part in parts):
            shapes = " and ".join(str(tuple(part.shape)) for part in parts)
            raise self._failed(f"score gave {name} as {shapes}; it has to give a value for each of {examples} examples")
        values, *counted = (part.float() for part in parts)
        return values, counted[0] if counted else None

    def _failed(self, what: str) -> PluginFailed:
        return PluginFailed(f"the workload {self._workload}: {what}")

"""Metrics over many batches, kept on the device until they are read.

Two figures per metric: weighted by examples, sum(numerators) / sum(denominators), which depends neither on the batch
size nor on how a batch was split; and the plain mean of per-batch values, as trainers usually report it, where the
smaller last batch has full weight and a batch with denominator 0 does not count.

Where the loss of a batch, its first metric, is NaN, the model's outputs are too, and so is every metric of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from cardrunner.contracts import Batch, BatchDataset, BatchScore, Objective
from cardrunner.training.feed import Feed
from cardrunner.training.group import ProcessGroup
from cardrunner.training.numerics import Numerics
from cardrunner.training.order import Shard, batches_of

_WINDOW = 64
"""Batches held before they are summed, so that a step only appends to a list."""


@dataclass(frozen=True)
class Figures:
    """Values read from a meter, by metric name."""

    weighted: dict[str, float]
    per_batch: dict[str, float]

    def prefixed(self, prefix: str) -> Figures:
        """The same figures under names with a prefix."""
        return Figures(_prefixed(self.weighted, prefix), _prefixed(self.per_batch, prefix))


class Meter:
    """Sums up outcomes. Shapes: M metrics.

    Args:
        names: the M metric names.
        device: where the outcomes live.
        group: the processes whose outcomes count; all read the same figures at the same time.
    """

    def __init__(self, names: Sequence[str], *, device: torch.device, group: ProcessGroup | None = None) -> None:
        self.names = tuple(names)
        self.device = device
        self.group = group or ProcessGroup()
        self.reset()

    def reset(self) -> None:
        """Clear all sums."""
        # rows: numerators, denominators, per-batch values, batches that counted; float64 (4, M)
        self._sums = torch.zeros(4, len(self.names), dtype=torch.float64, device=self.device)
        self._waiting: list[Tensor] = []

    def add(self, row: Tensor) -> None:
        """Count one batch, given as a row from `row_of`."""
        self._waiting.append(row)
        if len(self._waiting) == _WINDOW:
            self._sums = self._summed()
            self._waiting = []

    def figures(self) -> Figures:
        """Read the metrics; waits for the device. A metric with nothing to count is NaN."""
        numerators, denominators, values, batches = self.group.total(self._summed()).tolist()
        return Figures(
            {name: _ratio(top, bottom) for name, top, bottom in zip(self.names, numerators, denominators, strict=True)},
            {name: _ratio(top, bottom) for name, top, bottom in zip(self.names, values, batches, strict=True)},
        )

    def state_dict(self) -> dict[str, Any]:
        """The full state, including unsummed batches: a sum regrouped by a resume would differ in its last bit."""
        return {"names": list(self.names), "sums": self._sums.cpu(), "waiting": [row.cpu() for row in self._waiting]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state of `state_dict`."""
        self._sums = state["sums"].to(self.device)
        self._waiting = [row.to(self.device) for row in state["waiting"]]

    def _summed(self) -> Tensor:
        if not self._waiting:
            return self._sums
        rows = torch.stack(self._waiting).double()  # (batches, 2, M)
        unknown = rows[:, 0, :1].isnan()  # a comparison with a NaN, or its argmax, would pass for a number
        rows[:, 0] = torch.where(unknown, torch.nan, rows[:, 0])
        counted = rows[:, 1] != 0  # a NaN counts, so that it is visible
        values = torch.where(counted, rows[:, 0] / rows[:, 1], 0.0)
        return self._sums + torch.cat((rows.sum(0), torch.stack((values.sum(0), counted.double().sum(0)))))


def row_of(pieces: Sequence[BatchScore]) -> Tensor:
    """The outcome of one batch, given as one piece or as the pieces it was split into: float (2, M), a copy."""
    return torch.stack((_total([p.numerators for p in pieces]), _total([p.denominators for p in pieces])))


def _total(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.stack(parts).sum(0)


def _ratio(top: float, bottom: float) -> float:
    return top / bottom if bottom else float("nan")


def _prefixed(values: Mapping[str, float], prefix: str) -> dict[str, float]:
    return {f"{prefix}{name}": value for name, value in values.items()}


class Evaluation:
    """Scores predictors on one dataset, every example once, in file order.

    Args:
        batch_size: the training batch size, so that per-batch figures are comparable with the training's.
        block_bytes: as in `Feed`.
        on_batch: called after every batch with its number of examples, in all processes equally often; may raise to
            leave.
        group: the processes, each of which scores its share of the batches.
    """

    def __init__(
        self,
        dataset: BatchDataset,
        objective: Objective,
        numerics: Numerics,
        *,
        batch_size: int,
        workers: int = 0,
        block_bytes: int | None = None,
        on_batch: Callable[[int], None] | None = None,
        group: ProcessGroup | None = None,
    ) -> None:
        self._feed = Feed(dataset, device=numerics.device, workers=workers, block_bytes=block_bytes)
        self._objective, self._numerics = objective, numerics
        self._batch_size, self._on_batch, self._group = batch_size, on_batch, group or ProcessGroup()

    def model(self, model: nn.Module) -> Figures:
        """Score a model in evaluation mode; its mode is put back afterwards."""
        with _evaluating(model):
            return self.predictor(partial(self._objective.predict, model))

    @torch.inference_mode()
    def predictor(self, predict: Callable[[Batch], Any]) -> Figures:
        """Score anything that gives the objective's outputs for a batch."""
        meter = Meter(self._objective.names, device=self._numerics.device, group=self._group)
        batches = self._feed.in_order(self._batch_size, shard=Shard(self._group.rank, self._group.world))
        for _ in range(self._rounds):
            if (batch := next(batches, None)) is not None:
                with self._numerics.autocast():
                    meter.add(row_of([self._objective.score(predict(batch), batch)]))
            if self._on_batch is not None:
                self._on_batch(0 if batch is None else len(batch[0]))
        return meter.figures()

    @property
    def _rounds(self) -> int:
        """The number of batches of the process that has the most."""
        batches = batches_of(len(self._feed.dataset), self._batch_size, drop_last=False)
        return -(-batches // self._group.world)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)

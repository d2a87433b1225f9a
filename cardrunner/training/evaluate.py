"""Scoring a model or a trivial predictor over a whole dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from cardrunner.contracts import Batch, BatchDataset, Objective
from cardrunner.training.feed import Feed
from cardrunner.training.group import ProcessGroup
from cardrunner.training.metrics import Figures, Meter, row_of
from cardrunner.training.numerics import Numerics
from cardrunner.training.order import Shard, batches_of


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

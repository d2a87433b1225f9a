"""The visible page of training: what happens in a step, top to bottom.

One optimizer step takes `gradient_accumulation` batches, or what is left at the end of an epoch. Its gradient is that
of the mean over all its examples, however they are split into batches, pieces or processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol, runtime_checkable

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from cardrunner.card.schema.training import TrainingSection
from cardrunner.contracts import Batch, Objective, Outcome
from cardrunner.training.feed import Feed
from cardrunner.training.metrics import Meter
from cardrunner.training.numerics import Numerics
from cardrunner.training.optim import learning_rate
from cardrunner.training.order import Shard, epoch_is_over


@runtime_checkable
class BatchHook(Protocol):
    """An optional part of `cardrunner.contracts.Data`: sees every training batch before its step and may replace it."""

    def on_batch(self, step: int, batch: Batch) -> Batch: ...  # step: the global number of the step, from 1


@dataclass
class Cursor:
    """How far training has come.

    `epoch` counts from 1 and is the one in progress; `position` is how many of its examples were trained.
    """

    epoch: int = 1
    position: int = 0
    step: int = 0
    examples: int = 0
    pieces: int = 1
    """A batch goes through the model in so many pieces; more than one after an out-of-memory."""
    train_seconds: float = 0.0
    """In all attempts, waiting for batches included."""
    learning_rate: float = 0.0
    """Of the newest step."""

    @property
    def epoch_reached(self) -> int:
        """The epoch of the newest step."""
        return self.epoch if self.position else max(1, self.epoch - 1)


@dataclass
class Trainer:
    """Trains a model, one step at a time. Whoever drives it logs, saves and stops between steps."""

    training: TrainingSection
    numerics: Numerics
    model: nn.Module
    objective: Objective
    optimizer: Optimizer
    schedule: LRScheduler
    feed: Feed
    on_out_of_memory: Callable[[BaseException], None]
    """Called when a step did not fit; returns to have the batch split and the step tried again, or raises."""
    hook: BatchHook | None = None
    shard: Shard = field(default_factory=Shard)
    cursor: Cursor = field(default_factory=Cursor)

    def __post_init__(self) -> None:
        self.scaler = self.numerics.scaler()
        self.epoch_meter = Meter(self.objective.names, device=self.numerics.device)
        self.window_meter = Meter(self.objective.names, device=self.numerics.device)
        self.parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.examples = len(self.feed.dataset)

    @property
    def epoch_is_over(self) -> bool:
        """True when the epoch in progress has no batch left."""
        together = self.training.batch_size * self.shard.world
        return epoch_is_over(self.examples, together, drop_last=self.training.drop_last, position=self.cursor.position)

    def epoch(self) -> Iterator[None]:
        """Train what is left of the epoch in progress; yields after every optimizer step."""
        batches = self.feed.epoch(
            self.training.batch_size,
            seed=self.training.seed,
            epoch=self.cursor.epoch,
            drop_last=self.training.drop_last,
            start=self.cursor.position,
            shard=self.shard,
        )
        self.model.train()
        began = time.perf_counter()
        while group := tuple(islice(batches, self.training.gradient_accumulation)):
            self.step(group)
            now = time.perf_counter()
            self.cursor.train_seconds += now - began
            yield
            began = time.perf_counter()

    def step(self, batches: Sequence[Batch]) -> None:
        """One optimizer step."""
        for outcomes in self._gradients(batches):
            self.epoch_meter.add(outcomes)
            self.window_meter.add(outcomes)
        if self.training.gradient_clip is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.parameters, self.training.gradient_clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self._advance(len(batches))

    def finish_epoch(self) -> None:
        """Move on to the next epoch."""
        self.cursor.epoch, self.cursor.position = self.cursor.epoch + 1, 0
        self.epoch_meter.reset()
        if self.training.schedule_unit == "epoch":
            self.schedule.step()

    def _advance(self, batches: int) -> None:
        cursor = self.cursor
        reached = min(cursor.position + batches * self.training.batch_size * self.shard.world, self.examples)
        cursor.step, cursor.position, cursor.examples = (
            cursor.step + 1,
            reached,
            cursor.examples + reached - cursor.position,
        )
        cursor.learning_rate = learning_rate(self.optimizer)
        if self.training.schedule_unit == "step":
            self.schedule.step()

    def _gradients(self, batches: Sequence[Batch]) -> list[list[Outcome]]:
        """Gradients of the mean over all examples of the batches; one list of pieces per batch."""
        total = sum(len(batch[0]) for batch in batches)
        while True:
            try:
                return [self._batch_gradients(batch, total) for batch in batches]
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self.optimizer.zero_grad(set_to_none=True)
                self.on_out_of_memory(error.with_traceback(None))  # the traceback would keep the step's tensors alive
            self._split(largest=max(len(batch[0]) for batch in batches))

    def _batch_gradients(self, batch: Batch, total: int) -> list[Outcome]:
        if self.hook is not None:
            batch = self.hook.on_batch(self.cursor.step + 1, batch)
        outcomes = []
        for piece in pieces_of(batch, self.cursor.pieces):
            with self.numerics.autocast():
                outcome = self.objective.score(self.objective.predict(self.model, piece), piece)
            share = len(piece[0]) / total
            self.scaler.scale(outcome.loss if share == 1 else outcome.loss * share).backward()  # type: ignore[no-untyped-call]
            outcomes.append(outcome)
        return outcomes

    def _split(self, *, largest: int) -> None:
        self.cursor.pieces = min(2 * self.cursor.pieces, largest)
        if self.numerics.device.type == "cuda":
            torch.cuda.empty_cache()


def pieces_of(batch: Batch, pieces: int) -> Iterator[Batch]:
    """A batch in nearly equal pieces; never an empty one."""
    if pieces == 1:
        yield batch
        return
    count = min(pieces, len(batch[0]))
    yield from zip(*(tensor.tensor_split(count) for tensor in batch), strict=True)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on a GPU or in the process."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)

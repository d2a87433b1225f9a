"""The training loop: what happens in a step, top to bottom.

One optimizer step takes `gradient_accumulation` batches, or what is left at the end of an epoch. Its gradient is that
of the mean over all its examples, however they are split into batches, pieces or processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from cardrunner.card.schema.training import TrainingSection
from cardrunner.contracts import Batch, BatchScore, Objective
from cardrunner.training.feed import Feed
from cardrunner.training.graphs import GraphedStep, compiled, shape_of
from cardrunner.training.group import ProcessGroup
from cardrunner.training.metrics import Meter, row_of
from cardrunner.training.numerics import Numerics
from cardrunner.training.optim import learning_rate
from cardrunner.training.order import Shard, epoch_is_over


@runtime_checkable
class BatchHook(Protocol):
    """An optional part of `cardrunner.contracts.Data`: sees every training batch before its step and may replace it."""

    def on_batch(self, step: int, batch: Batch) -> Batch: ...  # step: the global number of the step, from 1


class Scored(nn.Module):
    """A model with the objective that scores it, so that one forward pass ends in a loss.

    `DistributedDataParallel` sees only passes through the module that it wraps.
    """

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.model, self.objective = model, objective

    def forward(self, batch: Batch) -> BatchScore:
        """Predict and score."""
        return self.objective.score(self.objective.predict(self.model, batch), batch)


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
    """The number of pieces that a batch goes through the model in; more than one after an out-of-memory."""
    train_seconds: float = 0.0
    """Over all attempts, including waiting for batches."""
    learning_rate: float = 0.0
    """Learning rate of the newest step."""

    @property
    def epoch_reached(self) -> int:
        """The epoch of the newest step."""
        return self.epoch if self.position else max(1, self.epoch - 1)


@dataclass
class Trainer:
    """Trains a model, one step at a time. The caller logs, saves and stops between steps.

    With several processes, each trains a batch of the card's size, and the step is over all their batches together.
    """

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
    group: ProcessGroup = field(default_factory=ProcessGroup)
    cursor: Cursor = field(default_factory=Cursor)

    def __post_init__(self) -> None:
        self.scaler = self.numerics.scaler()
        self.scored = self.group.wrapped(Scored(self.model, self.objective))
        self._score: Callable[[Batch], BatchScore] = compiled(self.scored) if self.training.compile else self.scored
        self.epoch_meter = Meter(self.objective.names, device=self.numerics.device, group=self.group)
        self.window_meter = Meter(self.objective.names, device=self.numerics.device, group=self.group)
        self.parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.examples = len(self.feed.dataset)
        self.notes: list[str] = []
        """Notes for people on how it trains."""
        self._graph: GraphedStep | None = None
        alone = self.group.world == 1 and self.training.gradient_accumulation == 1
        self._records = self.training.cuda_graph and self.numerics.device.type == "cuda" and alone

    @property
    def epoch_is_over(self) -> bool:
        """True when the epoch in progress has no batch left."""
        together = self.training.batch_size * self.group.world
        return epoch_is_over(self.examples, together, drop_last=self.training.drop_last, position=self.cursor.position)

    def epoch(self) -> Iterator[None]:
        """Train what is left of the epoch in progress; yields after every optimizer step."""
        batches = self.feed.epoch(
            self.training.batch_size,
            seed=self.training.seed,
            epoch=self.cursor.epoch,
            drop_last=self.training.drop_last,
            start=self.cursor.position,
            shard=Shard(self.group.rank, self.group.world),
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
        for outcomes in filter(None, self._outcomes(batches)):
            row = row_of(outcomes)
            self.epoch_meter.add(row)
            self.window_meter.add(row)
        self._advance(len(batches))

    def finish_epoch(self) -> None:
        """Move on to the next epoch."""
        self.cursor.epoch, self.cursor.position = self.cursor.epoch + 1, 0
        self.epoch_meter.reset()
        if self.training.schedule_unit == "epoch":
            self.schedule.step()

    def _reached(self, batches: int) -> int:
        """The position in the epoch after some more batches of every process."""
        return min(self.cursor.position + batches * self.training.batch_size * self.group.world, self.examples)

    def _advance(self, batches: int) -> None:
        cursor, reached = self.cursor, self._reached(batches)
        cursor.step, cursor.position, cursor.examples = (
            cursor.step + 1,
            reached,
            cursor.examples + reached - cursor.position,
        )
        cursor.learning_rate = learning_rate(self.optimizer)
        if self.training.schedule_unit == "step":
            self.schedule.step()

    def _outcomes(self, batches: Sequence[Batch]) -> list[list[BatchScore]]:
        """Take the step, in smaller pieces if it does not fit into memory; one list of outcomes per batch."""
        total = self._total(batches)
        while True:
            try:
                given = [self._given(batch) for batch in batches]
                if (graph := self._graph_for(given)) is not None:
                    return [[graph(given[0])]]
                outcomes = [self._batch_gradients(batch, total, last=batch is given[-1]) for batch in given]
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self.optimizer.zero_grad(set_to_none=True)
                self.on_out_of_memory(error.with_traceback(None))  # the traceback would keep the step's tensors alive
            else:
                self._update()
                return outcomes
            self._split()

    def _given(self, batch: Batch) -> Batch:
        return batch if self.hook is None else self.hook.on_batch(self.cursor.step + 1, batch)

    def _update(self) -> None:
        """Update the weights from the gradients."""
        if self.training.gradient_clip is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.parameters, self.training.gradient_clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)

    def _total(self, batches: Sequence[Batch]) -> float:
        """Examples of the step per process: gradients are averaged even if one process has fewer examples."""
        if self.group.world == 1:
            return sum(len(batch[0]) for batch in batches)
        return (self._reached(len(batches)) - self.cursor.position) / self.group.world

    def _batch_gradients(self, batch: Batch, total: float, *, last: bool) -> list[BatchScore]:
        """Gradients of the mean over all examples of the step."""
        if not len(batch[0]):
            return self._take_part()
        pieces = list(pieces_of(batch, self.cursor.pieces))
        return [
            self._piece_gradients(piece, share=len(piece[0]) / total, last=last and piece is pieces[-1])
            for piece in pieces
        ]

    def _piece_gradients(self, piece: Batch, *, share: float = 1.0, last: bool = True) -> BatchScore:
        with self._synced(last), self.numerics.autocast():
            outcome = self._score(piece)
        self._backward(outcome.loss if share == 1 else outcome.loss * share)
        return outcome

    def _whole_step(self, batch: Batch) -> BatchScore:
        outcome = self._piece_gradients(batch)
        self._update()
        return outcome

    def _graph_for(self, batches: Sequence[Batch]) -> GraphedStep | None:
        """The recorded step, if possible: on a single GPU, for a single batch of full size."""
        whole = len(batches) == 1 and len(batches[0][0]) == self.training.batch_size and self.cursor.pieces == 1
        if not (self._records and whole):
            return None
        if self._graph is None:
            try:
                self._graph = self._recorded(batches[0])
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise
                self._records = False
                reason = str(error).split("\n")[0]
                self.notes.append(
                    f"training.cuda_graph: the step could not be recorded ({reason}); it runs without a graph"
                )
                return None
        return self._graph if self._graph.shape == shape_of(batches[0]) else None

    def _recorded(self, batch: Batch) -> GraphedStep:
        return GraphedStep(
            self._whole_step, model=self.model, optimizer=self.optimizer, scaler=self.scaler, batch=batch
        )

    def _take_part(self) -> list[BatchScore]:
        """Join the gradient sum without a batch of its own: an example with weight 0 sums the others' gradients."""
        (example,) = self.feed.batches([torch.zeros(1, dtype=torch.int64)])
        with self.numerics.autocast():
            outcome = self._score(example)
        self._backward(outcome.loss * 0)
        return []

    def _synced(self, wanted: bool) -> AbstractContextManager[None]:
        return nullcontext() if wanted else self.group.unsynced(self.scored)

    def _backward(self, loss: Tensor) -> None:
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def _split(self) -> None:
        self._graph = None  # frees its memory too
        self.cursor.pieces = min(2 * self.cursor.pieces, self.training.batch_size)
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

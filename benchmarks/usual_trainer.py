"""The baseline: a plain trainer of the usual shape, one example at a time through a DataLoader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from cardrunner.card.schema.card import Card
from cardrunner.contracts import Batch
from cardrunner.workloads.melee.encoding.encoded_data import EncodedData
from cardrunner.workloads.melee.encoding.layout import controller_slice
from cardrunner.workloads.melee.policy.mlp import PolicyMLP
from cardrunner.workloads.melee.policy.objective import PolicyObjective


class SlicedFrames(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """A map-style dataset with an index list and one slice per item."""

    def __init__(self, data: EncodedData, *, context_len: int) -> None:
        self.floats, self.ints = data.files[0].floats, data.files[0].ints
        self.context_len = context_len
        offsets = data.offsets.tolist()
        self.index = [row for start, end in pairwise(offsets) for row in range(start, end - context_len)]

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        first = self.index[number]
        beyond = first + self.context_len
        return self.floats[first:beyond], self.ints[first:beyond], self.floats[beyond, controller_slice(0)]


def usual_step(data: EncodedData, model: PolicyMLP, card: Card, *, workers: int) -> Callable[[], None]:
    """One step of training per call, with every metric of the batch read off by ``.item()``."""
    training, objective = card.training, PolicyObjective.of(card.training)
    optimizer = torch.optim.AdamW(model.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay)
    batches = _batches(SlicedFrames(data, context_len=model.sizes.context_len), training.batch_size, workers)
    totals = dict.fromkeys(objective.names, 0.0)

    def step() -> None:
        batch = next(batches)
        outcome = objective.score(model(batch[0], batch[1]), batch)
        optimizer.zero_grad()
        outcome.loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), training.gradient_clip or float("inf"))
        optimizer.step()
        for name, above, below in zip(objective.names, outcome.numerators, outcome.denominators, strict=True):
            totals[name] += above.item() / max(below.item(), 1.0)

    return step


def _batches(dataset: SlicedFrames, batch_size: int, workers: int) -> Iterator[Batch]:
    loader = DataLoader(
        dataset,
        batch_size=batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        prefetch_factor=1 if workers else None,  # a long queue would fill while other cases are timed
        persistent_workers=workers > 0,
    )
    while True:
        yield from loader

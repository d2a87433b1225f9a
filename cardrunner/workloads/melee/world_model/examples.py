"""Data of a world model; an example is K frames, the frame after them, and what a rollout or a predicted context needs.

Shapes:
    B  examples    K  context frames    S  frames before the context    H  frames after it
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from cardrunner.card.estimate import processes_of
from cardrunner.card.schema.card import Card
from cardrunner.contracts import Batch, Progress
from cardrunner.workloads.melee.encoding.encoded_data import open_data
from cardrunner.workloads.melee.encoding.game_data import GameData, GameExamples, game_files
from cardrunner.workloads.melee.encoding.layout import FLOATS_PER_PLAYER, INTS_PER_PLAYER, PLAYERS
from cardrunner.workloads.melee.encoding.windows import Where, WindowExamples, Windows
from cardrunner.workloads.melee.world_model.metric_names import ROLLOUT_HORIZONS
from cardrunner.workloads.melee.world_model.sections import ScheduledSampling
from cardrunner.workloads.melee.world_model.spec import data_of, model_of, sampling_of


class WorldBatch(NamedTuple):
    """A batch; the training loop passes plain tuples of the same tensors."""

    floats: Tensor
    """float32 (B, S + K + H, 56), oldest first."""
    ints: Tensor
    """int64 (B, S + K + H, 17)."""
    before: Tensor
    """int64 (B,), how many of the S frames are of the example's game: 0 to S."""
    after: Tensor
    """int64 (B,), how many of the H frames are: 1 to H."""
    share: Tensor
    """float32 (B,), all equal: the share of the contexts that end with the model's own predictions."""


def world_examples(*, before: int, after: int) -> WindowExamples:
    """Examples with S frames before and H frames after the context, if the game has them."""
    return WindowExamples(partial(_world_batch, before=before, after=after), before, after)


def _world_batch(windows: Windows, where: Where, *, before: int, after: int) -> WorldBatch:
    floats, ints = windows.around(where.rows, before=before, after=after)
    return WorldBatch(
        floats,
        ints,
        (where.rows - where.first).clamp(max=before),
        (where.beyond - where.rows - windows.context_len).clamp(max=after),
        torch.zeros_like(where.rows, dtype=torch.float32),
    )


_PLAYERS = len(PLAYERS)


def halves(floats: Tensor) -> Tensor:
    """(..., 56) to (..., 2, 28); a view of contiguous rows."""
    return floats.reshape(*floats.shape[:-1], _PLAYERS, FLOATS_PER_PLAYER)


def both(floats: Tensor, part: slice) -> Tensor:
    """Some columns of both players, player 0's first: (..., 56) to (..., 2 n), a copy."""
    return halves(floats)[..., part].flatten(-2)


def both_kinds(ints: Tensor, column: int) -> Tensor:
    """A categorical column of both players: (..., 17) to (..., 2), a view of contiguous rows."""
    own = ints[..., : _PLAYERS * INTS_PER_PLAYER]
    return own.reshape(*own.shape[:-1], _PLAYERS, INTS_PER_PLAYER)[..., column]


class WorldModelData(GameData):
    """Games whose every frame is learned; also the `BatchHook` of the training loop that sets how many examples see the
    model's own predictions."""

    def on_batch(self, step: int, batch: Batch) -> Batch:
        """The batch with the `share` of this step, which depends only on the step, so a resumed run has the same."""
        sampling = sampling_of(self.card)
        if sampling is None:
            return batch
        own = WorldBatch(*batch)
        return own._replace(share=torch.full_like(own.share, self._share(sampling, step)))

    def _share(self, sampling: ScheduledSampling, step: int) -> float:
        batches = self.card.training.batches(len(self.train), processes=processes_of(self.card)) or 0
        steps = -(-batches // self.card.training.gradient_accumulation) * sampling.anneal_epochs
        return sampling.rate * (min(1.0, (step - 1) / steps) if steps else 1.0)


def open_world_model_data(card: Card, files: Sequence[Path], *, scratch: Path, progress: Progress) -> WorldModelData:
    """Open the card's files, or make its games first.

    Raises:
        EnvironmentFailed: a file is absent or cannot be read or written.
        IntegrityError: a file is not an encoded file of the 56 + 17 layout, or files are encoded differently.
    """
    section, before = data_of(card), frames_before(card)
    kind = GameExamples(
        section,
        model_of(card).context_len,
        train=world_examples(before=before, after=1),
        validation=world_examples(before=before, after=max(ROLLOUT_HORIZONS)),
    )
    encoded = open_data(game_files(section, files, scratch=scratch, progress=progress))
    return WorldModelData(card, encoded, kind, scratch=scratch, progress=progress)


def frames_before(card: Card) -> int:
    """Frames before the context that an example needs to predict its last context frames."""
    sampling = sampling_of(card)
    return sampling.frames if sampling else 0

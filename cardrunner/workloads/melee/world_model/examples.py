"""Examples of a world model: K frames, the frame after them, and what a rollout or a predicted context needs around.

Shapes:
    B  examples    K  context frames    S  frames before the context    H  frames after it
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from cardrunner.workloads.melee.encoding.windows import Where, WindowExamples, Windows


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

"""From a prediction to the next frame: changes are added, everything else replaced, impossible values clipped.

Shapes:
    B  examples
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from cardrunner.workloads.melee.encoding.layout import PLAYERS, STAGE_COLUMN, int_index
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.game.plausible import float_limits
from cardrunner.workloads.melee.game.stage_table import stage_geometry
from cardrunner.workloads.melee.world_model.columns import (
    CATEGORIES,
    CONTINUOUS,
    VELOCITY,
)
from cardrunner.workloads.melee.world_model.halves import both_kinds, halves
from cardrunner.workloads.melee.world_model.prediction import Prediction

_ACTION: Final = int_index("action")
_AGE: Final = int_index("state_age")


class ColumnBounds(NamedTuple):
    """Lowest and highest value of each float column by stage: float32 (stages, 56) each."""

    low: Tensor
    high: Tensor


@lru_cache(maxsize=8)
def column_bounds(encoding: EncodingConfig, device: torch.device) -> ColumnBounds:
    """The limits of every stage id, on a device."""
    bounds = [float_limits(stage_geometry(stage), encoding) for stage in range(encoding.stage_vocab)]
    low, high = (torch.from_numpy(np.stack(side)).to(device) for side in zip(*bounds, strict=True))
    return ColumnBounds(low, high)


def advance(
    floats: Tensor, ints: Tensor, prediction: Prediction, controls: Tensor, encoding: EncodingConfig
) -> tuple[Tensor, Tensor]:
    """The next frame, from a prediction and the frame before it.

    Args:
        floats: float32 (B, 56), the frame before.
        ints: int64 (B, 17), likewise.
        controls: float32 (B, 26), both players' controllers in the new frame.
        encoding: of the frames.

    Returns:
        float32 (B, 56) and int64 (B, 17); a non-finite number keeps its previous value.
    """
    own = halves(floats)
    parts = (
        own[..., CONTINUOUS] + _split(prediction.continuous),
        own[..., VELOCITY] + _split(prediction.velocity),
        _split(prediction.dynamics),
        _split((prediction.binary > 0).float()),
        _split(controls),
    )
    made = torch.cat(parts, -1).flatten(1)
    made = torch.where(made.isfinite(), made, floats)
    limits, stage = column_bounds(encoding, floats.device), ints[:, STAGE_COLUMN]
    made = torch.minimum(torch.maximum(made, limits.low[stage]), limits.high[stage])
    return made, _next_ints(ints, prediction, encoding)


def _split(values: Tensor) -> Tensor:
    """(B, 2 n) to (B, 2, n)."""
    return values.float().view(len(values), len(PLAYERS), -1)


def _next_ints(ints: Tensor, prediction: Prediction, encoding: EncodingConfig) -> Tensor:
    """Categories by the largest logit; an action's age counts up while the action stays."""
    made = ints.clone()
    for category, logits in zip(CATEGORIES, prediction.categories, strict=True):
        both_kinds(made, category.column).copy_(logits.argmax(2))
    age = both_kinds(made, _AGE)
    stays = both_kinds(made, _ACTION) == both_kinds(ints, _ACTION)
    age.copy_(torch.where(stays, (age + 1).clamp(max=encoding.state_age_embed_vocab - 1), 0))
    return made

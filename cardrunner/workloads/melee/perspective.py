"""One policy, two slots: the same frames as the other player sees them. The stage stays where it is.

Works on anything whose last axis is the 56 floats or 17 ints of frames.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cardrunner.workloads.melee.layout import FLOATS_PER_PLAYER, INTS_PER_PLAYER


def swap_floats(floats: Tensor) -> Tensor:
    """(..., 56) with the players' halves exchanged; a copy."""
    return floats.roll(FLOATS_PER_PLAYER, dims=-1)


def swap_ints(ints: Tensor) -> Tensor:
    """(..., 17) with the players' halves exchanged and the stage kept; a copy."""
    first, second = ints[..., :INTS_PER_PLAYER], ints[..., INTS_PER_PLAYER : 2 * INTS_PER_PLAYER]
    return torch.cat([second, first, ints[..., 2 * INTS_PER_PLAYER :]], dim=-1)

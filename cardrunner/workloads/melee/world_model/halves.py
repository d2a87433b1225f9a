"""Columns of both players, as views: indexing by a list would send the list to the device in every step.

Works on floats (..., 56) and ints (..., 17); a part is a slice of `cardrunner.workloads.melee.world_model.columns`.
"""

from __future__ import annotations

from torch import Tensor

from cardrunner.workloads.melee.encoding.layout import FLOATS_PER_PLAYER, INTS_PER_PLAYER, PLAYERS

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

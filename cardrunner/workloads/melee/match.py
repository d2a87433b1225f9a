"""Two agents play each other in a world, from some real frames on, until somebody has no stock left.

Shapes: K seed frames, T played frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from cardrunner.workloads.melee.agents import Seat
from cardrunner.workloads.melee.encoding import EncodingConfig
from cardrunner.workloads.melee.game_units import PlayerState, decode
from cardrunner.workloads.melee.layout import PLAYERS, STAGE_COLUMN
from cardrunner.workloads.melee.plausible import Limits
from cardrunner.workloads.melee.stages import stage_geometry
from cardrunner.workloads.melee.world import Floats, Frame, Ints, World, possible_controls


@dataclass(frozen=True)
class PlayedFrame:
    """A frame that agents made, decoded, and what happened in it to player 0 and player 1."""

    players: tuple[PlayerState, PlayerState]
    ko: tuple[bool, bool]
    velocity_clamped: tuple[bool, bool]


@dataclass(frozen=True)
class Match:
    """A whole match.

    Attributes:
        stage: Slippi external id.
        seed: both players of each of the K frames it began with.
        played: the T frames after them.
        ended: no stock left, or as many frames as were asked for.
    """

    stage: int
    seed: tuple[tuple[PlayerState, PlayerState], ...]
    played: tuple[PlayedFrame, ...]
    ended: Literal["stocks", "frames"]


def play_match(
    world: World,
    seats: tuple[Seat, Seat],
    floats: Floats,
    ints: Ints,
    *,
    max_frames: int,
    encoding: EncodingConfig,
    advance: Callable[[int], object] | None = None,
) -> Match:
    """Play.

    Args:
        world: knows the rules; begins with the seed.
        seats: player 0's agent and player 1's.
        floats: float32 (K, 56), the seed, oldest first; K covers what the agents want to see.
        ints: int64 (K, 17), likewise.
        max_frames: the most frames to play.
        encoding: of the seed.
        advance: called with 1 after each frame.
    """
    stage = int(ints[-1, STAGE_COLUMN])
    context = _Context(floats, ints)
    limits = Limits(stage_geometry(stage), encoding)
    seed = tuple(_both(Frame(*rows), encoding) for rows in zip(floats, ints, strict=True))
    world.begin(floats, ints)
    played: list[PlayedFrame] = []
    before = seed[-1]
    while len(played) < max_frames and not _over(before):
        repaired = limits.repair(world.step(_controls(seats, context)), context.newest)
        context.push(repaired.frame)
        players = _both(repaired.frame, encoding)
        played.append(PlayedFrame(players, _lost_a_stock(before, players), repaired.velocity_clamped))
        before = players
        if advance is not None:
            advance(1)
    return Match(stage, seed, tuple(played), "stocks" if _over(before) else "frames")


class _Context:
    """The last K frames, oldest first, as tensors that share the arrays' memory."""

    def __init__(self, floats: Floats, ints: Ints) -> None:
        self._floats, self._ints = floats.copy(), ints.copy()
        self.floats, self.ints = torch.from_numpy(self._floats), torch.from_numpy(self._ints)

    @property
    def newest(self) -> Frame:
        """The last frame, copied."""
        return Frame(self._floats[-1].copy(), self._ints[-1].copy())

    def push(self, frame: Frame) -> None:
        """Add a frame and forget the oldest."""
        for rows, newest in ((self._floats, frame.floats), (self._ints, frame.ints)):
            rows[:-1] = rows[1:].copy()
            rows[-1] = newest


def _controls(seats: Sequence[Seat], context: _Context) -> Floats:
    """What both players press next: (2, 13), possible values."""
    answers = [seat.act(context.floats, context.ints).numpy() for seat in seats]
    return possible_controls(np.stack(answers))


def _both(frame: Frame, encoding: EncodingConfig) -> tuple[PlayerState, PlayerState]:
    first, second = (decode(frame, player, encoding) for player in PLAYERS)
    return first, second


def _lost_a_stock(before: Sequence[PlayerState], now: Sequence[PlayerState]) -> tuple[bool, bool]:
    first, second = (then.stocks > after.stocks for then, after in zip(before, now, strict=True))
    return first, second


def _over(players: Sequence[PlayerState]) -> bool:
    return any(player.stocks <= 0 for player in players)

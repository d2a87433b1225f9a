"""Two agents play each other in a world, starting from some real frames, until a player has no stock left.

Memory use does not grow with the length of a match: every frame goes to a recorder and is then dropped.

Shapes: K seed frames, T played frames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import numpy as np

from cardrunner.errors import IntegrityError
from cardrunner.workloads.melee.arena.agents import Agent
from cardrunner.workloads.melee.encoding.layout import CONTROLLER, PLAYERS, STAGE_COLUMN, float_index
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.game.plausible import FrameLimits
from cardrunner.workloads.melee.game.rules import Events, GameRules
from cardrunner.workloads.melee.game.stage_table import stage_geometry
from cardrunner.workloads.melee.game.world import Floats, Frame, Ints, World, all_finite, possible_controls

_TOGETHER: Final = 64
"""Frames after which progress is shown."""
PATIENCE: Final = 60
"""Consecutive frames without a finite prediction after which a world has exploded."""


class Recorder(Protocol):
    """Records the frames of a match as they come."""

    def begin(self, floats: Floats, ints: Ints) -> None: ...  # (K, 56), (K, 17): the seed, oldest first
    def add(self, frame: Frame, events: Events, logits: Floats | None) -> None: ...  # logits (2, actions) behind it


@dataclass(frozen=True)
class MatchEnd:
    """The outcome of a match.

    Attributes:
        seed_frames: K.
        played: T.
        ended: why: no stock left, or the requested number of frames.
        out_of_range: frames with values far outside the possible range.
        not_finite: those of them with values that were NaN or infinite.
    """

    seed_frames: int
    played: int
    ended: Literal["stocks", "frames"]
    out_of_range: int
    not_finite: int


def play_match(
    world: World,
    agents: tuple[Agent, Agent],
    floats: Floats,
    ints: Ints,
    *,
    max_frames: int,
    encoding: EncodingConfig,
    recorder: Recorder,
    rules: bool = False,
    advance: Callable[[int], object] | None = None,
) -> MatchEnd:
    """Play a match.

    Args:
        world: begins with the seed.
        agents: player 0's and player 1's.
        floats: float32 (K, 56), the seed, oldest first; K covers the context of the world and the agents.
        ints: int64 (K, 17), likewise.
        max_frames: the most frames to play.
        encoding: of the seed.
        recorder: takes the frames.
        rules: correct the world by `GameRules`.
        advance: called with a number of frames that have been played since the last call.

    Raises:
        IntegrityError: the world keeps predicting values that are not finite.
    """
    table = _Table(world, Frame(floats[-1].copy(), ints[-1].copy()), encoding, rules=rules)
    controls = np.zeros((len(PLAYERS), len(CONTROLLER)), np.float32)
    first, second = agents
    with np.errstate(all="ignore"):  # models may overflow; such values are repaired and counted
        for each in (world, first, second, recorder):
            each.begin(floats, ints)
        while table.played < max_frames and not table.over:
            controls[0], controls[1] = first.act(), second.act()
            events = table.play(controls)
            first.observe(table.newest)
            second.observe(table.newest)
            recorder.add(table.newest, events, world.action_logits)
            if advance is not None and table.played % _TOGETHER == 0:
                advance(_TOGETHER)
    if advance is not None:
        advance(table.played % _TOGETHER)
    ended: Literal["stocks", "frames"] = "stocks" if table.over else "frames"
    return MatchEnd(len(floats), table.played, ended, table.out_of_range, table.not_finite)


class _Table:
    """The world with the rules and limits around it."""

    def __init__(self, world: World, newest: Frame, encoding: EncodingConfig, *, rules: bool) -> None:
        stage = stage_geometry(int(newest.ints[STAGE_COLUMN]))
        self.world, self.newest = world, newest
        self.played = self.out_of_range = self.not_finite = self._lost = 0
        self._limits = FrameLimits(stage, encoding)
        self._rules = GameRules(stage, encoding) if rules else None
        self._stocks = (float_index("stocks", 0), float_index("stocks", 1))
        self._scale = encoding.stocks_scale
        self._left = self._stocks_left(newest)
        self.over = not all(self._left)

    def play(self, controls: Floats) -> Events:
        """Make the next frame from both players' controls (2, 13) and set `newest` to it."""
        if not all_finite(controls.reshape(-1)):
            controls = possible_controls(controls)
        frame, slowed, finite, inside = self._limits.repair(self.world.step(controls), self.newest)
        self._count(finite=finite, inside=inside)
        events = self._rules.apply(frame, self.newest) if self._rules else Events(velocity_clamped=slowed)
        left = self._stocks_left(frame)
        if left != self._left and not self._rules:
            events = events._replace(ko=(left[0] < self._left[0], left[1] < self._left[1]))
        self.newest, self._left, self.over = frame, left, not all(left)
        self.world.accept(frame)
        return events

    def _count(self, *, finite: bool, inside: bool) -> None:
        self.played += 1
        self.out_of_range += not inside
        self.not_finite += not finite
        self._lost = 0 if finite else self._lost + 1
        if self._lost == PATIENCE:
            raise IntegrityError(
                f"the world model has exploded: from frame {self.played - PATIENCE} of the match on its predictions are"
                " NaN or infinite; take another checkpoint of it"
            )

    def _stocks_left(self, frame: Frame) -> tuple[int, int]:
        floats, (first, second) = frame.floats, self._stocks
        return round(float(floats[first]) / self._scale), round(float(floats[second]) / self._scale)

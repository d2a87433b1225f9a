"""Play to be measured: consecutive frames of two players, from encoded rows or from a match file.

Shapes: n frames, two players.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cardrunner.workloads.melee.arena.match_columns import MatchColumns
from cardrunner.workloads.melee.encoding.layout import (
    ANALOG,
    BUTTONS,
    CONTROLLER,
    PLAYERS,
    STAGE_COLUMN,
    STICK_STEP,
    STICKS,
    TRIGGER_STEP,
    controller_slice,
    float_index,
    int_index,
)
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.game.names import ACTION_IDS
from cardrunner.workloads.melee.game.stage_table import stage_geometry
from cardrunner.workloads.melee.game.world import Floats, Ints

Mask = NDArray[np.bool_]

_SEED = "seed"
_STEPS = np.array([STICK_STEP] * len(STICKS) + [TRIGGER_STEP] + [1.0] * len(BUTTONS), np.float32)


def actions_between(first: str, last: str) -> NDArray[np.int64]:
    """The ids of a run of actions, both ends included."""
    return np.arange(ACTION_IDS[first], ACTION_IDS[last] + 1)


_OUT: Final = actions_between("DEAD_DOWN", "REBIRTH_WAIT")


@dataclass(frozen=True, eq=False)
class PlayStretch:
    """Consecutive frames.

    Attributes:
        action: int64 (n, 2), action ids.
        controls: float32 (n, 2, 13), in file units.
        x, y: float32 (n, 2), game units.
        stocks: float32 (n, 2).
        ground: left and right end of the main ground.
    """

    action: NDArray[np.int64]
    controls: Floats
    x: Floats
    y: Floats
    stocks: Floats
    ground: tuple[float, float]

    def __len__(self) -> int:
        return len(self.action)

    def first(self, frames: int) -> PlayStretch:
        """The first frames, at most `frames`."""
        names = ("action", "controls", "x", "y", "stocks")
        return replace(self, **{name: getattr(self, name)[:frames] for name in names})

    @cached_property
    def steps(self) -> NDArray[np.int64]:
        """Controls in steps of a controller's resolution, (n, 2, 13): indistinguishable inputs are equal."""
        steps: NDArray[np.int64] = np.rint(self.controls / _STEPS).astype(np.int64)
        return steps

    @property
    def held(self) -> Mask:
        """Which buttons are down: (n, 2, 8)."""
        return self.controls[:, :, len(ANALOG) :] > 0.5

    @property
    def in_play(self) -> Mask:
        """Players who are neither knocked out nor respawning: (n, 2)."""
        return ~np.isin(self.action, _OUT)

    @property
    def off_stage(self) -> Mask:
        """Players in play beyond an edge of the main ground: (n, 2)."""
        left, right = self.ground
        return ((self.x < left) | (self.x > right)) & self.in_play

    @property
    def distances(self) -> Floats:
        """Game units between the players in those frames in which both are in play."""
        apart: Floats = np.hypot(self.x[:, 0] - self.x[:, 1], self.y[:, 0] - self.y[:, 1])
        return apart[self.in_play.all(axis=1)]


Play = tuple[PlayStretch, ...]
"""Stretches that need not follow one another."""


def frames_of(play: Play) -> int:
    """Frames of all stretches together."""
    return sum(map(len, play))


def cut(play: Iterable[PlayStretch], frames: int) -> Play:
    """The first `frames` frames of the stretches, or all if there are fewer."""
    kept: list[PlayStretch] = []
    for stretch in play:
        if frames <= 0:
            break
        kept.append(stretch.first(frames))
        frames -= len(kept[-1])
    return tuple(kept)


def encoded_stretch(floats: Floats, ints: Ints, encoding: EncodingConfig) -> PlayStretch:
    """Rows of one game: float32 (n, 56) and int64 (n, 17), at least one."""
    half = stage_geometry(int(ints[0, STAGE_COLUMN])).half_width

    def both(name: str, scale: float) -> Floats:
        return np.stack([floats[:, float_index(name, player)] / np.float32(scale) for player in PLAYERS], axis=1)

    return PlayStretch(
        action=np.stack([ints[:, int_index("action", player)] for player in PLAYERS], axis=1),
        controls=np.stack([floats[:, controller_slice(player)] for player in PLAYERS], axis=1),
        x=both("x", encoding.xy_scale),
        y=both("y", encoding.xy_scale),
        stocks=np.rint(both("stocks", encoding.stocks_scale)),
        ground=(-half, half),
    )


def played_stretch(match: MatchColumns) -> PlayStretch:
    """The frames of a match file after its seed."""
    rows = match.source != (match.sources.index(_SEED) if _SEED in match.sources else -1)

    def both(name: str) -> NDArray[Any]:
        return np.stack([player[name][rows] for player in match.players], axis=1)

    left, right = match.stage_geometry["ground_x_range"]
    return PlayStretch(
        action=both("action").astype(np.int64),
        controls=np.stack([both(name) for name in CONTROLLER], axis=2),
        x=both("x"),
        y=both("y"),
        stocks=both("stocks"),
        ground=(float(left), float(right)),
    )


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Play over the same number of frames.

    Attributes:
        half, other_half: recorded play of the same games; they share no frame.
        are_people: False for made-up games, whose players are scripts.
    """

    half: Play
    other_half: Play
    agents: Play
    random: Play
    are_people: bool = True

    @classmethod
    def of(cls, half: Play, other_half: Play, agents: Play, random: Play, *, are_people: bool) -> Samples:
        """Samples as long as the shortest of the plays."""
        same = min(map(frames_of, (half, other_half, agents, random)))
        half, other_half, agents, random = (cut(play, same) for play in (half, other_half, agents, random))
        return cls(half=half, other_half=other_half, agents=agents, random=random, are_people=are_people)

    @property
    def frames(self) -> int:
        """Frames of each play."""
        return frames_of(self.half)

    @property
    def people(self) -> str:
        """The name of the recorded players."""
        return "people" if self.are_people else "scripted players"

    @property
    def columns(self) -> Mapping[str, Play]:
        """The plays by the names that readers see; recorded play first."""
        return {
            self.people: self.half,
            f"{self.people}, other half": self.other_half,
            "agents": self.agents,
            "random inputs": self.random,
        }


def halves(
    rows_of: Callable[[int], tuple[Floats, Ints]],
    games: Sequence[int],
    *,
    skip: int,
    window: int,
    most: int,
    encoding: EncodingConfig,
) -> tuple[Play, Play]:
    """Two samples of the same games that share no frame: windows of consecutive frames, taken in turn.

    Args:
        rows_of: floats (n, 56) and ints (n, 17) of a game.
        games: the numbers of the games.
        skip: unplayed frames at the beginning of each.
        window: frames of a window.
        most: frames of each sample at most; the windows are then spread evenly over the games.
        encoding: of the games.
    """
    starts = [(game, at) for game in games for at in range(skip, len(rows_of(game)[0]) - window + 1, window)]
    samples = []
    for side in PLAYERS:
        chosen = _spread(starts[side::2], -(-most // window))
        samples.append(cut((_window(*rows_of(game), slice(at, at + window), encoding) for game, at in chosen), most))
    return samples[0], samples[1]


def _window(floats: Floats, ints: Ints, rows: slice, encoding: EncodingConfig) -> PlayStretch:
    return encoded_stretch(floats[rows], ints[rows], encoding)


def _spread(items: Sequence[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """At most `most` of the items, evenly spread."""
    if len(items) <= most:
        return list(items)
    return [items[number * len(items) // most] for number in range(most)]

"""Generated games in the real layout, for a first run without external data.

Two scripted fighters play in the built-in simulator. Everything follows from the seed, in any process and on any
machine with the same Python.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np

from cardrunner.errors import UsageError
from cardrunner.workloads.melee.encoding.encoded_file import EncodedFile
from cardrunner.workloads.melee.encoding.layout import FLOATS, INTS, MINIMUM_ROWS, NEUTRAL_CONTROL
from cardrunner.workloads.melee.encoding.scheme import EncoderRules
from cardrunner.workloads.melee.encoding.writer import Game, save_encoded
from cardrunner.workloads.melee.game.stage_table import STAGES
from cardrunner.workloads.melee.simulator.scripted import ScriptedPlayer
from cardrunner.workloads.melee.simulator.simulator import Simulator

CAST: Final = (1, 2, 7, 9, 18, 22)
"""Characters (internal ids) that the generator chooses from: those with their own attributes."""


def generate(
    path: Path, *, games: int, frames_per_game: int, seed: int = 0, progress: Callable[[int], object] | None = None
) -> EncodedFile:
    """Write an encoded file of made-up games.

    Args:
        path: the file to write or replace.
        games: how many.
        frames_per_game: rows of each.
        seed: the same seed gives the same tensors.
        progress: called with 1 after each game.

    Raises:
        UsageError: no games, or too few frames for a game.
        EnvironmentFailed: the disk is full, read-only or failing.
    """
    if games < 1 or frames_per_game < MINIMUM_ROWS:
        raise UsageError(
            f"cannot make {games} games of {frames_per_game} frames; ask for at least one game of {MINIMUM_ROWS} frames"
        )

    def made() -> Iterator[Game]:
        for number in range(games):
            yield play_scripted(frames_per_game, seed=f"{seed}/{number}")
            if progress is not None:
                progress(1)

    return save_encoded(path, made(), rules=EncoderRules(source="generator"))


def play_scripted(frames: int, *, seed: str) -> Game:
    """One made-up game.

    Args:
        frames: its rows.
        seed: decides stage, characters, positions and every choice of the players.

    Returns:
        floats float32 (frames, 56) and ints int64 (frames, 17).
    """
    dice = random.Random(seed)
    characters = (dice.choice(CAST), dice.choice(CAST))
    simulator = Simulator(dice.choice(sorted(STAGES)), characters, seed=dice.getrandbits(32))
    players = (ScriptedPlayer(0, seed), ScriptedPlayer(1, seed))
    floats, ints = np.empty((frames, FLOATS), np.float32), np.empty((frames, INTS), np.int64)
    frame = simulator.frame((NEUTRAL_CONTROL, NEUTRAL_CONTROL))
    for row in range(frames):
        controls = np.array([player.controls(frame) for player in players], np.float32)
        frame = simulator.step(controls)
        floats[row], ints[row] = frame
    return floats, ints

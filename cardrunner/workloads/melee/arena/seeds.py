"""The seed of a match: the frames of a game that lead up to GO, from any source of games.

A card names a validation game by its number; a replay, ``games/a.slp``; a game of an encoded file, ``games.pt`` or
``games.pt:3``; or the simulator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from cardrunner.errors import EnvironmentFailed, IntegrityError
from cardrunner.workloads.melee.arena.agent_names import SIMULATOR, split_game
from cardrunner.workloads.melee.encoding.encoded_data import EncodedData
from cardrunner.workloads.melee.encoding.encoded_file import open_encoded
from cardrunner.workloads.melee.encoding.layout import STAGE_COLUMN
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.encoding.slp import ReplayRejected, encode_replay
from cardrunner.workloads.melee.game.stage_table import STAGES, stage_name
from cardrunner.workloads.melee.game.world import Floats, Ints
from cardrunner.workloads.melee.simulator.simulator import play_scripted
from cardrunner.workspace import Workspace

GO: Final = 123
"""Row of a game at which the players may move."""
UNKNOWN_STAGE: Final = 0
"""The stage id of files that do not record the stage."""
_FIELD: Final = "after_training.demo.seed_game"


@dataclass(frozen=True, eq=False)
class Opening:
    """The beginning of a match.

    Attributes:
        row: the row of the game where it begins.
        floats: float32 (K, 56), copies.
        ints: int64 (K, 17), likewise.
        following: float32 (n, 56), the frames that follow in the game.
    """

    row: int
    floats: Floats
    ints: Ints
    following: Floats


@dataclass(frozen=True, eq=False)
class SeedGame:
    """A game to begin with.

    Attributes:
        name: for people.
        number: its number among the run's games; None for another game.
        floats: float32 (n, 56), all of its frames.
        ints: int64 (n, 17), likewise.
        encoding: of the frames.
        made_up: it was played by scripts.
    """

    name: str
    floats: Floats
    ints: Ints
    encoding: EncodingConfig
    number: int | None = None
    made_up: bool = False

    def opening(self, frames: int) -> Opening:
        """The K frames that lead up to GO, or its first frames if the game is shorter.

        Raises:
            IntegrityError: the game has fewer than K frames, or values that no game shows.
        """
        if len(self.floats) < frames:
            raise IntegrityError(
                f"{_FIELD}: {self.name} has {len(self.floats)} frames, but a match begins with {frames}; choose another"
            )
        stop = min(max(GO, frames), len(self.floats))
        rows = slice(stop - frames, stop)
        self._check(self.floats[rows], self.ints[rows])
        return Opening(rows.start, self.floats[rows].copy(), self.ints[rows].copy(), self.floats[stop:])

    def _check(self, floats: Floats, ints: Ints) -> None:
        """Refuse values outside their range: models do not check categories, and NaN would persist."""
        if not np.isfinite(floats).all() or (ints < 0).any() or (ints >= np.array(self.encoding.vocabularies)).any():
            raise IntegrityError(f"{_FIELD}: {self.name} begins with values that no game shows; choose another")

    @property
    def stage_note(self) -> str | None:
        """A note on the stage, if its geometry is a stand-in.

        Raises:
            IntegrityError: the geometry of the stage is unknown.
        """
        stage = int(self.ints[0, STAGE_COLUMN])
        if stage in STAGES:
            return None
        if stage == UNKNOWN_STAGE:
            return f"{self.name} does not record its stage; Final Destination stands in for it"
        known = ", ".join(each.name for each in STAGES.values())
        raise IntegrityError(
            f"{_FIELD}: {self.name} is on {stage_name(stage)} (stage {stage}), whose geometry is not known; choose a"
            f" game on one of {known}"
        )


def find_seed(
    chosen: str | int | None, data: EncodedData, games: Sequence[int], *, workspace: Workspace, seed: int, frames: int
) -> SeedGame:
    """The game that a card chooses.

    Args:
        chosen: the card's value; None: the first validation game.
        data: the run's own data.
        games: the data's validation games.
        workspace: where files are looked for, with the folders of CARDRUNNER_DATA.
        seed: the random seed of a simulated game.
        frames: the least length of a simulated game.

    Raises:
        IntegrityError: there is no such game, or it cannot be read.
        EnvironmentFailed: the file does not exist.
    """
    if chosen == SIMULATOR:
        floats, ints = play_scripted(max(frames, GO), seed=f"demo/{seed}")
        return SeedGame("a game by the simulator", floats, ints, EncodingConfig(), made_up=True)
    if isinstance(chosen, str):
        return _of_file(chosen, data.encoding, workspace)
    number = chosen or 0
    if number >= len(games):
        text = f"{number} is not one of the {len(games)} validation games; write 0 to {len(games) - 1}"
        raise IntegrityError(f"{_FIELD}: {text}")
    return replace(_of_data(f"validation game {number}", data, games[number]), number=games[number])


def _of_file(text: str, encoding: EncodingConfig, workspace: Workspace) -> SeedGame:
    name, game = split_game(text)
    path = _found(name, workspace)
    if name.endswith(".slp"):
        try:
            encoded = encode_replay(path, encoding=encoding)
        except ReplayRejected as error:
            raise IntegrityError(f"{_FIELD}: {path}: {error}; choose another replay") from None
        return SeedGame(name, encoded.floats, encoded.ints, encoding)
    data = EncodedData((open_encoded(path),))
    if game >= data.games:
        raise IntegrityError(f"{_FIELD}: {path} has {data.games} games, counted from 0; there is no game {game}")
    return _of_data(f"game {game} of {name}", data, game)


def _of_data(name: str, data: EncodedData, game: int) -> SeedGame:
    floats, ints = (part.numpy() for part in data.game(game))
    return SeedGame(name, np.asarray(floats, np.float32), ints, data.encoding, made_up=data.made_up)


def _found(name: str, workspace: Workspace) -> Path:
    try:
        return workspace.find_data(name)
    except EnvironmentFailed:
        raise EnvironmentFailed(
            f"{_FIELD}: {name} was not found in {workspace.root} or a folder of CARDRUNNER_DATA; put it there"
        ) from None

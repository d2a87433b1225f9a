"""A world model as the world of a match: its prediction becomes the next frame.

The batched form is `cardrunner.workloads.melee.world_model.foresight`; a test compares the two.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from cardrunner.workloads.melee.encoding.layout import (
    BINARY,
    CONTINUOUS,
    FLOATS_PER_PLAYER,
    INTS_PER_PLAYER,
    PLAYER_INTS,
    PLAYERS,
    STAGE_COLUMN,
)
from cardrunner.workloads.melee.game.world import Floats, Frame, Ints
from cardrunner.workloads.melee.world_model.columns import CATEGORIES, DYNAMICS_FIELDS
from cardrunner.workloads.melee.world_model.prediction import WorldModel
from cardrunner.workloads.melee.world_model.world_steps import NUMBERS_PER_PLAYER, world_step

_BINARY: Final = slice(len(CONTINUOUS), len(CONTINUOUS) + len(BINARY))
_REPLACED: Final = (*DYNAMICS_FIELDS, *BINARY)
_ACTION, _AGE = PLAYER_INTS.index("action"), PLAYER_INTS.index("state_age")


class LearnedWorld:
    """A `World` that plays a trained world model.

    Args:
        model: trained; see `cardrunner.workloads.melee.world_model.model_file.load_world_model`.
    """

    def __init__(self, model: WorldModel) -> None:
        self._model = model
        self.context_len = model.context_len
        names = (*CONTINUOUS, *BINARY)
        self._kept = np.array(
            [name not in _REPLACED for name in names], np.float32
        )  # columns whose prediction is a change
        self._oldest = model.encoding.state_age_embed_vocab - 1
        self._outputs: Floats | None = None

    def begin(self, floats: Floats, ints: Ints) -> None:
        """Continue from K frames (K, 56), (K, 17), oldest first."""
        self._step = world_step(self._model)
        for row in range(len(floats)):
            self.accept(Frame(floats[row], ints[row]))

    def accept(self, frame: Frame) -> None:
        """Observe the newest frame as played."""
        self._before = frame
        self._step.observe(frame.floats, frame.ints)

    def step(self, controls: Floats) -> Frame:
        """The frame after the newest one.

        Args:
            controls: (2, 13), possible ones.
        """
        outputs = self._step.predict(controls.reshape(-1))
        if outputs is not self._outputs:  # a step reuses the same memory every time
            self._outputs, self._numbers, self._logits = outputs, *self._parts(outputs)
        return Frame(self._floats(controls), self._ints())

    @property
    def action_logits(self) -> Floats | None:
        """(2, actions), for the last frame from `step`; overwritten by the next."""
        return None if self._outputs is None else self._logits[0][1]

    def _parts(self, outputs: Floats) -> tuple[Floats, list[tuple[int, Floats]]]:
        """Views: the numbers (2, predicted), and for each category its column with its logits (2, V)."""
        end = len(PLAYERS) * NUMBERS_PER_PLAYER
        numbers: Floats = outputs[:end].reshape(len(PLAYERS), -1)
        logits = []
        for category in CATEGORIES:
            start, end = end, end + len(PLAYERS) * category.vocabulary(self._model.encoding)
            logits.append((PLAYER_INTS.index(category.field), outputs[start:end].reshape(len(PLAYERS), -1)))
        return numbers, logits

    def _floats(self, controls: Floats) -> Floats:
        numbers = self._numbers
        made = np.empty((len(PLAYERS), FLOATS_PER_PLAYER), np.float32)
        predicted = made[:, :NUMBERS_PER_PLAYER]
        before = self._before.floats.reshape(made.shape)
        np.multiply(before[:, :NUMBERS_PER_PLAYER], self._kept, out=predicted)
        predicted += numbers
        made[:, _BINARY] = numbers[:, _BINARY] > 0.0
        made[:, NUMBERS_PER_PLAYER:] = controls
        floats: Floats = made.reshape(-1)
        return floats

    def _ints(self) -> Ints:
        before = self._before.ints
        ints: Ints = before.copy()
        halves: Ints = ints[:STAGE_COLUMN].reshape(len(PLAYERS), INTS_PER_PLAYER)
        for column, logits in self._logits:
            halves[:, column] = logits.argmax(1)
        for first in (0, INTS_PER_PLAYER):
            stays = ints[first + _ACTION] == before[first + _ACTION]
            ints[first + _AGE] = min(before[first + _AGE] + 1, self._oldest) if stays else 0
        return ints

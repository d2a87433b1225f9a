"""The last frames as a model reads them: vectors behind one another in fixed memory, each made once.

Shapes:
    K  context frames    F  numbers per frame after embedding    E  of these, embedded ones
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from cardrunner.workloads.melee.encoding import EncodingConfig
from cardrunner.workloads.melee.frame_embedding import FrameEmbedding
from cardrunner.workloads.melee.layout import FLOATS, FLOATS_PER_PLAYER, INTS_PER_PLAYER, STAGE_COLUMN, PlayerIndex
from cardrunner.workloads.melee.world import Floats, Ints

_ROWS: Final = 512
"""Frames between two moves of the context back to the start of the memory."""
Places = NDArray[np.intp]


class FrameRing:
    """The context of one model.

    Args:
        model: whose embedding tables are read.
        context_len: K.
        player: who looks; player 1 sees the halves of a frame swapped and the stage kept.
        room: numbers that `window_and` may put behind the context.
    """

    def __init__(self, model: FrameEmbedding, context_len: int, *, player: PlayerIndex = 0, room: int = 0) -> None:
        self.context_len, self.width = context_len, model.encoding.frame_width
        tables = [table.detach().numpy() for table in model.tables()]
        self._values = np.concatenate([table.ravel() for table in tables])
        self._columns, self._steps, self._starts = _lookups(model.encoding, player)
        self._order = np.roll(np.arange(FLOATS), -FLOATS_PER_PLAYER * player)
        spare = -(-room // self.width)
        self._limit = max(_ROWS, 2 * context_len)
        self._rows = np.zeros((self._limit + spare, self.width), np.float32)
        self._flat = self._rows.reshape(-1)
        self._end = 0
        self._index: Places = np.empty(len(self._columns), np.intp)

    def push(self, floats: Floats, ints: Ints) -> None:
        """Add the newest frame, (56,) and (17,)."""
        if self._end == self._limit:
            self._rows[: self.context_len] = self._rows[self._end - self.context_len : self._end]
            self._end = self.context_len
        row = self._rows[self._end]
        floats.take(self._order, out=row[:FLOATS], mode="clip")  # clip: else numpy buffers the output
        index = self._index
        ints.take(self._columns, out=index, mode="clip")
        index *= self._steps
        index += self._starts
        self._values.take(index, out=row[FLOATS:], mode="clip")
        self._end += 1

    @property
    def newest(self) -> Floats:
        """The vector of the last frame (F,), a view."""
        vector: Floats = self._rows[self._end - 1]
        return vector

    def window(self) -> Floats:
        """The last K frames, oldest first: (K * F,), a view that the next `push` may change."""
        vectors: Floats = self._flat[(self._end - self.context_len) * self.width : self._end * self.width]
        return vectors

    def window_and(self, values: Floats) -> Floats:
        """The same with some values behind them, (K * F + values,); they stand where the next frame will."""
        end = self._end * self.width
        self._flat[end : end + len(values)] = values
        vectors: Floats = self._flat[end - self.context_len * self.width : end + len(values)]
        return vectors


def _lookups(encoding: EncodingConfig, player: PlayerIndex) -> tuple[Places, Places, Places]:
    """Where the embedded numbers of a frame come from, each (E,): number = values[ints[column] * step + start]."""
    sizes = [table.vocab * table.dim for table in encoding.embeddings]
    first = np.concatenate([[0], np.cumsum(sizes)])
    columns: list[int] = []
    steps: list[int] = []
    starts: list[int] = []
    for half in (player, 1 - player):
        for number, table in enumerate(encoding.player_embeddings):
            columns += [half * INTS_PER_PLAYER + number] * table.dim
            steps += [table.dim] * table.dim
            starts += range(first[number], first[number] + table.dim)
    stage, number = encoding.stage_embedding, len(encoding.player_embeddings)
    columns += [STAGE_COLUMN] * stage.dim
    steps += [stage.dim] * stage.dim
    starts += range(first[number], first[number] + stage.dim)
    as_places = (np.array(values, np.intp) for values in (columns, steps, starts))
    found_columns, found_steps, found_starts = as_places
    return found_columns, found_steps, found_starts

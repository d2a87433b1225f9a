"""The first layer of a model of K frames in play: each frame is multiplied once, when it comes.

The layer is linear, so ``hidden = bias + sum over k of W_k x_k``: a frame's share in the next K hidden vectors is known
as soon as it has come. Those shares are added to a ring of K sums that are still growing. A share itself is a product
for what changes in nearly every frame, and for each other category what its embedding comes to, which is remembered for
the values met last. So a step reads about a third of the weights that the plain product would read. Every sum is begun
anew and always taken in the same order: nothing drifts, however long a match is.

Shapes:
    K  context frames    H  hidden units    F  numbers per frame after embedding
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import nn

from cardrunner.workloads.melee.encoding import EncodingConfig
from cardrunner.workloads.melee.frame_embedding import FrameEmbedding
from cardrunner.workloads.melee.layout import (
    FLOATS,
    FLOATS_PER_PLAYER,
    INTS_PER_PLAYER,
    STAGE_COLUMN,
    PlayerIndex,
)
from cardrunner.workloads.melee.play.stacked_layers import in_columns
from cardrunner.workloads.melee.world import Floats, Ints

_AGE = "state_age"
"""The category that changes in nearly every frame."""
_REMEMBERED = 24
"""Values of a category whose shares stay in memory."""


class FirstLayer:
    """``layer(frame vectors)`` of the last K frames.

    Args:
        model: whose embedding tables are read.
        layer: takes K * F inputs, oldest frame first; inputs behind them are somebody else's.
        context_len: K.
        player: who looks; player 1 sees the halves of a frame swapped and the stage kept.
    """

    def __init__(self, model: FrameEmbedding, layer: nn.Linear, context_len: int, *, player: PlayerIndex = 0) -> None:
        width, weight = model.encoding.frame_width, layer.weight.detach().numpy()
        by_frame = weight[:, : context_len * width].reshape(len(weight), context_len, width)
        # (K * H, F): the newest frame's share in the next hidden vector, in the one after it, ...
        shares = by_frame[:, ::-1].transpose(1, 0, 2).reshape(-1, width)
        self._order = np.roll(np.arange(FLOATS), -FLOATS_PER_PLAYER * player)
        categories = _categories(model, shares, player)
        self._ages = [each for each in categories if each.name == _AGE]
        self._others = _Others([each for each in categories if each.name != _AGE])
        self._weights = in_columns(np.concatenate([shares[:, :FLOATS], *(age.weights for age in self._ages)], axis=1))
        self._values = np.empty(self._weights.shape[1], np.float32)
        self._share = np.empty(len(shares), np.float32)
        self._by_step = self._share.reshape(context_len, -1)
        self._bias: Floats = layer.bias.detach().numpy()
        self._sums = np.tile(self._bias, (context_len, 1))
        self._next = context_len - 1

    def see(self, floats: Floats, ints: Ints) -> None:
        """Add the newest frame, (56,) and (17,)."""
        sums, used = self._sums, self._next
        sums[used] = self._bias
        self._next = first = (used + 1) % len(sums)
        values, end = self._values, FLOATS
        floats.take(self._order, out=values[:FLOATS], mode="clip")  # clip: else numpy buffers the output
        for age in self._ages:
            start, end = end, end + age.table.shape[1]
            values[start:end] = age.table[ints[age.column]]
        share = np.dot(self._weights, values, out=self._share)
        share += self._others.share(ints)
        sums[first:] += self._by_step[: len(sums) - first]
        sums[:first] += self._by_step[len(sums) - first :]

    @property
    def hidden(self) -> Floats:
        """What the layer makes of the last K frames, (H,); a view that the next frame changes."""
        vector: Floats = self._sums[self._next]
        return vector


class _Category(NamedTuple):
    """A categorical column as a model sees it."""

    name: str
    column: int
    """Of the frame's ints."""
    table: Floats
    """(values, numbers)."""
    weights: Floats
    """(K * H, numbers)."""


class _Others:
    """The categories that seldom change."""

    def __init__(self, categories: Sequence[_Category]) -> None:
        self._columns = np.array([each.column for each in categories])
        self._memories = [_Memory(each) for each in categories]
        self._seen, self._sum = b"", np.empty(len(categories[0].weights), np.float32)

    def share(self, ints: Ints) -> Floats:
        """What all of them come to together, (K * H,); overwritten by the next call."""
        now = ints[self._columns]
        if now.tobytes() != self._seen:
            self._seen = now.tobytes()
            self._sum[:] = 0.0
            for memory, value in zip(self._memories, now.tolist(), strict=True):
                self._sum += memory.share(value)
        return self._sum


class _Memory:
    """The shares of the values of a category that were met last, in memory that is taken once."""

    def __init__(self, category: _Category) -> None:
        self._table, self._weights = category.table, category.weights
        self._shares = np.full((min(len(self._table), _REMEMBERED), len(self._weights)), np.nan, np.float32)
        self._values = [-1] * len(self._shares)
        self._rows: dict[int, int] = {}
        self._next = 0

    def share(self, value: int) -> Floats:
        """What a value comes to, (K * H,)."""
        row = self._rows.get(value)
        if row is None:
            row, self._next = self._next, (self._next + 1) % len(self._shares)
            self._rows.pop(self._values[row], None)
            self._values[row], self._rows[value] = value, row
            np.dot(self._weights, self._table[value], out=self._shares[row])
        share: Floats = self._shares[row]
        return share


def _categories(model: FrameEmbedding, shares: Floats, player: PlayerIndex) -> list[_Category]:
    """Every categorical column, in the order of the frame vector."""
    encoding: EncodingConfig = model.encoding
    tables = [table.detach().numpy() for table in model.tables()]
    halves = [(player, encoding.player_embeddings), (1 - player, encoding.player_embeddings)]
    places = [
        (table.name, half * INTS_PER_PLAYER + number, tables[number])
        for half, players_own in halves
        for number, table in enumerate(players_own)
    ]
    places.append((encoding.stage_embedding.name, STAGE_COLUMN, tables[-1]))
    return list(_placed(places, shares))


def _placed(places: Sequence[tuple[str, int, Floats]], shares: Floats) -> list[_Category]:
    found, start = [], FLOATS
    for name, column, table in places:
        end = start + table.shape[1]
        found.append(_Category(name, column, table, in_columns(shares[:, start:end])))
        start = end
    return found

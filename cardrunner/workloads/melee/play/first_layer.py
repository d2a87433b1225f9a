"""The first layer of a model of K frames in play: each frame is multiplied once, when it comes.

The layer is linear, so ``hidden = bias + sum over k of W_k x_k``: a frame's share in the next K hidden vectors is known
as soon as it has come. Those shares are added to a ring of K sums that are still growing. A share itself is a product
for what changes in nearly every frame, and for each other category what its embedding comes to, which is worked out
beforehand for all its values (in about six times the memory of the weights). So a step reads about a third of what the
plain product would read. Every sum is begun anew and always taken in the same order: nothing drifts, however long a
match is.

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
from cardrunner.workloads.melee.play.stacked_layers import as_read
from cardrunner.workloads.melee.world import Floats, Ints

_AGE = "state_age"
"""The category that changes in nearly every frame."""


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
        self._weights = as_read(np.concatenate([shares[:, :FLOATS], *(age.weights for age in self._ages)], axis=1))
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
        self._first = np.cumsum([0, *(len(each.table) for each in categories[:-1])])
        self._shares = np.concatenate([each.table @ each.weights.T for each in categories])
        self._picked = np.empty((len(categories), self._shares.shape[1]), np.float32)
        self._seen, self._sum = b"", np.empty(self._shares.shape[1], np.float32)

    def share(self, ints: Ints) -> Floats:
        """What all of them come to together, (K * H,); overwritten by the next call."""
        rows = ints[self._columns]
        rows += self._first
        now = rows.tobytes()
        if now != self._seen:
            self._seen = now
            self._shares.take(rows, axis=0, out=self._picked, mode="clip")
            np.add.reduce(self._picked, axis=0, out=self._sum)
        return self._sum


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
        found.append(_Category(name, column, table, as_read(shares[:, start:end])))
        start = end
    return found

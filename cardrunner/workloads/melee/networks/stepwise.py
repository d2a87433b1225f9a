"""Layers of a trained model as arrays, one frame at a time: a product of matrix and vector each, in memory of its own.

For inference only. In play a model is read from main memory once a frame, and long rows are read up to twice as fast as
short ones, so matrices are stored along their longer side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor, nn

from cardrunner.workloads.melee.encoding.layout import (
    FLOATS,
    FLOATS_PER_PLAYER,
    INTS_PER_PLAYER,
    STAGE_COLUMN,
    PlayerIndex,
)
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.game.world import Floats, Ints
from cardrunner.workloads.melee.networks.frame_embedding import FrameEmbedding


def as_read(matrix: Floats) -> Floats:
    """The same matrix in the memory order used in play."""
    rows, columns = matrix.shape
    return np.asfortranarray(matrix) if rows > columns else np.ascontiguousarray(matrix)


class Dense:
    """``weight x + bias`` of a vector; the result is overwritten by the next call."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight = as_read(weight.detach().numpy())
        self.bias: Floats = bias.detach().numpy()
        self._answer = np.empty(len(self.bias), np.float32)

    @classmethod
    def of(cls, layer: nn.Linear) -> Dense:
        """A linear layer of torch."""
        return cls(layer.weight, layer.bias)

    def __call__(self, x: Floats) -> Floats:
        """(inputs,) to (outputs,)."""
        answer = np.dot(self.weight, x, out=self._answer)
        answer += self.bias
        return answer


class Trunk:
    """ReLU, linear, ReLU behind the first layer of a trained `nn.Sequential` whose dropout is off."""

    def __init__(self, trunk: nn.Sequential) -> None:
        first, second = (layer for layer in trunk if isinstance(layer, nn.Linear))
        self._hidden = np.empty(first.out_features, np.float32)
        self._second = Dense.of(second)

    def __call__(self, hidden: Floats) -> Floats:
        """From the first layer's output (H,) to (trunk width,)."""
        answer = self._second(np.maximum(hidden, 0.0, out=self._hidden))
        np.maximum(answer, 0.0, out=answer)
        return answer


def first_linear(trunk: nn.Sequential) -> nn.Linear:
    """The first layer of a trunk."""
    return next(layer for layer in trunk if isinstance(layer, nn.Linear))


_AGE = "state_age"
"""The category that changes in nearly every frame."""


class FirstLayer:
    """``layer(frame vectors)`` of the last K frames.

    Args:
        model: the model with the embedding tables.
        layer: takes K * F inputs, oldest frame first; further inputs are ignored.
        context_len: K.
        player: the observing player; player 1 sees the halves of a frame swapped and the stage kept.
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

    def observe(self, floats: Floats, ints: Ints) -> None:
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
        """The layer's output for the last K frames, (H,); a view that the next frame overwrites."""
        vector: Floats = self._sums[self._next]
        return vector


class _Category(NamedTuple):
    """A categorical column as a model sees it."""

    name: str
    column: int
    """The column among the frame's ints."""
    table: Floats
    """The embedding table: (values, numbers)."""
    weights: Floats
    """The layer's weights for it: (K * H, numbers)."""


class _Others:
    """The categories that seldom change."""

    def __init__(self, categories: Sequence[_Category]) -> None:
        self._columns = np.array([each.column for each in categories])
        self._first = np.cumsum([0, *(len(each.table) for each in categories[:-1])])
        self._shares = np.concatenate([each.table @ each.weights.T for each in categories])
        self._picked = np.empty((len(categories), self._shares.shape[1]), np.float32)
        self._seen, self._sum = b"", np.empty(self._shares.shape[1], np.float32)

    def share(self, ints: Ints) -> Floats:
        """Their summed contribution, (K * H,); overwritten by the next call."""
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

"""Consecutive frames of games, streamed: what counts of changes are made from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import torch
from torch import Tensor

from cardrunner.workloads.melee.encoded_data import EncodedData

_CHUNK_ROWS: Final = 262_144
MOST_ROWS: Final = 20_000_000
"""4.5 GB of floats; counting more would change no digit that anybody reads."""


class Rows(NamedTuple):
    """Some consecutive rows."""

    floats: Tensor
    """(n, 56)."""
    ints: Tensor
    """(n, 17)."""
    inside: Tensor
    """bool (n - 1,), whether a row and its successor are of one game."""
    new: slice
    """Those that have not come before: the first row may be the last of the rows before."""


def pairs_of_games(data: EncodedData, games: range, *, most_rows: int = MOST_ROWS) -> Iterator[Rows]:
    """The rows of a run of games, as many at a time as memory does not notice; every pair of neighbours comes once.

    Where there are more rows than `most_rows` in all, those of evenly spaced games alone.
    """
    for first, last in _stretches(data, games, most_rows):
        for start in range(first, last, _CHUNK_ROWS):
            stop = min(start + _CHUNK_ROWS, last)
            before = max(start - 1, first)
            inside = _inside_a_game(data.offsets, before, stop)
            yield Rows(*data.rows(before, stop), inside, slice(start - before, None))


def _stretches(data: EncodedData, games: range, most_rows: int) -> Iterator[tuple[int, int]]:
    """Rows [first, last) of all games together, or of every n-th one."""
    first, last = int(data.offsets[games.start]), int(data.offsets[games.stop])
    every = -(-(last - first) // most_rows)
    if every <= 1:
        yield first, last
        return
    for game in games[::every]:
        yield int(data.offsets[game]), int(data.offsets[game + 1])


def _inside_a_game(offsets: Tensor, start: int, stop: int) -> Tensor:
    inside = torch.ones(max(stop - start - 1, 0), dtype=torch.bool)
    borders = offsets[(offsets > start) & (offsets < stop)] - start - 1
    inside[borders] = False
    return inside

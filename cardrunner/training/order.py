"""The order of an epoch as a pure function of (seed, epoch, position); no list of indices exists anywhere.

Positions are sent through a keyed permutation of [0, n): a Feistel network over a grid of a x b >= n cells, walking on
along its cycle from the few cells beyond n. (J. Black and P. Rogaway, "Ciphers with Arbitrary Finite Domains", 2002.)
Any position can be entered directly, so a resumed epoch costs nothing to find.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cardrunner.common.units import format_bytes
from cardrunner.errors import UsageError

Words = NDArray[np.uint64]
_ROUNDS = 6
_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1, _MIX_2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_HALF = np.uint64(32)
_BLOCK = 1 << 14  # positions permuted at once; enough to hide the cost per call


@dataclass(frozen=True)
class Shard:
    """Which part of every batch this process trains."""

    rank: int = 0
    world: int = 1


@dataclass(frozen=True)
class Permutation:
    """A keyed permutation of [0, size).

    Args:
        size: at most 2**62.
        keys: 64-bit round keys; see `Permutation.of`.
    """

    size: int
    keys: tuple[int, ...]

    @classmethod
    def of(cls, size: int, *, seed: int, epoch: int, part: int = 0) -> Permutation:
        """The order of one epoch of a run; `part` distinguishes several orders within an epoch."""
        keys, state = [], _mixed(_mixed(seed) ^ epoch)
        if part:
            state = _mixed(state ^ part)
        for _ in range(_ROUNDS):
            state = (state + _GOLDEN) & _MASK
            keys.append(_mixed(state))
        return cls(size, tuple(keys))

    def __call__(self, positions: Tensor) -> Tensor:
        """Map positions to example numbers.

        Args:
            positions: int64 (B,), each in [0, size).

        Returns:
            int64 (B,): example numbers in [0, size); different positions give different examples.
        """
        rows = max(1, math.isqrt(max(0, self.size - 1)) + 1)
        columns = max(1, -(-self.size // rows))
        cells = positions.numpy().astype(np.uint64)
        cells = self._encrypt(cells, rows, columns)
        while (outside := cells >= self.size).any():
            cells[outside] = self._encrypt(cells[outside], rows, columns)
        return torch.from_numpy(cells.astype(np.int64))

    def _encrypt(self, cells: Words, rows: int, columns: int) -> Words:
        row, column = np.divmod(cells, np.uint64(columns))
        for number, key in enumerate(self.keys):
            if number % 2:
                column = _shifted(column, row, key, columns)
            else:
                row = _shifted(row, column, key, rows)
        row *= np.uint64(columns)
        row += column
        return row


def batches_of(examples: int, batch_size: int, *, drop_last: bool) -> int:
    """Batches of an epoch; `batch_size` counts the examples of all processes together."""
    return examples // batch_size if drop_last else -(-examples // batch_size)


def epoch_batches(
    examples: int,
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    drop_last: bool,
    start: int = 0,
    shard: Shard | None = None,
) -> Iterator[Tensor]:
    """The example numbers of each batch of an epoch, shuffled.

    Args:
        examples: size of the data.
        batch_size: examples per batch and process.
        seed: of the run.
        epoch: which epoch's order.
        drop_last: leave out a last batch that is not full.
        start: position in the epoch to begin at: how many examples were trained before, by all processes.
        shard: this process's part; the parts of all processes are disjoint and cover the batch.

    Yields:
        int64 (B,)
    """
    part = shard or Shard()
    order = Permutation.of(examples, seed=seed, epoch=epoch)
    spans = _spans(examples, batch_size * part.world, drop_last=drop_last, start=start)
    mine = (_part(first, beyond, part) for first, beyond in spans)
    while group := tuple(islice(mine, max(1, _BLOCK // batch_size))):
        yield from torch.split(order(torch.cat(group)), [len(positions) for positions in group])


def batch_sizes(
    examples: int, batch_size: int, *, drop_last: bool, start: int = 0, shard: Shard | None = None
) -> Iterator[int]:
    """How many examples each batch of `epoch_batches` has."""
    part = shard or Shard()
    for first, beyond in _spans(examples, batch_size * part.world, drop_last=drop_last, start=start):
        low, high = part_of(first, beyond, part)
        yield high - low


def sequential_batches(examples: int, batch_size: int, *, start: int = 0) -> Iterator[Tensor]:
    """The examples from `start` on in file order, for validation; the last batch may be smaller."""
    for first, beyond in _spans(examples, batch_size, drop_last=False, start=start):
        yield torch.arange(first, beyond)


def epoch_is_over(examples: int, batch_size: int, *, drop_last: bool, position: int) -> bool:
    """Whether no batch is left at a position; `batch_size` counts the examples of all processes together."""
    return batches_of(examples - position, batch_size, drop_last=drop_last) <= 0


def check_epoch(examples: int, batch_size: int, *, drop_last: bool) -> None:
    """Make sure that an epoch has a batch.

    Raises:
        UsageError: it has no batch.
    """
    if batches_of(examples, batch_size, drop_last=drop_last) < 1:
        hint = (
            "lower it, or set training.drop_last: false"
            if drop_last and examples
            else "check data.source and data.split"
        )
        raise UsageError(f"training.batch_size: {batch_size} leaves no batch of {examples} training examples; {hint}")


def _spans(examples: int, size: int, *, drop_last: bool, start: int) -> Iterator[tuple[int, int]]:
    for first in range(start, examples, size):
        if not (drop_last and first + size > examples):
            yield first, min(first + size, examples)


def part_of(first: int, beyond: int, shard: Shard) -> tuple[int, int]:
    """A process's part of the positions [first, beyond): where it begins, and the position beyond it."""
    low, high = (first + (beyond - first) * rank // shard.world for rank in (shard.rank, shard.rank + 1))
    return low, high


def _part(first: int, beyond: int, shard: Shard) -> Tensor:
    return torch.arange(*part_of(first, beyond, shard))


def _shifted(half: Words, other: Words, key: int, modulus: int) -> Words:
    """Half + F(other, key) modulo the size of the half; `modulus` is below 2**32."""
    word = other + np.uint64(key)
    word *= np.uint64(_MIX_1)
    word ^= word >> _HALF
    word *= np.uint64(_MIX_2)
    word >>= _HALF
    word *= np.uint64(modulus)
    word >>= _HALF
    word += half
    smaller: Words = word - np.uint64(modulus)  # wraps to a huge number if nothing has to be subtracted
    np.minimum(word, smaller, out=word)
    return word


def _mixed(word: int) -> int:
    """The finalizer of SplitMix64 (Steele, Lea and Flood, 2014)."""
    word = (word + _GOLDEN) & _MASK
    word = ((word ^ (word >> 30)) * _MIX_1) & _MASK
    word = ((word ^ (word >> 27)) * _MIX_2) & _MASK
    return word ^ (word >> 31)


Shuffle = Literal["full", "block"]
FULL_MODE: Final = "memory-mapped, full shuffle"
RESERVE: Final = 2 << 30
"""Bytes of memory reserved for the process, the model and a checkpoint being written."""
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def choose_shuffle(wanted: Literal["auto", "full", "block"], *, data_bytes: int, memory_bytes: int) -> Shuffle:
    """Resolve `auto` for an amount of data on a machine with some memory."""
    if wanted != "auto":
        return wanted
    return "full" if data_bytes <= memory_bytes - RESERVE else "block"


def describe_shuffle(shuffle: Shuffle, *, block_bytes: int) -> str:
    """The description for plan and records."""
    if shuffle == "full":
        return FULL_MODE
    return f"read in sequence, shuffled in blocks of {format_bytes(block_bytes)}"


def machine_memory() -> int:
    """Bytes of memory that this process may use: the machine's, or less where its control group has a limit."""
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = (path.read_text().strip() for path in _LIMITS if path.is_file())
    return min([installed, *(int(limit) for limit in limits if limit.isdigit())])

"""One or several encoded files read as one sequence of games, without joining them in memory.

Shapes: N frames and G games over all files, R rows asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import Tensor

from cardrunner.errors import IntegrityError, UsageError
from cardrunner.workloads.melee.encoding.encoded_file import EncodedFile, open_encoded
from cardrunner.workloads.melee.encoding.scheme import EncoderRules, EncodingConfig


@dataclass(frozen=True)
class RowPlace:
    """The position of a row, for people."""

    path: Path
    game: int
    """Index over all files."""
    row: int
    """Row inside the game."""


@dataclass(frozen=True, eq=False)
class EncodedData:
    """Files as one sequence: games and rows are numbered across all files.

    Attributes:
        files: in the order given; all of one encoding.
        offsets: int64 (G + 1,) over all files, first 0, last N.
        first_rows: int64 (files + 1,), the first row of each file, last N.
    """

    files: tuple[EncodedFile, ...]
    offsets: Tensor = field(init=False)
    first_rows: Tensor = field(init=False)

    def __post_init__(self) -> None:
        if not self.files:
            raise UsageError("no data file was given; name at least one encoded file")
        _check_same_encoding(self.files)
        starts = torch.tensor([0, *(file.frames for file in self.files)]).cumsum(0)
        shifted = [file.offsets[:-1] + start for file, start in zip(self.files, starts, strict=False)]
        object.__setattr__(self, "first_rows", starts)
        object.__setattr__(self, "offsets", torch.cat([*shifted, starts[-1:]]))

    @property
    def games(self) -> int:
        """G."""
        return len(self.offsets) - 1

    @property
    def frames(self) -> int:
        """N."""
        return int(self.offsets[-1])

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def encoding(self) -> EncodingConfig:
        """The one encoding of all files."""
        return self.files[0].encoding

    @property
    def rules(self) -> tuple[EncoderRules | None, ...]:
        """The distinct encoder rules of the files; None for a file that records none."""
        return tuple(dict.fromkeys(file.rules for file in self.files))

    @property
    def made_up(self) -> bool:
        """Whether at least some games come from the generator, with scripted players."""
        return any(rules is not None and rules.source == "generator" for rules in self.rules)

    def game(self, index: int) -> tuple[Tensor, Tensor]:
        """Floats (n, 56) and ints (n, 17) of a game, views into the mapped file; IndexError outside 0..G-1."""
        if not 0 <= index < self.games:
            raise IndexError(f"game {index} of {self.games}")
        return self.rows(int(self.offsets[index]), int(self.offsets[index + 1]))

    def rows(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Rows ``start`` to ``stop`` as floats and ints: views inside one file, copies across files."""
        if not 0 <= start <= stop <= self.frames:
            raise IndexError(f"rows {start} to {stop} of {self.frames}")
        parts = list(self._parts(start, stop)) or [(self.files[0], 0, 0)]
        floats = [file.floats[first:last] for file, first, last in parts]
        ints = [file.ints[first:last] for file, first, last in parts]
        return (floats[0], ints[0]) if len(parts) == 1 else (torch.cat(floats), torch.cat(ints))

    def chunks(self, rows: int) -> Iterator[tuple[int, Tensor, Tensor]]:
        """All frames in order as (first row, floats, ints), at most ``rows`` at a time and never across files."""
        for file, base in zip(self.files, self.first_rows.tolist(), strict=False):
            for start in range(0, file.frames, rows):
                yield base + start, file.floats[start : start + rows], file.ints[start : start + rows]

    def gather(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Copies of single rows.

        Args:
            index: int64 (R,), rows 0..N-1 in any order.

        Returns:
            floats (R, 56) and ints (R, 17) in the order of ``index``.
        """
        if len(self.files) == 1:
            return self.files[0].floats.index_select(0, index), self.files[0].ints.index_select(0, index)
        owner = torch.searchsorted(self.first_rows, index, right=True) - 1
        floats = torch.empty(len(index), self.encoding.floats)
        ints = torch.empty(len(index), self.encoding.ints, dtype=torch.int64)
        for number in torch.unique(owner).tolist():
            mine = owner == number
            local = index[mine] - self.first_rows[number]
            floats[mine] = self.files[number].floats.index_select(0, local)
            ints[mine] = self.files[number].ints.index_select(0, local)
        return floats, ints

    def locate(self, row: int) -> RowPlace:
        """The position of a row of the whole."""
        game = int(torch.searchsorted(self.offsets, row, right=True)) - 1
        file = int(torch.searchsorted(self.first_rows, row, right=True)) - 1
        return RowPlace(self.files[file].path, game, row - int(self.offsets[game]))

    def _parts(self, start: int, stop: int) -> Iterator[tuple[EncodedFile, int, int]]:
        for file, base in zip(self.files, self.first_rows.tolist(), strict=False):
            first, last = max(start - base, 0), min(stop - base, file.frames)
            if first < last:
                yield file, first, last


def open_data(paths: Sequence[Path]) -> EncodedData:
    """Open files as one.

    Raises:
        UsageError: no path.
        EnvironmentFailed, IntegrityError: as ``open_encoded``; IntegrityError also when encodings differ.
    """
    return EncodedData(tuple(open_encoded(path) for path in paths))


def _check_same_encoding(files: Sequence[EncodedFile]) -> None:
    first = files[0]
    for other in files[1:]:
        differences = first.encoding.differences(other.encoding)
        if differences:
            raise IntegrityError(
                f"{first.path} and {other.path} are encoded differently ({'; '.join(differences)}); encode them alike"
            )


_CHUNK_ROWS: Final = 262_144
MOST_ROWS: Final = 20_000_000
"""4.5 GB of floats; counting more would not change the displayed digits."""


class Rows(NamedTuple):
    """Some consecutive rows."""

    floats: Tensor
    """(n, 56)."""
    ints: Tensor
    """(n, 17)."""
    inside: Tensor
    """bool (n - 1,), whether a row and the next are of one game."""
    new: slice
    """The rows that are new: the first one may repeat the last of the previous rows."""


def pairs_of_games(data: EncodedData, games: range, *, most_rows: int = MOST_ROWS) -> Iterator[Rows]:
    """The rows of a range of games in small portions; every pair of consecutive rows comes once.

    If there are more than `most_rows` rows in all, only those of evenly spaced games.
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

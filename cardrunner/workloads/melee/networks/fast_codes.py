"""The distinct embeddings that a batch reads: equal values at equal places share one row of work.

Int columns with small vocabularies are read together: jumps 3 and character 9 are one code of the pair. A batch of
1,024 examples holds 20,480 actions but some 150 different ones, and as many triples of l_cancel, hurtbox and ground but
some 40 different ones; `cardrunner.workloads.melee.networks.fast_layer` does its work per distinct code.

Shapes:
    B  examples               K  context frames               C  int columns of a frame
    w  numbers of a group     U  distinct codes of a group    P  places of a group: (player, frame) pairs, or frames
    S  places of all groups   R  rows: the sum of U * P
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

import torch
from torch import Tensor

from cardrunner.workloads.melee.encoding.layout import PLAYERS
from cardrunner.workloads.melee.encoding.scheme import Embedding, EncodingConfig

_LARGEST_GROUP: Final = 512
"""Codes of a group at most: products of the vocabularies that are read together."""


@dataclass(frozen=True, eq=False)
class CodeGroup:
    """Int columns that are read together.

    Attributes:
        tables: their embedding tables, as positions in `EncodingConfig.embeddings`.
        vocabularies: of each table.
        columns: int columns of each player; once for the stage.
        inputs: int64 (w * P,), the inputs of the first layer that they feed, ordered number, player, frame.
        places: P.
    """

    tables: tuple[int, ...]
    vocabularies: tuple[int, ...]
    columns: tuple[tuple[int, ...], ...]
    inputs: Tensor
    places: int

    @cached_property
    def size(self) -> int:
        """Possible codes."""
        return math.prod(self.vocabularies)

    def codes(self, columns: Tensor) -> Tensor:
        """Columns (C, B, K) to the codes of this group (players, B, K), first column most significant."""
        return torch.stack([self._code([columns[number] for number in own]) for own in self.columns])

    def values(self, codes: Tensor) -> tuple[Tensor, ...]:
        """Codes (U,) to the value of each column, int64 (U,)."""
        values = []
        for vocabulary in reversed(self.vocabularies):
            values.append(codes % vocabulary)
            codes = codes // vocabulary
        return tuple(reversed(values))

    def _code(self, columns: Sequence[Tensor]) -> Tensor:
        code = columns[0]
        for vocabulary, column in zip(self.vocabularies[1:], columns[1:], strict=True):
            code = code * vocabulary + column
        return code


@dataclass(frozen=True, eq=False)
class BatchCodes:
    """The codes of a batch.

    Attributes:
        rows: int32 (B, S), the row of every place; a group's rows follow those of the group before, and within a group
            row = code number * P + place.
        values: per group and column, int64 (U,): what each distinct code stands for.
        lengths: rows of each group, U * P.
    """

    rows: Tensor
    values: tuple[tuple[Tensor, ...], ...]
    lengths: tuple[int, ...]


@lru_cache(maxsize=8)
def groups_of(encoding: EncodingConfig, context_len: int) -> tuple[CodeGroup, ...]:
    """How the int columns of an encoding are grouped for contexts of K frames."""
    tables = encoding.player_embeddings
    groups = [_group(encoding, context_len, members, players=len(PLAYERS)) for members in _together(tables)]
    return (*groups, _group(encoding, context_len, (len(tables),), players=1))


def encode_batch(groups: Sequence[CodeGroup], ints: Tensor) -> BatchCodes:
    """Number the codes of a batch.

    Args:
        groups: of `groups_of`.
        ints: int64 (B, K, C).

    Raises:
        IndexError: a value is outside its vocabulary.
    """
    columns = ints.permute(2, 0, 1).to(torch.int32, memory_format=torch.contiguous_format)
    _check(groups, columns)
    parts: list[Tensor] = []
    values: list[tuple[Tensor, ...]] = []
    lengths: list[int] = []
    for group in groups:
        codes = group.codes(columns)
        used = torch.bincount(codes.flatten(), minlength=group.size) > 0
        distinct = used.nonzero().squeeze(1)
        numbers = ((used.cumsum(0) - 1) * group.places + sum(lengths)).int()
        places = torch.arange(group.places, dtype=torch.int32).view(len(codes), 1, -1)
        rows = numbers.index_select(0, codes.flatten()).view_as(codes) + places
        parts.append(rows.transpose(0, 1).flatten(1))
        values.append(group.values(distinct))
        lengths.append(len(distinct) * group.places)
    return BatchCodes(torch.cat(parts, 1), tuple(values), tuple(lengths))


def _check(groups: Sequence[CodeGroup], columns: Tensor) -> None:
    lowest, highest = (bound.tolist() for bound in torch.aminmax(columns.flatten(1), dim=1))
    for group in groups:
        for own in group.columns:
            for number, vocabulary in zip(own, group.vocabularies, strict=True):
                if lowest[number] < 0 or highest[number] >= vocabulary:
                    raise IndexError(
                        f"int column {number} holds {lowest[number]} to {highest[number]}, outside its vocabulary of"
                        f" {vocabulary}"
                    )


def _together(tables: Sequence[Embedding]) -> Iterator[tuple[int, ...]]:
    """Neighbours whose vocabularies multiply to a small number."""
    members: list[int] = []
    size = 1
    for number, table in enumerate(tables):
        if members and size * table.vocab > _LARGEST_GROUP:
            yield tuple(members)
            members, size = [], 1
        members.append(number)
        size *= table.vocab
    yield tuple(members)


def _group(encoding: EncodingConfig, context_len: int, members: tuple[int, ...], *, players: int) -> CodeGroup:
    tables = [encoding.embeddings[number] for number in members]
    player_width = sum(table.dim for table in encoding.player_embeddings)
    first = encoding.floats + sum(table.dim for table in encoding.embeddings[: members[0]])
    if players == 1:
        first += player_width  # the stage comes after both players
    within = torch.arange(sum(table.dim for table in tables)).view(-1, 1, 1) + first
    player = torch.arange(players).view(1, -1, 1) * player_width
    frame = torch.arange(context_len) * encoding.frame_width
    shift = 0 if players > 1 else encoding.int_per_player
    columns = tuple(
        tuple(number + shift + own * encoding.int_per_player for number in members) for own in range(players)
    )
    return CodeGroup(
        tables=members,
        vocabularies=tuple(table.vocab for table in tables),
        columns=columns,
        inputs=(within + player + frame).flatten(),
        places=players * context_len,
    )

"""Embedding lookups for a GPU, whose gradient is a matrix product.

A batch of 1,024 contexts looks up 20,480 actions, but among three hurtbox states: the usual gradient sums the rows of
each code one after the other, and where thousands of rows share a code most of the GPU waits for that. The product of
the codes' indicator matrix with the gradients is the same sum, taken in parallel and in the same order every time.

Shapes:
    V  vocabulary    D  numbers of an embedding    *  any shape of codes
"""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from cardrunner.workloads.melee.encoding.layout import INTS_PER_PLAYER
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig

_PARTS: Final = 64
"""The number of parts of the sum over all codes; one product would keep only a few multiprocessors busy."""


def look_up(table: Tensor, codes: Tensor) -> Tensor:
    """``embedding(codes, table)`` with a gradient for the table.

    Args:
        table: float (V, D).
        codes: int (*), each in 0..V-1, which is not checked.

    Returns:
        (*, D).
    """
    found: Tensor = _LookUp.apply(table, codes)  # type: ignore[no-untyped-call]
    return found


class _LookUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, codes: Tensor) -> Tensor:
        ctx.save_for_backward(codes)
        ctx.vocabulary = len(table)
        return table.index_select(0, codes.flatten()).view(*codes.shape, table.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (codes,) = ctx.saved_tensors
        parts = math.gcd(codes.numel(), _PARTS)
        every = torch.arange(ctx.vocabulary, device=codes.device)
        indicators = (every[:, None] == codes.reshape(parts, 1, codes.numel() // parts)).to(
            gradient.dtype
        )  # (parts, V, codes of a part)
        return torch.bmm(indicators, gradient.reshape(parts, codes.numel() // parts, gradient.shape[-1])).sum(0), None


class FrameEmbedding(nn.Module):
    """A module with one table per categorical column.

    Args:
        encoding: vocabularies and embedding widths.

    Attributes:
        fast: a training step may take `look_up` on a GPU; False keeps to the plain modules, which define the
            model.
    """

    fast = True

    def __init__(self, encoding: EncodingConfig | None = None) -> None:
        super().__init__()
        self.encoding = encoding or EncodingConfig()
        self.action_embed = nn.Embedding(self.encoding.action_vocab, self.encoding.action_embed_dim)
        self.jumps_embed = nn.Embedding(self.encoding.jumps_vocab, self.encoding.jumps_embed_dim)
        self.character_embed = nn.Embedding(self.encoding.character_vocab, self.encoding.character_embed_dim)
        self.stage_embed = nn.Embedding(self.encoding.stage_vocab, self.encoding.stage_embed_dim)
        self.l_cancel_embed = nn.Embedding(self.encoding.l_cancel_vocab, self.encoding.l_cancel_embed_dim)
        self.hurtbox_embed = nn.Embedding(self.encoding.hurtbox_vocab, self.encoding.hurtbox_embed_dim)
        self.ground_embed = nn.Embedding(self.encoding.ground_vocab, self.encoding.ground_embed_dim)
        self.last_attack_embed = nn.Embedding(self.encoding.last_attack_vocab, self.encoding.last_attack_embed_dim)
        self.state_age_embed = nn.Embedding(self.encoding.state_age_embed_vocab, self.encoding.state_age_embed_dim)

    def tables(self) -> list[Tensor]:
        """Embedding weights in the order of `EncodingConfig.embeddings`."""
        return [self.get_parameter(f"{table.name}_embed.weight") for table in self.encoding.embeddings]

    def frame_vectors(self, floats: Tensor, ints: Tensor) -> Tensor:
        """Each frame as numbers.

        Args:
            floats: float (B, K, 56).
            ints: int (B, K, 17), inside their vocabularies.

        Returns:
            float (B, K, F): floats, player 0's embeddings, player 1's, the stage's.
        """
        tables = [self.get_submodule(f"{table.name}_embed") for table in self.encoding.player_embeddings]
        of_players = torch.cat(  # (B, K, 2, 68)
            [self._embedded(table, ints[..., column:-1:INTS_PER_PLAYER]) for column, table in enumerate(tables)], dim=-1
        ).flatten(-2)
        return torch.cat([floats, of_players, self._embedded(self.stage_embed, ints[..., -1])], dim=-1)

    def _embedded(self, table: nn.Module, codes: Tensor) -> Tensor:
        if self.fast and self.training and codes.is_cuda:
            return look_up(table.weight, codes)  # type: ignore[arg-type]
        embedded: Tensor = table(codes)
        return embedded

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
from torch import Tensor
from torch.autograd.function import once_differentiable

_PARTS: Final = 64
"""The sum over all codes is taken in so many parts; one product would keep only a few multiprocessors busy."""


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

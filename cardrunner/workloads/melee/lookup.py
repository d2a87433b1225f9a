"""Embedding lookups for a GPU, whose gradient is a matrix product.

A batch of 1,024 contexts looks up 20,480 actions, but among three hurtbox states: the usual gradient sums the rows of
each code one after the other, and where thousands of rows share a code most of the GPU waits for that. The product of
the codes' indicator matrix with the gradients is the same sum, taken in parallel and in the same order every time.

Shapes:
    V  vocabulary    D  numbers of an embedding    *  any shape of codes
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


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
        every = torch.arange(ctx.vocabulary, device=codes.device)
        indicators = (every[:, None] == codes.flatten()).to(gradient.dtype)  # (V, number of codes)
        return indicators @ gradient.reshape(codes.numel(), gradient.shape[-1]), None

"""The first layer of a policy over embedded frames, computed per distinct code instead of per example.

The plain way writes 1,960 numbers per example and multiplies them all. But the layer is linear in each embedding, so

    hidden = floats W_f + bias + sum over places s of T[code_s] W_s

where T[code] W_s is the same for every example with that code at that place. It is computed once per distinct code and
then summed per example. Backwards the output gradients are first summed per (code, place), G, and then W_s gets
T^T G_s and T gets the sum of G_s W_s^T. These are the gradients of the plain layer, the sums only taken in another
order; the inputs get no gradient.

Shapes: those of `cardrunner.workloads.melee.networks.fast_codes`, and
    I  inputs of the layer, K * numbers per frame    H  hidden units    h  hidden units of a block, at most 256
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from cardrunner.workloads.melee.networks.fast_codes import BatchCodes, CodeGroup

_BLOCK: Final = 256
"""Hidden units at a time, so that what is looked up and summed stays in the processor's cache."""


def embedded_linear(
    floats: Tensor,
    codes: BatchCodes,
    groups: Sequence[CodeGroup],
    weight: Tensor,
    bias: Tensor,
    tables: Sequence[Tensor],
) -> Tensor:
    """``linear(frame vectors)`` with gradients for weight, bias and tables.

    Args:
        floats: float (B, K, numbers), the numbers of a frame that are not embedded; they come first in a frame vector.
        codes: the embedded ones.
        groups: of the codes.
        weight: (H, I).
        bias: (H,).
        tables: embedding weights in the order of `EncodingConfig.embeddings`.

    Returns:
        (B, H).
    """
    hidden: Tensor = _EmbeddedLinear.apply(floats, codes, groups, weight, bias, *tables)  # type: ignore[no-untyped-call]
    return hidden


class _EmbeddedLinear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        floats: Tensor,
        codes: BatchCodes,
        groups: Sequence[CodeGroup],
        weight: Tensor,
        bias: Tensor,
        *tables: Tensor,
    ) -> Tensor:
        vectors = [_vectors(group, tables, values) for group, values in zip(groups, codes.values, strict=True)]
        parts = [_parts(block, groups) for block in torch.split(weight, _BLOCK)]
        ctx.save_for_backward(floats, *tables, *vectors)
        ctx.codes, ctx.groups, ctx.parts, ctx.shape = codes, groups, parts, weight.shape
        sums = [functional.embedding_bag(codes.rows, _projected(codes, block, vectors), mode="sum") for block in parts]
        return torch.cat(sums, 1).addmm_(floats.flatten(1), _of_floats(weight, floats).flatten(1).t()).add_(bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        floats, *rest = ctx.saved_tensors
        groups: Sequence[CodeGroup] = ctx.groups
        codes: BatchCodes = ctx.codes
        tables, vectors = rest[: -len(groups)], rest[-len(groups) :]
        of_weight = gradient.new_empty(ctx.shape)
        of_vectors = [torch.zeros_like(own) for own in vectors]
        examples, offsets = _by_row(codes)
        blocks = zip(torch.split(gradient, _BLOCK, 1), ctx.parts, torch.split(of_weight, _BLOCK), strict=True)
        for of_hidden, parts, of_block in blocks:
            summed = functional.embedding_bag(examples, of_hidden, offsets, mode="sum")
            sums = [rows.view(len(own), -1) for rows, own in zip(_by_group(summed, codes), vectors, strict=True)]
            for of_own, own, part in zip(of_vectors, sums, parts, strict=True):
                of_own.addmm_(own, part.t())
            of_block.copy_(_of_inputs(sums, vectors, groups, width=of_hidden.shape[1], inputs=of_weight.shape[1]).t())
        of_floats = _of_floats(of_weight, floats)
        of_floats.copy_((gradient.t() @ floats.flatten(1)).view_as(of_floats))
        return None, None, None, of_weight, gradient.sum(0), *_spread(of_vectors, groups, codes, tables)


def _vectors(group: CodeGroup, tables: Sequence[Tensor], values: Sequence[Tensor]) -> Tensor:
    """The embedding of each distinct code: (U, w)."""
    return torch.cat([tables[table].index_select(0, own) for table, own in zip(group.tables, values, strict=True)], 1)


def _parts(block: Tensor, groups: Sequence[CodeGroup]) -> list[Tensor]:
    """The weights of each group, (w, P * h), from a block (h, I)."""
    by_input = block.t().contiguous()
    return [by_input.index_select(0, group.inputs).view(-1, group.places * len(block)) for group in groups]


def _projected(codes: BatchCodes, parts: Sequence[Tensor], vectors: Sequence[Tensor]) -> Tensor:
    """Every distinct code at every place through the weights of a block: (R, h)."""
    width = parts[0].shape[1] * len(vectors[0]) // codes.lengths[0]  # h
    projected = parts[0].new_empty(sum(codes.lengths), width)
    for rows, part, own in zip(_by_group(projected, codes), parts, vectors, strict=True):
        torch.mm(own, part, out=rows.view(len(own), -1))
    return projected


def _by_group(rows: Tensor, codes: BatchCodes) -> Sequence[Tensor]:
    """Views of the rows (R, h) of each group."""
    return torch.split(rows, list(codes.lengths))


def _by_row(codes: BatchCodes) -> tuple[Tensor, Tensor]:
    """The examples (B * S,) that read each row, in row order, and the start of each of the R rows in that list."""
    flat = codes.rows.flatten()
    order = torch.sort(flat, stable=True).indices
    readers = torch.bincount(flat, minlength=sum(codes.lengths))
    return order.div_(codes.rows.shape[1], rounding_mode="floor"), readers.cumsum(0).sub_(readers)


def _of_inputs(
    sums: Sequence[Tensor], vectors: Sequence[Tensor], groups: Sequence[CodeGroup], *, inputs: int, width: int
) -> Tensor:
    """The gradient of a block of weights by input, (I, h); 0 for the floats."""
    by_input = sums[0].new_zeros(inputs, width)
    for group, own, vector in zip(groups, sums, vectors, strict=True):
        by_input[group.inputs] = (vector.t() @ own).view(-1, width)
    return by_input


def _of_floats(weight: Tensor, floats: Tensor) -> Tensor:
    """A view of the weights of the numbers that are not embedded: (H, K, numbers)."""
    _, frames, numbers = floats.shape
    return weight.view(len(weight), frames, -1)[..., :numbers]


def _spread(
    of_vectors: Sequence[Tensor], groups: Sequence[CodeGroup], codes: BatchCodes, tables: Sequence[Tensor]
) -> list[Tensor]:
    """Gradients of distinct codes back to the tables they were read from."""
    of_tables = [torch.zeros_like(table) for table in tables]
    for group, values, of_own in zip(groups, codes.values, of_vectors, strict=True):
        widths = [tables[table].shape[1] for table in group.tables]
        for table, own, part in zip(group.tables, values, torch.split(of_own, widths, 1), strict=True):
            of_tables[table].index_add_(0, own, part)
    return of_tables

"""A faster trunk for training a model of stacked frames on a CPU; computes the same function as the plain model.

Two things differ from the plain model, neither in expectation: float sums are taken in another order, and dropout draws
its random numbers four to a word. The plain model is the definition; tests compare this one with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.networks.fast_codes import encode_batch, groups_of
from cardrunner.workloads.melee.networks.fast_layer import embedded_linear

_SMALLEST_BATCH: Final = 384
"""The least number of examples; with fewer, too few codes repeat to save time."""
_Layers = tuple[nn.Linear, nn.ReLU, nn.Dropout, nn.Linear, nn.ReLU, nn.Dropout]
_LANES: Final = 1 << 16
_LOWEST: Final = -(1 << 15)


def can_go_fast(trunk: nn.Sequential, floats: Tensor) -> bool:
    """Whether the fast trunk may stand in for the plain one: a training step on a CPU in the weights' own precision."""
    weight = next(trunk.parameters())
    return (
        torch.is_grad_enabled()
        and not floats.requires_grad
        and floats.device.type == weight.device.type == "cpu"
        and floats.dtype == weight.dtype
        and floats.dtype in (torch.float32, torch.float64)
        and len(floats) >= _SMALLEST_BATCH
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


def fast_trunk(
    trunk: nn.Sequential,
    tables: Sequence[Tensor],
    encoding: EncodingConfig,
    floats: Tensor,
    ints: Tensor,
    *,
    more: Tensor | None = None,
) -> Tensor:
    """``trunk(frame vectors)`` of a model in training.

    Args:
        trunk: linear, ReLU, dropout, linear, ReLU, dropout.
        tables: embedding weights in the order of `EncodingConfig.embeddings`.
        encoding: of the model.
        floats: float (B, K, 56).
        ints: int64 (B, K, 17).
        more: float (B, numbers), inputs of the first layer behind the frames.

    Returns:
        (B, trunk width).

    Raises:
        IndexError: an int outside its vocabulary.
    """
    first, _, first_dropout, second, _, second_dropout = cast("_Layers", tuple(trunk))
    groups = groups_of(encoding, floats.shape[1])
    codes = encode_batch(groups, ints)
    inputs = first.in_features - (more.shape[1] if more is not None else 0)
    hidden = embedded_linear(floats, codes, groups, first.weight[:, :inputs], first.bias, tables)
    if more is not None:
        hidden = hidden + functional.linear(more, first.weight[:, inputs:])
    hidden = relu_dropout(hidden, first_dropout.p)
    return relu_dropout(second(hidden), second_dropout.p)


def relu_dropout(inputs: Tensor, probability: float) -> Tensor:
    """ReLU, then dropout with the probability rounded to a multiple of 1 / 65536.

    Kept values are divided by the rounded chance of being kept, so the expectation is exactly that of the ReLU. The
    random numbers come from torch's global generator, 16 bits for each value.
    """
    dropped = round(probability * _LANES)
    if dropped == 0:
        return functional.relu(inputs)
    outputs: Tensor = _ReluDropout.apply(inputs, dropped)  # type: ignore[no-untyped-call]
    return outputs


class _ReluDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, dropped: int) -> Tensor:
        ctx.scale = _LANES / (_LANES - dropped)
        kept = torch.empty_like(inputs)
        torch.ge(_random_lanes(inputs), _LOWEST + dropped, out=kept)  # 1.0 or 0.0: bool would cost conversions
        outputs = functional.relu(inputs).mul_(kept).mul_(ctx.scale)
        ctx.save_for_backward(outputs)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (outputs,) = ctx.saved_tensors
        passed: Tensor = torch.ops.aten.threshold_backward(gradient, outputs, 0)  # where the output is above 0
        return passed.mul_(ctx.scale), None


def _random_lanes(like: Tensor) -> Tensor:
    """Uniform int16 of the shape of a tensor."""
    words = torch.empty(-(-like.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    return words.view(torch.int16)[: like.numel()].view(like.shape)

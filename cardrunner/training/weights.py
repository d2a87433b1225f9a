"""Digests of weights, and differences between models."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

Weights = Mapping[str, Tensor]


def weights_sha256(weights: Weights) -> str:
    """The sha256 that is equal for two models exactly if they are bit-identical.

    Over every tensor of the state dict (parameters and persistent buffers), sorted by name in code-point order, of::

        name NUL dtype NUL shape NUL data

    with the name in UTF-8; the dtype as torch prints it without ``torch.``, such as ``float32``; the shape as decimal
    numbers joined by commas, such as ``512,1960``, empty for a scalar; the data as the values in row-major order,
    little-endian, without padding.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        shape = ",".join(str(size) for size in tensor.shape)
        digest.update(f"{name}\0{str(tensor.dtype).removeprefix('torch.')}\0{shape}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def difference(found: Weights, expected: Weights) -> str | None:
    """The first tensor of a file whose name, dtype or shape differs from the model's; None if all match."""
    missing, foreign = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if missing or foreign:
        return f"it has no {missing[0]}" if missing else f"it has {foreign[0]}, which the model lacks"
    for name, tensor in expected.items():
        if found[name].shape != tensor.shape or found[name].dtype != tensor.dtype:
            return f"{name} is {_kind(found[name])} where the model has {_kind(tensor)}"
    return None


def all_finite(model: nn.Module) -> bool:
    """Whether every parameter is finite; waits for the device."""
    return all(bool(parameter.isfinite().all()) for parameter in model.parameters())


def parameter_count(model: nn.Module) -> int:
    """The number of trainable parameters."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def on_cpu(tree: Any) -> Any:
    """The same nest of dicts and lists with every tensor on the CPU."""
    if isinstance(tree, Tensor):
        return tree.detach().cpu()
    if isinstance(tree, Mapping):
        return {key: on_cpu(value) for key, value in tree.items()}
    return [on_cpu(value) for value in tree] if isinstance(tree, list | tuple) else tree


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"

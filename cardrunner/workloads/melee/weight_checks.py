"""Whether the weights of a file are those of a model, before they are taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from torch import Tensor

from cardrunner.errors import IntegrityError

_NAMED: Final = 6


def check_weights(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], kind: str) -> None:
    """Hold the weights of a checkpoint against a model's.

    Args:
        weights: what the file holds.
        expected: the state of a model of the same sizes.
        kind: what the model is, with its article, such as ``a PolicyMLP``.

    Raises:
        IntegrityError: missing, foreign, misshapen or non-finite weights.
    """
    missing, foreign = sorted(expected.keys() - weights.keys()), sorted(weights.keys() - expected.keys())
    if missing or foreign:
        parts = [f"lacks {_list(missing)}"] if missing else []
        parts += [f"has {_list(foreign)}, which {kind} has not"] if foreign else []
        raise IntegrityError(f"it {' and '.join(parts)}; these are not the weights of {kind}")
    for name, tensor in weights.items():
        if tensor.shape != expected[name].shape:
            raise IntegrityError(f"{name} has shape {tuple(tensor.shape)}, expected {tuple(expected[name].shape)}")
        if not bool(tensor.isfinite().all()):
            raise IntegrityError(f"{name} holds NaN or infinite values; this checkpoint cannot play")


def _list(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"

"""Checkpoint files from any source: read as data, never as code."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from cardrunner.common.text import listed
from cardrunner.errors import EnvironmentFailed, IntegrityError


def load_file(path: Path) -> Any:
    """What a checkpoint file holds, its tensors on the CPU.

    Raises:
        EnvironmentFailed: the file is absent or cannot be read.
        IntegrityError: it is not a torch file, or holds more than tensors, numbers and text.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise EnvironmentFailed(
            f"{path}: there is no such checkpoint; train one, or give the path of another"
        ) from None
    except OSError as error:
        raise EnvironmentFailed(f"{path}: cannot be read: {error.strerror or error}") from None
    except pickle.UnpicklingError:
        text = "holds objects other than tensors, numbers and text, which are never loaded; get an intact copy"
        raise IntegrityError(f"{path}: {text}") from None
    except Exception as error:  # damaged archives raise nearly anything
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise IntegrityError(f"{path}: not a readable checkpoint ({reason}); get an intact copy") from None


def weights_of(checkpoint: object, kind: str) -> Mapping[str, Tensor]:
    """The weights in a checkpoint from `load_file`.

    Args:
        kind: what is expected, with its article, such as ``a policy checkpoint``.

    Raises:
        IntegrityError: it has no weights.
    """
    weights = checkpoint.get("model_state_dict") if isinstance(checkpoint, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise IntegrityError(f"it has no model_state_dict; this is not {kind}")
    return weights


_NAMED: Final = 6


def check_weights(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], kind: str) -> None:
    """Check that the weights of a checkpoint fit a model.

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
        parts += [f"has {_list(foreign)}, which {kind} lacks"] if foreign else []
        raise IntegrityError(f"it {listed(parts)}; these are not the weights of {kind}")
    for name, tensor in weights.items():
        if tensor.shape != expected[name].shape:
            raise IntegrityError(f"{name} has shape {tuple(tensor.shape)}, expected {tuple(expected[name].shape)}")
        if not bool(tensor.isfinite().all()):
            raise IntegrityError(f"{name} holds NaN or infinite values; this checkpoint cannot play")


def _list(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"

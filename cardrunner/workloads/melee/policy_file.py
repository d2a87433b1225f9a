"""Policy checkpoints of the existing format: ``epoch, model_state_dict, optimizer_state_dict, val_loss, config``."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cardrunner.errors import EnvironmentFailed, IntegrityError
from cardrunner.workloads.melee.encoding import EncodingConfig
from cardrunner.workloads.melee.policy_mlp import MODEL_TYPE, PolicyMLP, policy_from_weights


def load_policy(path: Path, encoding: EncodingConfig | None = None) -> PolicyMLP:
    """The policy of a checkpoint, on the CPU and ready to play; its sizes come from its weights.

    Args:
        encoding: how the frames it sees are encoded; a checkpoint of this format does not say.

    Raises:
        EnvironmentFailed: the file is absent or cannot be read.
        IntegrityError: it is not a policy checkpoint, or its weights do not fit this encoding.
    """
    checkpoint = _load(path)
    try:
        return policy_from_weights(_weights(checkpoint), encoding)
    except IntegrityError as error:
        raise IntegrityError(f"{path}: {error}") from None


def _load(path: Path) -> Any:
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


def _weights(checkpoint: Any) -> Mapping[str, Tensor]:
    """The weights inside a loaded checkpoint, if its `config` does not say that they are another model's."""
    weights = checkpoint.get("model_state_dict") if isinstance(checkpoint, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise IntegrityError("it has no model_state_dict; this is not a policy checkpoint")
    config = checkpoint.get("config")
    kind = config.get("model_type", MODEL_TYPE) if isinstance(config, dict) else MODEL_TYPE
    if kind != MODEL_TYPE:
        raise IntegrityError(f"it is a checkpoint of the model type {kind!r}, not of {MODEL_TYPE}; give a policy's")
    return weights

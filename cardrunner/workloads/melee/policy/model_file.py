"""Policy checkpoints of the existing format: ``epoch, model_state_dict, optimizer_state_dict, val_loss, config``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cardrunner.errors import IntegrityError
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.networks.checkpoint_file import load_file, weights_of
from cardrunner.workloads.melee.policy.mlp import MODEL_TYPE, PolicyMLP, policy_from_weights


def load_policy(path: Path, encoding: EncodingConfig | None = None) -> PolicyMLP:
    """The policy of a checkpoint, on the CPU and ready to play; its sizes come from its weights.

    Args:
        encoding: how the frames it sees are encoded; a checkpoint of this format does not say.

    Raises:
        EnvironmentFailed: the file is absent or cannot be read.
        IntegrityError: it is not a policy checkpoint, or its weights do not fit this encoding.
    """
    return read_policy(load_file(path), path, encoding)


def read_policy(checkpoint: Any, path: Path, encoding: EncodingConfig | None = None) -> PolicyMLP:
    """The policy of a loaded checkpoint; raises as `load_policy`.

    Args:
        checkpoint: what `load_file` gave.
        path: for messages.
    """
    try:
        weights = weights_of(checkpoint, "a policy checkpoint")
        config = checkpoint.get("config")
        kind = config.get("model_type", MODEL_TYPE) if isinstance(config, dict) else MODEL_TYPE
        if kind != MODEL_TYPE:
            raise IntegrityError(f"it is a checkpoint of the model type {kind!r}, not of {MODEL_TYPE}; give a policy's")
        return policy_from_weights(weights, encoding)
    except IntegrityError as error:
        raise IntegrityError(f"{path}: {error}") from None

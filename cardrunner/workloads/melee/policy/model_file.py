"""Policy checkpoints of the existing format: ``epoch, model_state_dict, optimizer_state_dict, val_loss, config``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from cardrunner.errors import IntegrityError
from cardrunner.workloads.melee.encoding.layout import PlayerIndex
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.networks.checkpoint_file import check_weights, load_file, weights_of
from cardrunner.workloads.melee.policy.models import USUAL, PolicyArchitecture, model_of_type
from cardrunner.workloads.melee.policy.sections import PolicyModel

if TYPE_CHECKING:
    from cardrunner.workloads.melee.arena.agents import Agent


@dataclass(frozen=True)
class TrainedPolicy:
    """The policy of a checkpoint, on the CPU and ready to play."""

    architecture: PolicyArchitecture
    model: PolicyModel
    """The section that describes it, with its sizes."""
    module: nn.Module

    def agent(self, player: PlayerIndex) -> Agent:
        """An agent that plays it as one of the players."""
        return self.architecture.agent(self.module, self.model, player)


def load_policy(path: Path, encoding: EncodingConfig | None = None) -> TrainedPolicy:
    """The policy of a checkpoint.

    Args:
        encoding: the encoding of its frames, which a checkpoint of this format does not record.

    Raises:
        EnvironmentFailed: the file is absent or cannot be read.
        IntegrityError: it is not a policy checkpoint, or its weights do not fit this encoding.
        PluginFailed: its architecture is a plug-in that cannot be used.
    """
    return read_policy(load_file(path), path, encoding)


def read_policy(checkpoint: Any, path: Path, encoding: EncodingConfig | None = None) -> TrainedPolicy:
    """The policy of a loaded checkpoint; raises as `load_policy`.

    Args:
        checkpoint: the result of `load_file`.
        path: the file, for messages.
    """
    encoding = encoding or EncodingConfig()
    try:
        weights = weights_of(checkpoint, "a policy checkpoint")
        stored = checkpoint.get("config")
        config = stored if isinstance(stored, dict) else {}
        architecture = _architecture(config.get("model_type", USUAL.model_type))
        model = architecture.section(weights, config, encoding)
        module = architecture.build(model, encoding)
        check_weights(weights, module.state_dict(), f"a {architecture.name}")
    except IntegrityError as error:
        raise IntegrityError(f"{path}: {error}") from None
    module.load_state_dict(dict(weights))
    return TrainedPolicy(architecture, model, module.eval())


def _architecture(model_type: object) -> PolicyArchitecture:
    found = model_of_type(model_type) if isinstance(model_type, str) else None
    if found is None:
        raise IntegrityError(
            f"it is a checkpoint of the model type {model_type!r}, not of {USUAL.model_type}; give a policy's"
        )
    return found

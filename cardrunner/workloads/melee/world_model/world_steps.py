"""World models one frame at a time: observe the newest frame, then predict the next one from both controllers.

Outputs are in the order in which a frame is assembled; see `output_order`.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from cardrunner.errors import UsageError
from cardrunner.workloads.melee.encoding.layout import PLAYERS
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.game.world import Floats, Ints
from cardrunner.workloads.melee.networks.stepwise import Dense, FirstLayer, Trunk, as_read, first_linear
from cardrunner.workloads.melee.world_model.columns import (
    BINARY_COLUMNS,
    CONTINUOUS_COLUMNS,
    CONTROLS,
    DYNAMICS_COLUMNS,
    VELOCITY_COLUMNS,
    outputs,
)
from cardrunner.workloads.melee.world_model.frame_stack_mlp import FrameStackMLP
from cardrunner.workloads.melee.world_model.mamba2 import Mamba2
from cardrunner.workloads.melee.world_model.mamba_step import MambaStep
from cardrunner.workloads.melee.world_model.prediction import WorldModel

_NUMBERS = (*CONTINUOUS_COLUMNS, *BINARY_COLUMNS, *VELOCITY_COLUMNS, *DYNAMICS_COLUMNS)  # in the order of the heads
NUMBERS_PER_PLAYER = len(_NUMBERS) // len(PLAYERS)
"""A player's predicted columns: the first ones of its half of the frame."""


class WorldStep(Protocol):
    """A world model that steps frame by frame."""

    def observe(self, floats: Floats, ints: Ints) -> None: ...  # (56,), (17,): the newest frame
    def predict(self, controls: Floats) -> Floats: ...  # (26,) -> outputs in the order of `output_order`


class FrameStackStep:
    """A FrameStackMLP: every frame goes through the first layer once, when it is observed."""

    def __init__(self, model: FrameStackMLP) -> None:
        first = first_linear(model.trunk)
        self._first = FirstLayer(model, first, model.context_len)
        self._controls = as_read(first.weight[:, -CONTROLS:].detach().numpy())
        self._trunk, self._heads = Trunk(model.trunk), _heads(model)

    def observe(self, floats: Floats, ints: Ints) -> None:
        """Add the newest frame."""
        self._first.observe(floats, ints)

    def predict(self, controls: Floats) -> Floats:
        """Predict the next frame."""
        return self._heads(self._trunk(self._first.hidden + np.dot(self._controls, controls)))


class Mamba2Step:
    """A Mamba2: one step of every block for each frame."""

    def __init__(self, model: Mamba2) -> None:
        self._first = FirstLayer(model, model.frame_proj, 1)
        self._blocks, self._heads = MambaStep(model, model.context_len), _heads(model)
        self._controls = Dense.of(model.ctrl_proj)
        self._state: Floats = np.zeros(model.sizes.d_model, np.float32)

    def observe(self, floats: Floats, ints: Ints) -> None:
        """Pass the newest frame through the blocks."""
        self._first.observe(floats, ints)
        self._state = self._blocks(self._first.hidden)

    def predict(self, controls: Floats) -> Floats:
        """Predict the next frame."""
        trunk = self._controls(controls)
        trunk += self._state
        return self._heads(trunk)


def world_step(model: WorldModel) -> WorldStep:
    """The step of a world model, before its first frame.

    Raises:
        UsageError: this architecture has no step.
    """
    if isinstance(model, Mamba2):
        return Mamba2Step(model)
    if isinstance(model, FrameStackMLP):
        return FrameStackStep(model)
    raise UsageError(f"a {model.architecture} cannot play yet; give a FrameStackMLP or a Mamba2")


def output_order(encoding: EncodingConfig) -> NDArray[np.intp]:
    """The position of each output of `WorldModel.heads` in a step's outputs.

    First the numbers, player 0's as they stand in the frame (12 continuous, 3 binary), then player 1's; behind them the
    categories as they are, each with player 0's logits and then player 1's.
    """
    rest = np.arange(len(_NUMBERS), outputs(encoding))
    return np.concatenate([np.argsort(_NUMBERS), rest])


def _heads(model: WorldModel) -> Dense:
    weight, bias = model.heads()
    order = torch.from_numpy(output_order(model.encoding))
    return Dense(weight[order], bias[order])

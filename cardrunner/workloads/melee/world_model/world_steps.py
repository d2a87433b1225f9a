"""World models one frame at a time: observe the newest frame, then predict the next one from both controllers.

Outputs are in the order in which a frame is assembled; see `output_order`.

A Mamba-2 runs in constant time and memory. Each block keeps its last J frames' contributions to the state, not the
state itself: the output is a weighted sum over J frames, y = sum over j of exp(a_{j+1} + ... + a_t) dt_j (C_t . B_j)
x_j, which is exactly the recurrence of `cardrunner.workloads.melee.world_model.mamba2` starting J frames ago. That is
less work than a state of P x N numbers per head, and older frames leave no trace: trained on K frames, the model never
plays on a state unlike those of its training. For the first J frames, the outputs equal those of the model.

Shapes: those of `cardrunner.workloads.melee.world_model.mamba2`; J frames remembered; P numbers per head.
"""

from __future__ import annotations

import math
from typing import Final, Protocol

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
from cardrunner.workloads.melee.world_model.mamba2 import EPSILON, Mamba2, Mamba2Layer
from cardrunner.workloads.melee.world_model.prediction import WorldModel
from cardrunner.workloads.melee.world_model.sections import CONV_WIDTH

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


_ZERO: Final = np.float32(0.0)
_NEVER: Final = -np.inf
"""Log weight of a frame that has not come yet."""


class MambaStep:
    """The blocks of a model between its first projection and its heads.

    Args:
        model: trained.
        remembered: J.
    """

    def __init__(self, model: Mamba2, remembered: int) -> None:
        self._blocks = [BlockStep(layer, remembered) for layer in model.layers if isinstance(layer, Mamba2Layer)]
        self._weight: Floats = model.final_norm.weight.detach().numpy()

    def __call__(self, projected: Floats) -> Floats:
        """From the output of `frame_proj` for the newest frame, (D,), to the output of `final_norm`, (D,)."""
        x = projected.copy()
        for block in self._blocks:
            block.add_to(x)
        x *= _scale(x)
        x *= self._weight
        return x


class BlockStep:
    """``x + mamba(norm(x))`` of the newest frame.

    Memory is reused at every step, and weights are fused beforehand: those of both norms are multiplied into the
    matrices after them, the convolution's bias is the kernel of a row of ones, and the skip D is a
    part of the newest frame's weight.
    """

    def __init__(self, layer: Mamba2Layer, remembered: int) -> None:
        block = layer.mamba
        inner, self._state, heads = block.d_inner, block.d_state, len(block.A_log)
        convolved = inner + 2 * self._state
        into = (block.in_proj.weight * layer.norm.weight).detach().numpy()
        # dt, then x, B and C, then the gate: what goes through silu lies together
        parts = (into[inner + convolved :], into[inner : inner + convolved], into[:inner])
        self._into = as_read(np.concatenate(parts))
        self._out = as_read((block.out_proj.weight * block.norm.weight).detach().numpy())
        kernel = block.conv1d.weight[:, 0].detach().numpy().T
        bias = block.conv_bias.detach().numpy()[None]
        # the kernel laid over the ring, for every place of the newest frame
        self._kernels = [np.concatenate([np.roll(kernel, place + 1, axis=0), bias]) for place in range(CONV_WIDTH)]
        self._dt_bias: Floats = block.dt_bias.detach().numpy()
        self._rate: Floats = block.rate.detach().numpy()
        self._skip: Floats = block.D.detach().numpy()
        self._lately = np.zeros((CONV_WIDTH + 1, convolved), np.float32)
        self._lately[-1] = 1.0
        self._x = np.zeros((heads, remembered, block.headdim), np.float32)
        self._b = np.zeros((remembered, self._state), np.float32)
        self._weights = np.full((heads, remembered), _NEVER, np.float32)
        self._frames = 0
        self._make_room(heads, convolved, inner)

    def _make_room(self, heads: int, convolved: int, inner: int) -> None:
        mixed = np.empty(heads + convolved + inner, np.float32)
        self._mixed, self._dt, self._gated = mixed, mixed[:heads], mixed[heads:]
        self._convolved = self._gated[:convolved]
        self._new, self._gate = self._gated[:inner].reshape(heads, -1), self._gated[convolved:]
        self._new_b, self._new_c = (
            self._gated[inner : inner + self._state],
            self._gated[convolved - self._state : convolved],
        )
        self._products, self._below = np.empty_like(self._lately), np.empty_like(self._gated)
        self._scaled, self._answer = (np.empty(len(self._out), np.float32) for _ in range(2))

    def add_to(self, x: Floats) -> None:
        """Add the block's output to the residual stream (D,) in place."""
        np.multiply(x, _scale(x), out=self._scaled)
        np.dot(self._into, self._scaled, out=self._mixed)
        self._convolve()
        y = self._scan()
        y *= self._gate
        answer = np.dot(self._out, y, out=self._answer)
        answer *= _scale(y)
        x += answer

    def _convolve(self) -> None:
        """x, B and C convolved, and silu of these and of the gate, in place."""
        place = self._frames % CONV_WIDTH
        self._lately[place] = self._convolved
        np.multiply(self._lately, self._kernels[place], out=self._products)
        np.add.reduce(self._products, axis=0, out=self._convolved)
        below = np.negative(self._gated, out=self._below)
        np.exp(below, out=below)
        below += 1.0
        self._gated /= below

    def _scan(self) -> Floats:
        """Remember the newest frame; returns the weighted sum over all remembered ones: (I,)."""
        step = np.logaddexp(self._dt + self._dt_bias, _ZERO)
        weights, place = self._weights, self._frames % len(self._b)
        weights += (step * self._rate)[:, None]
        weights[:, place] = np.log(step)
        self._x[:, place] = self._new
        self._b[place] = self._new_b
        self._frames += 1
        scores = np.exp(weights)
        scores *= np.dot(self._b, self._new_c)
        scores[:, place] += self._skip
        y: Floats = np.matmul(scores[:, None], self._x).reshape(-1)
        return y


def _scale(x: Floats) -> float:
    """One over the root mean square."""
    return 1.0 / math.sqrt(float(np.dot(x, x)) / len(x) + EPSILON)

"""A Mamba-2 one frame at a time, in constant time and memory.

Each block keeps what its last J frames put into the state, not the state itself: the output is then a weighted sum over
J frames, y = sum over j of exp(a_{j+1} + ... + a_t) dt_j (C_t . B_j) x_j, which is exactly the recurrence of
`cardrunner.workloads.melee.world_model.ssd` from J frames ago on. That is less work than a state of P x N numbers per
head, and nothing from before is ever left in it: trained on K frames, the model never plays on a state that it has not
seen. Until J frames have come, the answers are those of the model itself.

Shapes: those of `cardrunner.workloads.melee.world_model.mamba_block`; J frames remembered; P numbers per head.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from cardrunner.workloads.melee.play.stacked_layers import Dense
from cardrunner.workloads.melee.world import Floats
from cardrunner.workloads.melee.world_model.mamba2 import Mamba2, Mamba2Layer
from cardrunner.workloads.melee.world_model.mamba_block import EPSILON
from cardrunner.workloads.melee.world_model.sections import CONV_WIDTH

_NEVER: Final = -np.inf
"""Log weight of a frame that has not come yet."""


class MambaStep:
    """The blocks of a model between its first projection and its heads.

    Args:
        model: trained.
        remembered: J.
    """

    def __init__(self, model: Mamba2, remembered: int) -> None:
        self._project = Dense.of(model.frame_proj)
        self._blocks = [BlockStep(layer, remembered) for layer in model.layers if isinstance(layer, Mamba2Layer)]
        self._weight: Floats = model.final_norm.weight.detach().numpy()

    def __call__(self, vector: Floats) -> Floats:
        """The newest frame (196,) to what `final_norm` gives of it, (D,)."""
        x = self._project(vector)
        for block in self._blocks:
            block.add_to(x)
        x *= _scale(x)
        x *= self._weight
        return x


class BlockStep:
    """``x + mamba(norm(x))`` of the newest frame."""

    def __init__(self, layer: Mamba2Layer, remembered: int) -> None:
        block = layer.mamba
        self._inner, self._state, self._heads = block.d_inner, block.d_state, len(block.A_log)
        convolved = self._inner + 2 * self._state
        # the weights of both norms are taken into the matrices behind them
        self._into: Floats = (block.in_proj.weight * layer.norm.weight).detach().numpy()
        self._out: Floats = (block.out_proj.weight * block.norm.weight).detach().numpy()
        self._kernel: Floats = np.ascontiguousarray(block.conv1d.weight[:, 0].detach().numpy().T)
        self._conv_bias: Floats = block.conv_bias.detach().numpy()
        self._dt_bias: Floats = block.dt_bias.detach().numpy()
        self._rate: Floats = block.rate.detach().numpy()
        self._skip: Floats = np.repeat(block.D.detach().numpy(), block.headdim)
        self._mixed, self._answer = (np.empty(len(rows), np.float32) for rows in (self._into, self._out))
        self._lately = np.zeros((CONV_WIDTH, convolved), np.float32)
        self._products = np.empty_like(self._lately)
        self._gates = np.empty(self._inner + convolved, np.float32)
        self._x = np.zeros((self._heads, remembered, block.headdim), np.float32)
        self._b = np.zeros((remembered, self._state), np.float32)
        self._weights = np.full((self._heads, remembered), _NEVER, np.float32)
        self._oldest = 0

    def add_to(self, x: Floats) -> None:
        """Add the block's output to the residual stream (D,) in place."""
        mixed = np.dot(self._into, x * _scale(x), out=self._mixed)
        inner = self._inner
        gated = self._convolved(mixed)
        new = gated[inner : 2 * inner]
        y = self._scan(new, gated[2 * inner :], mixed[-self._heads :])
        y += self._skip * new
        y *= gated[:inner]
        y *= _scale(y)
        x += np.dot(self._out, y, out=self._answer)

    def _convolved(self, mixed: Floats) -> Floats:
        """silu of the gate and of the convolution of x, B and C, behind one another: (I + S,)."""
        lately, gates, inner = self._lately, self._gates, self._inner
        lately[:-1] = lately[1:]
        lately[-1] = mixed[inner : inner + lately.shape[1]]
        gates[:inner] = mixed[:inner]
        np.multiply(lately, self._kernel, out=self._products)
        summed = np.add.reduce(self._products, axis=0, out=gates[inner:])
        summed += self._conv_bias
        below = np.exp(-gates)
        below += 1.0
        gates /= below
        return gates

    def _scan(self, x: Floats, b_and_c: Floats, dt: Floats) -> Floats:
        """Remember the frame's x (I,), B and C (2 N,) and dt (H,), and what all remembered ones come to now: (I,)."""
        step = np.logaddexp(dt + self._dt_bias, np.float32(0.0))
        weights, place = self._weights, self._oldest
        weights += (step * self._rate)[:, None]
        weights[:, place] = np.log(step)
        self._x[:, place] = x.reshape(self._heads, -1)
        self._b[place] = b_and_c[: self._state]
        self._oldest = (place + 1) % len(self._b)
        scores = np.exp(weights) * np.dot(self._b, b_and_c[self._state :])
        y: Floats = np.matmul(scores[:, None], self._x).reshape(-1)
        return y


def _scale(x: Floats) -> np.float32:
    """One over the root mean square."""
    return np.float32(1.0 / np.sqrt(np.dot(x, x) / len(x) + EPSILON))

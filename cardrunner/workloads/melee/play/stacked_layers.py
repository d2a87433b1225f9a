"""Layers of a trained model as arrays, one frame at a time: a product of matrix and vector each, in memory of its own.

The weights are those of torch, as views; nothing here is trained.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from cardrunner.workloads.melee.world import Floats


class Dense:
    """``weight x + bias`` of a vector; the answer is overwritten by the next call."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight: Floats = np.ascontiguousarray(weight.detach().numpy())
        self.bias: Floats = bias.detach().numpy()
        self._answer = np.empty(len(self.bias), np.float32)

    @classmethod
    def of(cls, layer: nn.Linear) -> Dense:
        """A linear layer of torch."""
        return cls(layer.weight, layer.bias)

    def __call__(self, x: Floats) -> Floats:
        """(inputs,) to (outputs,)."""
        answer = np.dot(self.weight, x, out=self._answer)
        answer += self.bias
        return answer


class Trunk:
    """Linear, ReLU, linear, ReLU of a trained `nn.Sequential` whose dropout is off."""

    def __init__(self, trunk: nn.Sequential) -> None:
        first, second = (layer for layer in trunk if isinstance(layer, nn.Linear))
        self._first, self._second = Dense.of(first), Dense.of(second)

    def __call__(self, x: Floats) -> Floats:
        """(inputs,) to (trunk width,)."""
        hidden = self._first(x)
        np.maximum(hidden, 0.0, out=hidden)
        hidden = self._second(hidden)
        np.maximum(hidden, 0.0, out=hidden)
        return hidden

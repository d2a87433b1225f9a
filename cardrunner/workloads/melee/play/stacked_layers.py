"""Layers of a trained model as arrays, one frame at a time: a product of matrix and vector each, in memory of its own.

Nothing here is trained. A model in play is read from main memory once a frame, and long runs come from there up to
twice as fast as short ones: matrices lie along their longer side.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from cardrunner.workloads.melee.world import Floats


def as_read(matrix: Floats) -> Floats:
    """The same matrix as it is multiplied in play."""
    rows, columns = matrix.shape
    return np.asfortranarray(matrix) if rows > columns else np.ascontiguousarray(matrix)


class Dense:
    """``weight x + bias`` of a vector; the answer is overwritten by the next call."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight = as_read(weight.detach().numpy())
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
    """ReLU, linear, ReLU behind the first layer of a trained `nn.Sequential` whose dropout is off."""

    def __init__(self, trunk: nn.Sequential) -> None:
        first, second = (layer for layer in trunk if isinstance(layer, nn.Linear))
        self._hidden = np.empty(first.out_features, np.float32)
        self._second = Dense.of(second)

    def __call__(self, hidden: Floats) -> Floats:
        """What the first layer gave, (H,), to (trunk width,)."""
        answer = self._second(np.maximum(hidden, 0.0, out=self._hidden))
        np.maximum(answer, 0.0, out=answer)
        return answer


def first_linear(trunk: nn.Sequential) -> nn.Linear:
    """The first layer of a trunk."""
    return next(layer for layer in trunk if isinstance(layer, nn.Linear))

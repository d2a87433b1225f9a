"""Classify handwritten digits of 8 x 8 pixels, from scikit-learn, with a network of one hidden layer.

Shapes:
    B  examples in a batch    N  examples
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cardrunner.card.contracts import narrowed
from cardrunner.card.schema.base import PositiveCount
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.training import ModelSection
from cardrunner.specs import MetricSpec
from cardrunner.workloads import simple

if TYPE_CHECKING:  # reading a card imports this file, which must not import torch
    from torch import Tensor, nn

PIXELS, DIGITS = 64, 10


class DigitsModel(ModelSection):
    """A network with one hidden layer."""

    hidden_dim: PositiveCount = 64
    """Units of the hidden layer."""


def hidden_of(card: Card) -> int:
    """Units of the hidden layer."""
    return narrowed(card.model, DigitsModel, workload=Digits.name).hidden_dim


class Digits(simple.SimpleWorkload):
    """Classification of handwritten digits."""

    name = "digits"
    needs = ("torch", "scikit-learn")
    model_section = DigitsModel
    architectures = ("MLP",)
    metrics = (
        simple.LOSS._replace(unit="nats", meaning="cross entropy"),
        MetricSpec("metric/accuracy", "max", "share", "how often the likeliest digit is right", ("accuracy",), True),
    )

    def tensors(self, card: Card, files: Sequence[Path]) -> tuple[Any, Any]:
        """Pixels from 0 to 1, float32 (N, 64), and digits int64 (N,), in an order that mixes the writers."""
        from sklearn.datasets import load_digits
        from sklearn.utils import shuffle

        pixels, digits = shuffle(*load_digits(return_X_y=True), random_state=0)
        return (pixels / 16).astype("float32"), digits

    def build_model(self, card: Card) -> nn.Module:
        """Pixels (B, 64) to logits (B, 10)."""
        from torch import nn

        hidden = hidden_of(card)
        return nn.Sequential(nn.Linear(PIXELS, hidden), nn.ReLU(), nn.Linear(hidden, DIGITS))

    def loss(self, card: Card, outputs: Tensor, batch: tuple[Tensor, ...]) -> Tensor:
        """Cross entropy of logits (B, 10)."""
        from torch.nn.functional import cross_entropy

        return cross_entropy(outputs, batch[1])

    def score(self, card: Card, outputs: Tensor, batch: tuple[Tensor, ...]) -> Mapping[str, Tensor]:
        """Whether the most likely digit is right, bool (B,)."""
        return {"metric/accuracy": outputs.argmax(1) == batch[1]}

    def count(self, card: Card) -> int:
        """The number of images that scikit-learn ships."""
        return 1797

    def parameters(self, card: Card) -> tuple[int, str]:
        """Weights and biases of both layers."""
        hidden = hidden_of(card)
        formula = f"({PIXELS} + 1) x {hidden} + ({hidden} + 1) x {DIGITS}"
        return (PIXELS + 1) * hidden + (hidden + 1) * DIGITS, formula

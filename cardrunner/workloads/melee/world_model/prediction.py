"""A world model's prediction of the next frame, and its heads. Names are those of existing checkpoints.

Shapes:
    B  examples    D  width of the trunk    V  vocabulary of a category
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from cardrunner.workloads.melee.encoding.layout import PLAYERS
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.networks.frame_embedding import FrameEmbedding
from cardrunner.workloads.melee.world_model.columns import CATEGORIES, NUMBERS


@dataclass(frozen=True)
class Prediction:
    """The next frame as predicted by a world model; columns as in `cardrunner.workloads.melee.world_model.columns`.

    Attributes:
        continuous: (B, 8) change of percent, x, y, shield, in the file's scaled units.
        velocity: (B, 10) change of the five speeds.
        dynamics: (B, 6) hitlag, stocks, combo count.
        binary: (B, 6) logits of facing, invulnerable, on ground.
        categories: per category of `CATEGORIES` logits (B, 2, V).
    """

    continuous: Tensor
    velocity: Tensor
    dynamics: Tensor
    binary: Tensor
    categories: tuple[Tensor, ...]


class WorldModel(FrameEmbedding):
    """A model of the game: the last K frames and both controllers of the coming frame in, that frame out.

    A subclass computes one vector from them and calls `add_heads`.
    """

    architecture: ClassVar[str]
    context_len: int

    def add_heads(self, width: int) -> None:
        """One linear layer for each output, from the trunk's width.

        Changes begin at 0: a fresh model predicts that nothing moves, which is nearly right.
        """
        for name, outputs in NUMBERS:
            self.add_module(f"{name}_head", nn.Linear(width, outputs))
        for category in CATEGORIES:
            for player in PLAYERS:
                head = nn.Linear(width, category.vocabulary(self.encoding))
                self.add_module(f"p{player}_{category.name}_head", head)

        for name in ("continuous", "velocity"):
            for weights in self.get_submodule(f"{name}_head").parameters():
                nn.init.zeros_(weights)

    def trunk_output(self, float_ctx: Tensor, int_ctx: Tensor, next_ctrl: Tensor) -> Tensor:
        """The input of the heads: (B, D)."""
        raise NotImplementedError

    def forward(self, float_ctx: Tensor, int_ctx: Tensor, next_ctrl: Tensor) -> Prediction:
        """Predict the frame after the context.

        Args:
            float_ctx: float (B, K, 56), oldest first.
            int_ctx: int (B, K, 17), likewise.
            next_ctrl: float (B, 26), player 0's controller of the predicted frame, then player 1's.
        """
        return self.read_heads(self.trunk_output(float_ctx, int_ctx, next_ctrl))

    def heads(self) -> tuple[Tensor, Tensor]:
        """All heads as one linear layer: weight (outputs, D) and bias (outputs,), in the order of `head_names`."""
        weights: list[Tensor] = [self.get_parameter(f"{name}.weight") for name in head_names()]
        biases: list[Tensor] = [self.get_parameter(f"{name}.bias") for name in head_names()]
        return torch.cat(weights), torch.cat(biases)

    def read_heads(self, trunk: Tensor) -> Prediction:
        """The prediction from a trunk's output (B, D)."""
        return split_outputs(functional.linear(trunk, *self.heads()), self.encoding)


def split_outputs(outputs: Tensor, encoding: EncodingConfig) -> Prediction:
    """The outputs of `WorldModel.heads`, (B, outputs), by name."""
    categories = [each.vocabulary(encoding) for each in CATEGORIES]
    widths = [*(width for _, width in NUMBERS), *(len(PLAYERS) * vocabulary for vocabulary in categories)]
    parts = torch.split(outputs, widths, 1)
    numbers = {name: part for (name, _), part in zip(NUMBERS, parts, strict=False)}
    logits = zip(parts[len(NUMBERS) :], categories, strict=True)
    return Prediction(
        **numbers, categories=tuple(part.view(-1, len(PLAYERS), vocabulary) for part, vocabulary in logits)
    )


def head_names() -> tuple[str, ...]:
    """Every head in the order of a checkpoint."""
    numbers = tuple(f"{name}_head" for name, _ in NUMBERS)
    return (*numbers, *(f"p{player}_{each.name}_head" for each in CATEGORIES for player in PLAYERS))

"""PolicyMLP: the last K frames in, the next controller out. Names, shapes and order are those of existing checkpoints.

Shapes:
    B  examples            K  context frames, oldest first
    F  numbers per frame after embedding, see `FrameEmbedding`
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cardrunner.errors import IntegrityError
from cardrunner.workloads.melee.encoding.layout import ANALOG, BUTTONS
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.networks.fast_trunk import can_go_fast, fast_trunk
from cardrunner.workloads.melee.networks.frame_embedding import FrameEmbedding


@dataclass(frozen=True, kw_only=True)
class PolicySizes:
    """The sizes of a model that its encoding leaves open."""

    context_len: int
    hidden_dim: int
    trunk_dim: int


@dataclass(frozen=True)
class Controls:
    """A predicted controller.

    Attributes:
        analog: (B, 5) float, 0 to 1: main x, main y, c x, c y, shoulder.
        button_logits: (B, 8) float: A B X Y Z L R D_UP, down when above 0.
    """

    analog: Tensor
    button_logits: Tensor

    @property
    def pressed(self) -> Tensor:
        """(B, 8) bool: the buttons that are down."""
        return self.button_logits > 0


class PolicyMLP(FrameEmbedding):
    """Embeds K frames, flattens them oldest first, and predicts the controller with a two-layer trunk.

    Args:
        sizes: context, hidden and trunk width.
        dropout: after each hidden layer, in training only.
        encoding: vocabularies and embedding widths.

    Attributes:
        fast: whether a training step may use `cardrunner.workloads.melee.networks.fast_trunk` on a CPU and
            `cardrunner.workloads.melee.networks.frame_embedding` on a GPU; False uses the plain modules, which
            define the model.
    """

    def __init__(self, sizes: PolicySizes, *, dropout: float = 0.1, encoding: EncodingConfig | None = None) -> None:
        super().__init__(encoding)
        self.sizes = sizes
        self.trunk = nn.Sequential(
            nn.Linear(sizes.context_len * self.encoding.frame_width, sizes.hidden_dim),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(sizes.hidden_dim, sizes.trunk_dim),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.analog_head = nn.Linear(sizes.trunk_dim, len(ANALOG))
        self.button_head = nn.Linear(sizes.trunk_dim, len(BUTTONS))

    def forward(self, float_ctx: Tensor, int_ctx: Tensor) -> Controls:
        """Predict the controller of the frame after the context.

        Args:
            float_ctx: float (B, K, 56), oldest first, the predicted player's half first.
            int_ctx: int (B, K, 17), likewise.
        """
        if self.fast and self.training and can_go_fast(self.trunk, float_ctx):
            hidden = fast_trunk(self.trunk, self.tables(), self.encoding, float_ctx, int_ctx)
        else:
            hidden = self.trunk(self.frame_vectors(float_ctx, int_ctx).flatten(1))
        return Controls(torch.sigmoid(self.analog_head(hidden)), self.button_head(hidden))


def sizes_of(weights: Mapping[str, Tensor], encoding: EncodingConfig) -> PolicySizes:
    """Derive the sizes from the weights of a checkpoint.

    Raises:
        IntegrityError: they are not the weights of a PolicyMLP of this encoding.
    """
    first, second = weights.get("trunk.0.weight"), weights.get("trunk.3.weight")
    if first is None or second is None or first.dim() != 2 or second.dim() != 2:
        raise IntegrityError("it has no trunk.0.weight and trunk.3.weight; these are not the weights of a PolicyMLP")
    context_len, rest = divmod(first.shape[1], encoding.frame_width)
    if rest or not context_len:
        raise IntegrityError(
            f"trunk.0.weight takes {first.shape[1]} inputs, which is not a multiple of this encoding's"
            f" {encoding.frame_width} numbers per frame; the checkpoint was trained on another layout"
        )
    return PolicySizes(context_len=context_len, hidden_dim=first.shape[0], trunk_dim=second.shape[0])

"""FrameStackMLP: K frames flattened oldest first, the coming controllers appended, a trunk of two layers.

Shapes: as `cardrunner.workloads.melee.world_model.prediction`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.networks.fast_trunk import can_go_fast, fast_trunk
from cardrunner.workloads.melee.world_model.columns import CONTROLS
from cardrunner.workloads.melee.world_model.prediction import WorldModel


@dataclass(frozen=True, kw_only=True)
class FrameStackSizes:
    """Sizes of the model beyond those of the encoding."""

    context_len: int
    hidden_dim: int = 512
    trunk_dim: int = 256


class FrameStackMLP(WorldModel):
    """1,433,602 parameters with 10 frames, 512 and 256 units.

    Args:
        sizes: context, hidden and trunk width.
        dropout: after each hidden layer, in training only.
        encoding: vocabularies and embedding widths.

    Attributes:
        fast: a training step on a CPU may take `cardrunner.workloads.melee.networks.fast_trunk`; False keeps to the
            plain trunk, which defines the model.
    """

    fast = True
    architecture: ClassVar[str] = "FrameStackMLP"

    def __init__(self, sizes: FrameStackSizes, *, dropout: float = 0.1, encoding: EncodingConfig | None = None) -> None:
        super().__init__(encoding)
        self.sizes, self.context_len = sizes, sizes.context_len
        self.trunk = nn.Sequential(
            nn.Linear(sizes.context_len * self.encoding.frame_width + CONTROLS, sizes.hidden_dim),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(sizes.hidden_dim, sizes.trunk_dim),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.add_heads(sizes.trunk_dim)

    def trunk_output(self, float_ctx: Tensor, int_ctx: Tensor, next_ctrl: Tensor) -> Tensor:
        """(B, trunk_dim)."""
        if self.fast and self.training and can_go_fast(self.trunk, float_ctx):
            return fast_trunk(self.trunk, self.tables(), self.encoding, float_ctx, int_ctx, more=next_ctrl)
        frames = self.frame_vectors(float_ctx, int_ctx).flatten(1)
        hidden: Tensor = self.trunk(torch.cat([frames, next_ctrl], 1))
        return hidden

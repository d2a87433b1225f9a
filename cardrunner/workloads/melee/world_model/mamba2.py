"""Mamba-2 as a world model: each of K frames is projected, passed through the blocks, and the last one is read.

Shapes: as `cardrunner.workloads.melee.world_model.mamba_block`; K frames of context.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

from torch import Tensor, nn

from cardrunner.workloads.melee.encoding import EncodingConfig
from cardrunner.workloads.melee.world_model.columns import CONTROLS
from cardrunner.workloads.melee.world_model.mamba_block import Mamba2Block, RMSNorm
from cardrunner.workloads.melee.world_model.prediction import WorldModel


@dataclass(frozen=True, kw_only=True)
class Mamba2Sizes:
    """What the weights do not share with the encoding. The weights alone do not tell `context_len` and `chunk_size`."""

    context_len: int
    d_model: int = 384
    d_state: int = 64
    n_layers: int = 4
    headdim: int = 64
    chunk_size: int | None = 10
    """Frames per chunk of the scan; None: frame by frame. It changes the speed, not the function."""


class Mamba2Layer(nn.Module):
    """``x + mamba(norm(x))``."""

    def __init__(self, sizes: Mamba2Sizes) -> None:
        super().__init__()
        self.mamba = Mamba2Block(
            sizes.d_model, d_state=sizes.d_state, headdim=sizes.headdim, chunk_size=sizes.chunk_size
        )
        self.norm = RMSNorm(sizes.d_model)

    def forward(self, x: Tensor, *, last_only: bool = False) -> Tensor:
        """(B, K, D) to (B, K, D), or to (B, 1, D) where only the last frame is wanted."""
        own = x[:, -1:] if last_only else x
        return own + cast("Tensor", self.mamba(self.norm(x), last_only=last_only))


class Mamba2(WorldModel):
    """4,282,386 parameters with the sizes that `Mamba2Sizes` has by default.

    Args:
        sizes: see there.
        dropout: of the projected frames, in training only.
        encoding: vocabularies and embedding widths.
    """

    architecture: ClassVar[str] = "Mamba2"

    def __init__(self, sizes: Mamba2Sizes, *, dropout: float = 0.1, encoding: EncodingConfig | None = None) -> None:
        super().__init__(encoding)
        self.sizes, self.context_len = sizes, sizes.context_len
        self.frame_proj = nn.Linear(self.encoding.frame_width, sizes.d_model)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(Mamba2Layer(sizes) for _ in range(sizes.n_layers))
        self.final_norm = RMSNorm(sizes.d_model)
        self.ctrl_proj = nn.Linear(CONTROLS, sizes.d_model)
        self.add_heads(sizes.d_model)

    def trunk_output(self, float_ctx: Tensor, int_ctx: Tensor, next_ctrl: Tensor) -> Tensor:
        """(B, D)."""
        x = self.dropout(self.frame_proj(self.frame_vectors(float_ctx, int_ctx)))
        for number, layer in enumerate(self.layers, start=1):
            x = layer(x, last_only=number == len(self.layers))
        output: Tensor = self.final_norm(x[:, -1]) + self.ctrl_proj(next_ctrl)
        return output

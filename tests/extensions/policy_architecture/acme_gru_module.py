"""The torch half of the recurrent policy."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.networks.frame_embedding import FrameEmbedding
from cardrunner.workloads.melee.policy.mlp import Controls


class PolicyGRU(FrameEmbedding):
    """See `acme_gru`."""

    def __init__(self, hidden: int, encoding: EncodingConfig) -> None:
        super().__init__(encoding)
        self.gru = nn.GRU(encoding.frame_width, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 13)

    def forward(self, float_ctx: Tensor, int_ctx: Tensor) -> Controls:
        """Floats (B, K, 56) and ints (B, K, 17) to a controller."""
        states, _ = self.gru(self.frame_vectors(float_ctx, int_ctx))
        outputs = self.head(states[:, -1])
        return Controls(torch.sigmoid(outputs[:, :5]), outputs[:, 5:])

"""Frames as numbers: what every model of this package begins with. Names and order are those of existing checkpoints.

Shapes:
    B  examples            K  frames
    F  numbers per frame after embedding: 196 = 56 floats + 2 players x 68 + stage 4
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cardrunner.workloads.melee.encoding import EncodingConfig
from cardrunner.workloads.melee.layout import INTS_PER_PLAYER
from cardrunner.workloads.melee.lookup import look_up


class FrameEmbedding(nn.Module):
    """A module with one table per categorical column.

    Args:
        encoding: vocabularies and embedding widths.

    Attributes:
        fast: a training step may take `cardrunner.workloads.melee.lookup` on a GPU; False keeps to the plain modules,
            which define the model.
    """

    fast = True

    def __init__(self, encoding: EncodingConfig | None = None) -> None:
        super().__init__()
        self.encoding = encoding or EncodingConfig()
        self.action_embed = nn.Embedding(self.encoding.action_vocab, self.encoding.action_embed_dim)
        self.jumps_embed = nn.Embedding(self.encoding.jumps_vocab, self.encoding.jumps_embed_dim)
        self.character_embed = nn.Embedding(self.encoding.character_vocab, self.encoding.character_embed_dim)
        self.stage_embed = nn.Embedding(self.encoding.stage_vocab, self.encoding.stage_embed_dim)
        self.l_cancel_embed = nn.Embedding(self.encoding.l_cancel_vocab, self.encoding.l_cancel_embed_dim)
        self.hurtbox_embed = nn.Embedding(self.encoding.hurtbox_vocab, self.encoding.hurtbox_embed_dim)
        self.ground_embed = nn.Embedding(self.encoding.ground_vocab, self.encoding.ground_embed_dim)
        self.last_attack_embed = nn.Embedding(self.encoding.last_attack_vocab, self.encoding.last_attack_embed_dim)
        self.state_age_embed = nn.Embedding(self.encoding.state_age_embed_vocab, self.encoding.state_age_embed_dim)

    def tables(self) -> list[Tensor]:
        """Embedding weights in the order of `EncodingConfig.embeddings`."""
        return [self.get_parameter(f"{table.name}_embed.weight") for table in self.encoding.embeddings]

    def frame_vectors(self, floats: Tensor, ints: Tensor) -> Tensor:
        """Each frame as numbers.

        Args:
            floats: float (B, K, 56).
            ints: int (B, K, 17), inside their vocabularies.

        Returns:
            float (B, K, F): floats, player 0's embeddings, player 1's, the stage's.
        """
        tables = [self.get_submodule(f"{table.name}_embed") for table in self.encoding.player_embeddings]
        of_players = torch.cat(  # (B, K, 2, 68)
            [self._embedded(table, ints[..., column:-1:INTS_PER_PLAYER]) for column, table in enumerate(tables)], dim=-1
        ).flatten(-2)
        return torch.cat([floats, of_players, self._embedded(self.stage_embed, ints[..., -1])], dim=-1)

    def _embedded(self, table: nn.Module, codes: Tensor) -> Tensor:
        if self.fast and self.training and codes.is_cuda:
            return look_up(table.weight, codes)  # type: ignore[arg-type]
        embedded: Tensor = table(codes)
        return embedded

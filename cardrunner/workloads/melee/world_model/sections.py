"""What a world-model card says about its model and its training. Torch-free."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from cardrunner.card.schema.base import Fraction, PositiveCount, Section
from cardrunner.card.schema.training import TrainingSection
from cardrunner.workloads.melee.spec_sections import FrameModel

FRAME_STACK_MLP: Final = "FrameStackMLP"
MAMBA2: Final = "Mamba2"
SIZES_OF: Final = {
    FRAME_STACK_MLP: ("hidden_dim", "trunk_dim"),
    MAMBA2: ("d_model", "d_state", "n_layers", "headdim", "chunk_size"),
}
"""Each architecture and the fields that are its own."""
EXPAND: Final = 2
"""Inner width of a Mamba-2 block over its outer one."""
CONV_WIDTH: Final = 4
"""Frames that the convolution of a Mamba-2 block sees."""
MOST_SAMPLED: Final = 32


class WorldModelSection(FrameModel):
    """A model of the game: the last K frames and the coming controllers in, the coming frame out."""

    hidden_dim: PositiveCount = 512
    """FrameStackMLP: units of the first layer."""
    trunk_dim: PositiveCount = 256
    """FrameStackMLP: units of the second layer."""
    d_model: PositiveCount = 384
    """Mamba2: width of a frame between the blocks."""
    d_state: PositiveCount = 64
    """Mamba2: numbers of state for each inner number."""
    n_layers: Annotated[PositiveCount, Field(le=1000)] = 4
    """Mamba2: blocks."""
    headdim: PositiveCount = 64
    """Mamba2: inner numbers of a head; 2 x d_model is a multiple of it."""
    chunk_size: PositiveCount | None = None
    """Mamba2: frames of a chunk of the scan, which changes the speed and not the function; all of context_len where
    nothing is stated."""


class ScheduledSampling(Section):
    """Some examples end their context with the model's own predictions, as all do when it plays."""

    rate: Fraction
    """Share of the examples once it is fully on."""
    frames: Annotated[PositiveCount, Field(le=MOST_SAMPLED)] = 3
    """How many of the last context frames are predicted ones."""
    anneal_epochs: Annotated[float, Field(ge=0)] = 1.0
    """Epochs over which the share rises from 0."""


class WorldModelTraining(TrainingSection):
    """The training of a world model."""

    scheduled_sampling: ScheduledSampling | None = None

"""The data, model and training sections of a toy card. Torch-free."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cardrunner.card.schema.base import Count, PositiveCount, Section
from cardrunner.card.schema.data import DataSection
from cardrunner.card.schema.training import ModelSection, TrainingSection

MLP = "ToyMLP"
CLASSES = 3
LOSS_TERM, LOSS_KIND = "class", "cross_entropy"


class ToyData(DataSection):
    """Synthetic examples: random points, labelled by a fixed random rule with some noise."""

    examples: Annotated[PositiveCount, Field(ge=2, le=10_000_000)] = 640
    """Training and validation examples together."""
    features: Annotated[PositiveCount, Field(le=1000)] = 8
    """Numbers in each example."""
    seed: Annotated[Count, Field(lt=2**32)] = 0
    """The seed of the examples; training has a seed of its own."""


class ToyModel(ModelSection):
    """A classifier with one hidden layer and dropout."""

    hidden_dim: Annotated[PositiveCount, Field(le=10_000)] = 24
    """Units of the hidden layer."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the hidden units that a training step leaves out."""


class ToyKnobs(Section):
    """Faults on demand, for trying out how a run handles them.

    Steps are global step numbers from 1; each fault occurs once per run.
    """

    step_ms: Annotated[float, Field(ge=0)] = 0.0
    """The least delay added to every step, in milliseconds."""
    nan_at: PositiveCount | None = None
    """The inputs of this step are NaN."""
    oom_at: PositiveCount | None = None
    """This step runs out of memory."""
    hang_at: PositiveCount | None = None
    """This step never ends."""
    exit_at: PositiveCount | None = None
    """The process exits in this step without a message."""
    raise_at: PositiveCount | None = None
    """This step raises an unexpected error."""


class ToyTraining(TrainingSection):
    """The usual training fields and the fault settings."""

    toy: ToyKnobs = Field(default_factory=ToyKnobs.model_construct)

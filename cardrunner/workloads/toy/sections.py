"""What a toy card says about its data, model and training. Torch-free."""

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
    """Made-up examples: points in space, labelled by a fixed random rule with some noise."""

    examples: Annotated[PositiveCount, Field(ge=2, le=10_000_000)] = 640
    """Training and validation examples together."""
    features: Annotated[PositiveCount, Field(le=1000)] = 8
    """Numbers per example."""
    seed: Annotated[Count, Field(lt=2**32)] = 0
    """Of the examples, apart from the seed of the training."""


class ToyModel(ModelSection):
    """A classifier with one hidden layer and dropout."""

    hidden_dim: Annotated[PositiveCount, Field(le=10_000)] = 24
    """Units of the hidden layer."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the hidden units that a training step leaves out."""


class ToyKnobs(Section):
    """Trouble on demand, for trying out what a run does about it.

    Steps are global step numbers from 1; a fault comes once in a run.
    """

    step_ms: Annotated[float, Field(ge=0)] = 0.0
    """Every step takes at least so many milliseconds longer."""
    nan_at: PositiveCount | None = None
    """The inputs of this step are NaN."""
    oom_at: PositiveCount | None = None
    """Memory runs out in this step."""
    hang_at: PositiveCount | None = None
    """This step never ends."""
    exit_at: PositiveCount | None = None
    """The process ends in this step without a word."""
    raise_at: PositiveCount | None = None
    """This step raises an unexpected error."""


class ToyTraining(TrainingSection):
    """The usual training fields and the knobs."""

    toy: ToyKnobs = Field(default_factory=ToyKnobs.model_construct)

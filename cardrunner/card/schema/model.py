"""Which model is trained. A workload replaces `ModelSection` by its architectures' own fields."""

from cardrunner.card.schema.base import Line, PositiveCount, Section


class ModelSection(Section):
    """The part of `model` that every workload has."""

    architecture: Line
    """One of the workload's architectures."""
    parameters: PositiveCount | None = None
    """Trainable parameters; when stated it must be the model that the other fields describe."""

"""What happens with the result."""

from typing import Annotated, Literal

from cardrunner.card.schema.base import LATER, Line, LineOrCount, PositiveCount, Section, WorkspacePath


class Download(Section):
    """A verified copy of a checkpoint."""

    checkpoint: Literal["best", "latest"] = "best"
    """Which one: the best by `training.select`, or the newest."""
    to: WorkspacePath
    """Where it goes, relative to the workspace."""


class Demo(Section):
    """The last look, by people."""

    world_model: Line = "simulator"
    """The checkpoint of a world model, or the workload's built-in simulator."""
    seed_game: LineOrCount | None = None
    """What it starts from: a file, or a number of a validation unit; null for the first."""
    p0: Line = "policy:best"
    """Who plays the first side: a policy as policy:CHECKPOINT, or what the workload offers."""
    p1: Line = "policy:best"
    """Who plays the second side; see p0."""
    max_frames: PositiveCount = 1200
    """Frames until it ends."""
    rules: Annotated[bool, LATER] = True
    """Let the workload's own rules correct a learned world model where it breaks them; each correction is counted."""
    output: WorkspacePath | None = None
    """A copy of the demo, relative to the workspace."""
    look_for: Line | None = None
    """What a person should see."""


class AfterTraining(Section):
    """Download and demo."""

    download: Download | None = None
    demo: Demo | None = None

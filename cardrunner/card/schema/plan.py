"""Why the run exists: lineage, what must match, and what people want to remember about it."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from cardrunner.card.schema.base import (
    ADDED,
    Date,
    Identifier,
    Line,
    LineOrCount,
    Lines,
    PositiveCount,
    Section,
    Text,
    WorkspacePath,
)


class Lineage(Section):
    """Which runs this one builds on and what it changes against them."""

    id: Identifier | None = None
    """The team's own id of this experiment."""
    type: Literal["data", "architectural", "hyperparameter", "training-regime"]
    """What kind of change it is."""
    base_build: Line | None = None
    """The build or commit the comparison starts from."""
    built_on: tuple[Identifier, ...] = ()
    """The runs it builds on."""
    changes: Lines = ()
    """What changes against them."""
    source: Line | None = None
    """The paper or page the idea came from."""
    confounds: Lines = ()
    """What else differs and could explain the result."""


class DistributionPart(Section):
    """One row of the distribution match: which data a component has seen."""

    component: Line
    """World model, this policy, previous policy, ..."""
    data_scale: Line
    """How much data, such as 22K games."""
    notes: Lines = ()
    """What differs."""


class Risk(Section):
    """Something that may go wrong."""

    risk: Line
    """What may go wrong."""
    likelihood: Literal["low", "medium", "high"] | None = None
    """How likely that is."""
    mitigation: Line | None = None
    """What is done about it."""


class Fallback(Section):
    """What to do instead when something does not work."""

    when: Annotated[Line, Field(alias="if")]
    """What does not work."""
    then: Line
    """What is done instead."""


class Reading(Section):
    """How a result will be read, agreed before it is known: if X, then Y."""

    when: Annotated[Line, Field(alias="if")]
    """What may come out."""
    then: Line
    """What that will be taken to mean."""


class SuccessTier(Section):
    """A level of success and what it takes."""

    tier: Line
    """Its name, such as minimum, expected, stretch."""
    means: Line
    """What has to be true."""


class Note(Section):
    """Anything reviewers should know that has no field of its own."""

    title: Line
    """Its heading on the page."""
    text: Text
    """What one should know."""


def _commit(value: str) -> str:
    if re.fullmatch(r"[0-9a-f]{7,40}", value):
        return value
    raise ValueError(
        "is not a git commit; write 7 to 40 hexadecimal digits in lower case, in quotes if they are all digits"
    )


class CodePin(Section):
    """The code this card was reviewed with; checked at launch."""

    commit: Annotated[str, AfterValidator(_commit)]
    """The git commit, 7 to 40 hexadecimal digits."""


class Incident(Section):
    """Something that happened before and shaped this card."""

    date: Date
    """The day it happened."""
    what: Line
    """What happened, and what was learned."""


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
    rules: Annotated[bool, ADDED] = True
    """Let the workload's own rules correct a learned world model where it breaks them; each correction is counted."""
    output: WorkspacePath | None = None
    """A copy of the demo, relative to the workspace."""
    look_for: Line | None = None
    """What a person should see."""


class AfterTraining(Section):
    """Download and demo."""

    download: Download | None = None
    demo: Demo | None = None

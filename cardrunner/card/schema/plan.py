"""Why the run exists: lineage, what must match, and what people want to remember about it."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from cardrunner.card.schema.base import Date, Identifier, Line, Lines, Section, Text


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

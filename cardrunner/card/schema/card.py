"""The whole card."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from cardrunner.card.schema.base import ADDED, Date, FieldError, Identifier, Line, RunName, Section, Text
from cardrunner.card.schema.data import DataSection
from cardrunner.card.schema.infra import Infra
from cardrunner.card.schema.metrics import Baseline, FreeMetric, Target
from cardrunner.card.schema.plan import (
    AfterTraining,
    CodePin,
    DistributionPart,
    Fallback,
    Incident,
    Lineage,
    Note,
    Reading,
    Risk,
    SuccessTier,
)
from cardrunner.card.schema.sign_off import ChecklistItem, SignOff
from cardrunner.card.schema.timing import Timing
from cardrunner.card.schema.training import ModelSection, TrainingSection
from cardrunner.kill_rules import KillRule

FORMAT_VERSION = 1


def _version(value: Any) -> Any:
    if type(value) is not int or value != FORMAT_VERSION:
        raise ValueError(f"must be {FORMAT_VERSION}, the card format that this cardrunner reads")
    return value


class Card(Section):
    """A plan for a training run that people review before money is spent.

    A workload narrows `data`, `model` and `training` to its own section classes; see `cardrunner.card.load.card_model`.
    They are typed as those of the built-in loop. One that runs itself has others, which are a `DataFiles` and a
    `TrainingBase`: whatever serves all workloads asks for what these two have.
    """

    card: Annotated[Literal[1], BeforeValidator(_version)]
    """The format version. Within a version no default ever changes."""
    extends: Annotated[Line | None, Field(exclude=True)] = None
    """Another card, relative to this one: what is not written here is taken from there, save name, author, checklist
    and sign_off. Not part of what is signed, which is the whole that comes of it."""
    name: RunName
    """The run's name."""
    created: Date
    """The day it was written."""
    author: Identifier | None = None
    """Who wrote it; never also a reviewer."""
    repeat: bool = False
    """Let the signed card run again under another run name."""
    goal: Text
    """Why the run is worth its money."""
    lineage: Lineage | None = None
    distribution_match: tuple[DistributionPart, ...] = ()
    code: CodePin | None = None
    workload: Line
    """What is trained; a name of the registry."""
    data: DataSection
    model: ModelSection
    training: TrainingSection
    infra: Infra
    timing: Timing
    metrics: tuple[FreeMetric, ...] = ()
    """Metrics that people read off themselves."""
    baselines: tuple[Baseline, ...] = ()
    targets: Annotated[tuple[Target, ...], Field(max_length=200)] = ()
    kill_thresholds: Annotated[tuple[KillRule, ...], Field(max_length=100)] = ()
    """Rules that watch the run: each has a condition, a scope, and what happens when it fires."""
    success: tuple[SuccessTier, ...] = ()
    readings: tuple[Reading, ...] = ()
    risks: tuple[Risk, ...] = ()
    fallbacks: tuple[Fallback, ...] = ()
    incidents: tuple[Incident, ...] = ()
    checklist: tuple[ChecklistItem, ...] = ()
    after_training: AfterTraining = Field(default_factory=AfterTraining.model_construct)
    extra_stages: Annotated[tuple[Line, ...], ADDED] = ()
    """Stages of other packages that the run goes through besides the built-in ones, by name. Their packages have to be
    installed here and where the run runs."""
    notes: tuple[Note, ...] = ()
    sign_off: SignOff

    @model_validator(mode="after")
    def _author_does_not_review(self) -> Self:
        if self.author and any(
            self.author.casefold() == reviewer.id.casefold() for reviewer in self.sign_off.reviewers
        ):
            raise FieldError(f"{self.author} is also a reviewer; somebody else has to review", "author")
        return self

    @model_validator(mode="after")
    def _says_what_success_is(self) -> Self:
        if not self.targets and not self.success:
            raise FieldError(
                "is missing: give at least one target, or success tiers that say what the run is for", "targets"
            )
        return self

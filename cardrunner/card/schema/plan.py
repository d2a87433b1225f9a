"""Why the run exists: lineage, what must match, and what people want to remember about it."""

import re
from collections.abc import Collection, Sequence
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from cardrunner.card.schema.base import (
    ADDED,
    Date,
    FieldError,
    Identifier,
    Line,
    Lines,
    Section,
    Sha256,
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
    """This model, the previous one, the model it is used with, ..."""
    data_scale: Line
    """How much data, such as 22K documents."""
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

    commit: Annotated[str, AfterValidator(_commit)] | None = None
    """The git commit, 7 to 40 hexadecimal digits. Beside a sha256, which decides, it is only shown."""
    folder: Annotated[WorkspacePath | None, ADDED] = None
    """The folder of a script's code, relative to the workspace; each attempt runs a copy of it that the launch made."""
    sha256: Annotated[Sha256 | None, ADDED] = None
    """The digest over the tracked files of the folder, which `cardrunner code CARD --write` writes."""
    files: Annotated[Lines, ADDED] = ()
    """Patterns of files that count as well, such as generated/*.py; all of them where there is no git."""

    lock: Annotated[WorkspacePath | None, ADDED] = None
    """A file of that code with lines name==version, relative to the folder: what the interpreter of the script must
    have installed, and what an image for it is given."""

    @model_validator(mode="after")
    def _names_code(self) -> Self:
        if self.commit is None and self.folder is None:
            raise FieldError("is missing; or name the folder of a script's code", "commit")
        needy = next((name for name in ("sha256", "files", "lock") if getattr(self, name)), None)
        if self.folder is None and needy is not None:
            raise FieldError("needs folder: the files that it is about are in there", needy)
        return self


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


class DemoSection(Section):
    """The last look, by people: what every demo has. A workload extends it with what its own demo needs."""

    output: WorkspacePath | None = None
    """A copy of the demo, relative to the workspace."""
    look_for: Line | None = None
    """What a person should see."""

    @property
    def sentence(self) -> str:
        """What is shown, for the review page and the plan."""
        return "what the workload shows of the best checkpoint"

    def rows(self) -> Sequence[tuple[str, str]]:
        """Rows (label, value) of the review page; a stated field without one stands there under its own name."""
        return ()

    @property
    def worded(self) -> Collection[str]:
        """The fields that `sentence` and `rows` show."""
        return ()

    @property
    def reads(self) -> tuple[str, ...]:
        """The paths in the workspace that it may read."""
        return ()

    @property
    def opens(self) -> tuple[str, ...]:
        """The files of which only the demo itself can tell whether they are usable."""
        return ()


class AfterTraining(Section):
    """Download and demo."""

    download: Download | None = None
    demo: DemoSection | None = None

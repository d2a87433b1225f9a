"""Who has to agree, and what has to be done first."""

import shlex
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from cardrunner.card.schema.base import (
    BY_KIND,
    TEXT_SCHEMA,
    Dollars,
    FieldError,
    Identifier,
    Line,
    Lines,
    PositiveCount,
    Seconds,
    Section,
    Sha256,
    Text,
    WorkspacePath,
    one_or_many,
    one_or_many_schema,
)

Identifiers = Annotated[
    tuple[Identifier, ...], BeforeValidator(one_or_many), WithJsonSchema(one_or_many_schema(TEXT_SCHEMA))
]
"""One id, or a list of them."""


class FileCheck(Section):
    """Passes when a file is there."""

    file: WorkspacePath
    """The file, in the workspace or, as data files are, in a folder of CARDRUNNER_DATA."""


class MetricCheck(Section):
    """Passes when the workload computes a metric."""

    metric: Line
    """The metric as a target or kill threshold names it."""


def _check(value: Any) -> str:
    if isinstance(value, str):
        return "<name>"
    if isinstance(value, dict | FileCheck | MetricCheck):
        return "<metric>" if isinstance(value, MetricCheck) or "metric" in value else "<file>"
    return "<command>"


Argv = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
Check = Annotated[
    Annotated[Argv, Tag("<command>")]
    | Annotated[Literal["data-facts", "volume"], Tag("<name>")]
    | Annotated[FileCheck, Tag("<file>")]
    | Annotated[MetricCheck, Tag("<metric>")],
    Discriminator(_check),
]


def check_text(check: Check) -> str:
    """A check as people read it: its command line, or ``file: data.pt``."""
    if isinstance(check, str):
        return check
    return shlex.join(check) if isinstance(check, tuple) else "".join(f"{name}: {value}" for name, value in check)


class ChecklistItem(Section):
    """Something that must be done before the launch."""

    item: Line
    """What has to be done or true."""
    details: Lines = ()
    """The parts of it."""
    check: Check | None = None
    """What proves it: a command as an argument list, without a shell; `data-facts`, `volume`, `{file: PATH}` or
    `{metric: NAME}`. Without one a person ticks it."""
    done: bool = False
    """Whether it is ticked. Not part of what is signed."""
    by: Identifier | None = None
    """Who ticked it. Not part of what is signed."""
    at: Line | None = None
    """When. Not part of what is signed."""
    evidence: Text | None = None
    """What proved it. Not part of what is signed."""


class MetCondition(Section):
    """A condition of an approval that has been fulfilled. Written by `cardrunner check`."""

    condition: Line
    """The condition, word for word."""
    by: Identifier
    """Who ticked it."""
    at: Line
    """When, in UTC."""
    evidence: Text | None = None
    """What proves it."""


class Signature(Section):
    """A reviewer's verdict on exactly one content. Written by `cardrunner sign`, not by hand."""

    digest: Sha256
    """The digest of the card that was signed."""
    verdict: Literal["approve", "block"]
    """approve, or block until they lift it."""
    at: Line
    """When, in UTC."""
    note: Line | None = None
    """A line that is kept with the verdict."""
    conditions: tuple[Line, ...] = ()
    """What must still be done before the launch."""
    met: tuple[MetCondition, ...] = ()
    """The conditions that have been fulfilled since, and who says so."""
    ssh: Text | None = None
    """Under `policy: ssh` the armored signature of the reviewer's key, over all of it but `met`."""


def _signed(value: Any) -> str:
    return "<signature>" if isinstance(value, dict | Signature) else "<box>"


Signed = Annotated[Annotated[Signature, Tag("<signature>")] | Annotated[bool, Tag("<box>")], Discriminator(_signed)]


class Reviewer(Section):
    """Someone who has to agree."""

    id: Identifier
    """Who signs, as in `cardrunner sign --as ID`."""
    name: Line | None = None
    """How the page calls them."""
    required: bool = True
    """Whether the run waits for them."""
    roles: Identifiers = ()
    """What they answer for, such as infra; rules of this card ask for it."""
    signed: Signed | None = None
    """null until signed; under `policy: boxes` true or false."""


class ApprovalRule(Section):
    """Approvals that are needed besides, always or for runs that cost much or use a certain GPU."""

    need: PositiveCount = 1
    """How many different people."""
    role: Identifier | None = None
    """Only people with this role count."""
    of: Identifiers = ()
    """Only these people count."""
    over: Dollars | None = None
    """Only where the slowest calibration costs more than this, or its cost cannot be told."""
    gpu: Lines = ()
    """Only for these GPUs, such as A100."""

    @model_validator(mode="after")
    def _asks_for_one_thing(self) -> Self:
        if self.role and self.of:
            raise FieldError("is given besides role; keep one of them", "of")
        if self.of and self.need > len(set(self.of)):
            raise FieldError(f"needs more people than the {len(set(self.of))} that `of` names", "need")
        if self.over is not None and self.gpu:
            raise FieldError("is given besides over; write two rules", "gpu")
        return self


def check_rule(rule: ApprovalRule, people: Mapping[str, tuple[str, ...]], *at: str | int) -> None:
    """Hold a rule against the people it can mean.

    Args:
        people: id to roles.
        at: the rule's place in its section.

    Raises:
        FieldError: too few people could ever fulfil it.
    """
    strangers = [name for name in rule.of if name not in people]
    if strangers:
        raise FieldError(f"{strangers[0]} is not one of the reviewers; add them, or leave the id out", *at, "of")
    able = [name for name, roles in people.items() if rule.role is None or rule.role in roles]
    if rule.role and rule.need > len(able):
        message = f"needs {rule.need} with the role {rule.role}, and the card gives it to {len(able)}"
        raise FieldError(message, *at, "role")
    if rule.need > len(able):
        raise FieldError(f"needs {rule.need} people, and there are {len(able)} reviewers", *at, "need")


class SignOff(Section):
    """The last gate before money is spent."""

    policy: Literal["boxes", "digest", "ssh"] = "digest"
    """boxes: a tick, bound to nothing. digest: bound to the card's content. ssh: also to the reviewer's key."""
    need: Annotated[
        Annotated[Literal["all"], Tag("<text>")] | Annotated[PositiveCount, Tag("<a whole number>")], BY_KIND
    ] = "all"
    """How many of the required reviewers have to approve."""
    rules: tuple[ApprovalRule, ...] = ()
    """Approvals that are needed besides."""
    expires: Annotated[Seconds, Field(gt=0)] | None = None
    """How long an approval counts, such as 30d."""
    reviewers: Annotated[tuple[Reviewer, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _ids_differ(self) -> Self:
        seen: set[str] = set()
        for number, reviewer in enumerate(self.reviewers):
            if reviewer.id.casefold() in seen:
                raise FieldError(f"reviewer {reviewer.id} is listed twice", "reviewers", number, "id")
            seen.add(reviewer.id.casefold())
        return self

    @model_validator(mode="after")
    def _can_be_fulfilled(self) -> Self:
        required = sum(reviewer.required for reviewer in self.reviewers)
        if not required:
            raise FieldError("at least one reviewer must be required", "reviewers")
        if self.need != "all" and self.need > required:
            raise FieldError(f"needs {self.need} of {required} required reviewers", "need")
        people = {reviewer.id: reviewer.roles for reviewer in self.reviewers}
        for number, rule in enumerate(self.rules):
            check_rule(rule, people, "rules", number)
        if self.expires is not None and self.policy == "boxes":
            raise FieldError("a tick has no time; use policy: digest or ssh", "expires")
        return self

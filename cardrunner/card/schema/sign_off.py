"""Who has to agree, and what has to be done first."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from cardrunner.card.schema.base import FieldError, Identifier, Line, Lines, Section, Sha256, Text


class ChecklistItem(Section):
    """Something that must be done before the launch."""

    item: Line
    details: Lines = ()
    """The parts of it."""
    check: tuple[Annotated[str, Field(min_length=1)], ...] | None = None
    """A command (argument list, no shell) that proves it; without one a person ticks it."""
    done: bool = False
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
    at: Line
    """When, in UTC."""
    note: Line | None = None
    conditions: tuple[Line, ...] = ()
    """What must still be done before the launch."""
    met: tuple[MetCondition, ...] = ()
    """The conditions that have been fulfilled since, and who says so."""


def _signed(value: Any) -> str:
    return "<signature>" if isinstance(value, dict | Signature) else "<box>"


Signed = Annotated[Annotated[Signature, Tag("<signature>")] | Annotated[bool, Tag("<box>")], Discriminator(_signed)]


class Reviewer(Section):
    """Someone who has to agree."""

    id: Identifier
    name: Line | None = None
    required: bool = True
    signed: Signed | None = None
    """null until signed; under `policy: boxes` true or false."""


class SignOff(Section):
    """The last gate before money is spent."""

    policy: Literal["boxes", "digest", "ssh"] = "digest"
    """boxes: a tick, bound to nothing. digest: bound to the card's content. ssh: also to the reviewer's key."""
    reviewers: Annotated[tuple[Reviewer, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _ids_differ(self) -> SignOff:
        seen: set[str] = set()
        for number, reviewer in enumerate(self.reviewers):
            if reviewer.id.casefold() in seen:
                raise FieldError(f"reviewer {reviewer.id} is listed twice", "reviewers", number, "id")
            seen.add(reviewer.id.casefold())
        if not any(reviewer.required for reviewer in self.reviewers):
            raise FieldError("at least one reviewer must be required", "reviewers")
        return self

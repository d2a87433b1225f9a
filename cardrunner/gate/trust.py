"""The people, rules and keys that a workspace trusts, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from cardrunner.card.explain import explain
from cardrunner.card.reading.document import Fault
from cardrunner.card.reading.reader import read_document
from cardrunner.card.schema.base import FieldError, Identifier, Seconds, Section
from cardrunner.card.schema.sign_off import ApprovalRule, Identifiers
from cardrunner.errors import CardError
from cardrunner.gate.ssh.allowed_signers import FILE_NAME as SIGNERS_FILE, AllowedSigners, read_allowed_signers
from cardrunner.gate.ssh.trust_files import (
    FILE_NAME as REVOKED_FILE,
    RevokedKeys,
    UnreadableError,
    read_trust_file,
    trust_fault,
)

FILE_NAME = "cardrunner.yaml"
POLICIES = ("boxes", "digest", "ssh")
"""From the weakest to the strictest."""


class FloorSignOff(Section):
    """What every card's sign-off has to fulfil at least."""

    policy: Literal["boxes", "digest", "ssh"] = "boxes"
    """The weakest policy that a card may have."""
    author: Literal["optional", "named"] = "optional"
    """named: a card must state its author, who may not review it."""
    expires: Annotated[Seconds, Field(gt=0)] | None = None
    """How long an approval is valid at most."""
    roles: dict[Identifier, Identifiers] = Field(default_factory=dict)
    """Role to people. The workspace's rules use these roles, never the card's."""
    rules: tuple[ApprovalRule, ...] = ()
    """Approvals that every card needs besides its own."""

    @model_validator(mode="after")
    def _roles_are_given(self) -> FloorSignOff:
        for number, rule in enumerate(self.rules):
            people = len(set(self.roles.get(rule.role, ()))) if rule.role else 0
            if rule.role and rule.need > people:
                message = f"needs {rule.need} with the role {rule.role}, and roles gives it to {people}"
                raise FieldError(message, "rules", number, "role")
        return self


class WorkspaceRules(Section):
    """The content of ``cardrunner.yaml``."""

    sign_off: FloorSignOff = Field(default_factory=FloorSignOff)


@dataclass(frozen=True, kw_only=True)
class Floor:
    """The rules of a workspace. With a fault the gate stays closed.

    Args:
        faults: what is wrong with the file.
        data: its bytes; None if there is no file.
    """

    sign_off: FloorSignOff = field(default_factory=FloorSignOff)
    faults: tuple[Fault, ...] = ()
    data: bytes | None = None


def read_floor(root: Path) -> Floor:
    """Read the file of a workspace; without one there are no rules. Raises nothing: see `faults`."""
    try:
        data = read_trust_file(root / FILE_NAME)
    except UnreadableError as error:
        return Floor(faults=(trust_fault(FILE_NAME, error.line, str(error)),))
    return Floor() if data is None else parse_floor(data)


def parse_floor(data: bytes) -> Floor:
    """Read the content of the file. Raises nothing: see `faults`."""
    if _says_nothing(data):  # an empty file only marks the workspace
        return Floor(data=data)
    try:
        document = read_document(data, file=FILE_NAME)
    except CardError as error:
        return Floor(faults=tuple(fault for fault in error.faults if isinstance(fault, Fault)), data=data)
    try:
        return Floor(sign_off=WorkspaceRules.model_validate(document.value()).sign_off, data=data)
    except ValidationError as error:
        return Floor(faults=explain(error, document, WorkspaceRules), data=data)


def _says_nothing(data: bytes) -> bool:
    return all(not line.strip() or line.lstrip().startswith(b"#") for line in data.split(b"\n"))


@dataclass(frozen=True, kw_only=True)
class Trust:
    """What a workspace trusts.

    Args:
        signers: whose keys count.
        floor: what every sign-off has to fulfil.
    """

    signers: AllowedSigners = field(default_factory=lambda: AllowedSigners(signers=(), revoked=RevokedKeys(lines={})))
    floor: Floor = field(default_factory=Floor)

    @property
    def files(self) -> Mapping[str, bytes]:
        """The bytes that were read, by file name; a run folder keeps them."""
        read = {
            FILE_NAME: self.floor.data,
            SIGNERS_FILE: self.signers.data,
            REVOKED_FILE: self.signers.revoked.data,
        }
        return {name: data for name, data in read.items() if data is not None}


def read_trust(root: Path, *, keys: bool) -> Trust:
    """Read the files of a workspace, or the copies of a run folder. Raises nothing: their faults are in the parts.

    Args:
        keys: read `allowed_signers` and `revoked_keys` too, which only `policy: ssh` needs.
    """
    floor = read_floor(root)
    return Trust(floor=floor, signers=read_allowed_signers(root)) if keys else Trust(floor=floor)

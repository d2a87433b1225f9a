"""The people, rules and keys that a workspace trusts, read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from cardrunner.card.explain import explain
from cardrunner.card.reading.document import Fault
from cardrunner.card.reading.reader import read_document
from cardrunner.card.schema.base import FieldError, Identifier, Seconds, Section
from cardrunner.card.schema.sign_off import ApprovalRule, Identifiers
from cardrunner.errors import CardError
from cardrunner.gate.ssh.allowed_signers import (
    FILE_NAME as SIGNERS_FILE,
    AllowedSigners,
    read_allowed_signers,
    signers_in,
)
from cardrunner.gate.ssh.trust_files import (
    FILE_NAME as REVOKED_FILE,
    Named,
    RevokedKeys,
    UnreadableError,
    copies_of,
    files_of,
    read_trust_file,
    revoked_in,
    trust_fault,
)
from cardrunner.workspace import RULES as FILE_NAME, Workspace

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
    trials: Annotated[Literal["on", "off"], Field(alias="try")] = "on"
    """off: `cardrunner try` runs no unsigned code."""


@dataclass(frozen=True, kw_only=True)
class Floor:
    """The rules of one workspace. With a fault the gate stays closed.

    Args:
        path: where the file is.
        file: what messages call it.
        faults: what is wrong with it.
        data: its bytes; None if it cannot be read.
    """

    path: Path
    file: str = FILE_NAME
    sign_off: FloorSignOff = field(default_factory=FloorSignOff)
    trials: Literal["on", "off"] = "on"
    faults: tuple[Fault, ...] = ()
    data: bytes | None = None


def read_floors(folders: Sequence[Path]) -> tuple[Floor, ...]:
    """Read the files of a workspace and of those around it, nearest first. Raises nothing: see `Floor.faults`.

    Args:
        folders: as `cardrunner.workspace.Workspace.levels`.
    """
    return _floors_in(files_of(folders, FILE_NAME))


def _floors_in(files: Sequence[Named]) -> tuple[Floor, ...]:
    return tuple(floor for path, file in files if (floor := _read(path, file)) is not None)


def _read(path: Path, file: str) -> Floor | None:
    floor = Floor(path=path, file=file)
    try:
        data = read_trust_file(path)
    except UnreadableError as error:
        return replace(floor, faults=(trust_fault(file, error.line, str(error)),))
    return None if data is None else _parsed(replace(floor, data=data), data)


def _parsed(floor: Floor, data: bytes) -> Floor:
    if _says_nothing(data):  # an empty file only marks the workspace
        return floor
    try:
        document = read_document(data, file=floor.file)
    except CardError as error:
        return replace(floor, faults=tuple(fault for fault in error.faults if isinstance(fault, Fault)))
    try:
        rules = WorkspaceRules.model_validate(document.value())
    except ValidationError as error:
        return replace(floor, faults=explain(error, document, WorkspaceRules))
    return replace(floor, sign_off=rules.sign_off, trials=rules.trials)


def _says_nothing(data: bytes) -> bool:
    return all(not line.strip() or line.lstrip().startswith(b"#") for line in data.split(b"\n"))


@dataclass(frozen=True, kw_only=True)
class Trust:
    """What a workspace trusts.

    Args:
        signers: whose keys count.
        floors: what every sign-off has to fulfil, from the workspace's own file outward. The strictest wins.
    """

    signers: AllowedSigners = field(default_factory=lambda: AllowedSigners(signers=(), revoked=RevokedKeys(lines={})))
    floors: tuple[Floor, ...] = ()

    @property
    def expires(self) -> float | None:
        """How many seconds an approval is valid at most."""
        return min((floor.sign_off.expires for floor in self.floors if floor.sign_off.expires), default=None)

    @property
    def files(self) -> Mapping[str, bytes]:
        """The bytes that were read, by file name, ``cardrunner.yaml.2`` being the next one outward."""
        lists, revoked = (self.signers, *self.signers.others), self.signers.revoked
        read = {
            FILE_NAME: [floor.data for floor in self.floors],
            SIGNERS_FILE: [each.data for each in lists],
            REVOKED_FILE: [each.data for each in (revoked, *revoked.others)],
        }
        found = {name: [data for data in each if data is not None] for name, each in read.items()}
        return {
            name if number == 1 else f"{name}.{number}": data
            for name, each in found.items()
            for number, data in enumerate(each, 1)
        }


def read_trust(workspace: Workspace, *, keys: bool) -> Trust:
    """Read the files of a workspace and of those around it. Raises nothing: their faults are in the parts.

    Args:
        keys: read `allowed_signers` and `revoked_keys` too, which only `policy: ssh` needs.
    """
    levels = workspace.levels
    floors = read_floors(levels)
    return Trust(floors=floors, signers=read_allowed_signers(levels)) if keys else Trust(floors=floors)


def read_kept_trust(folder: Path, *, keys: bool) -> Trust:
    """Read a run folder's copies of the files of its launch. Raises nothing: their faults are in the parts.

    Args:
        folder: as `cardrunner.runs.folder.RunFolder.trust`.
        keys: read `allowed_signers` and `revoked_keys` too.
    """
    floors = _floors_in(copies_of(folder, FILE_NAME))
    if not keys:
        return Trust(floors=floors)
    revoked = revoked_in(copies_of(folder, REVOKED_FILE))
    return Trust(floors=floors, signers=signers_in(copies_of(folder, SIGNERS_FILE), revoked))

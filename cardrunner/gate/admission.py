"""What launches admitted, kept with the workspace: ``.cardrunner/launched/RUN.json``, to be committed with the cards.

A run folder can be written by everybody who can train in it, so whatever starts training holds the folder against this
record, which is reviewed like the signatures. It is also where an approval for one run is spent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from cardrunner.common.clock import parse_timestamp
from cardrunner.errors import EnvironmentFailed, IntegrityError
from cardrunner.gate.records import block_path
from cardrunner.gate.ssh.allowed_signers import FILE_NAME as SIGNERS
from cardrunner.gate.ssh.trust_files import FILE_NAME as REVOKED, UnreadableError, read_trust_file
from cardrunner.workspace import RULES, Workspace, stands

LAUNCH_FILE = "launch.json"
_LARGEST = 64 << 20
_CONFLICT = b"<<<<<<< "


def _time(text: str) -> str:
    parse_timestamp(text)
    return text


def _inside(text: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError("must be a path below the folder of the records")
    return text


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Statement(_Frozen):
    """One approval that counted."""

    reviewer: str
    verdict: Literal["approve"] = "approve"
    policy: str
    at: str | None
    key: str | None
    """The fingerprint of the key that signed; None for policies without keys."""
    signature_sha256: str | None
    """Of the armored signature."""


class Launcher(_Frozen):
    """The process that admitted the run."""

    host: str
    pid: int
    began: str | None
    """Its start time in the format of the system."""


class Admission(_Frozen):
    """One run that was admitted."""

    card: str
    """The name of the card, whose approvals it used."""
    digest: str
    repeat: bool
    """Whether the card may run again; else its approvals are spent."""
    state: Literal["admitted", "training", "returned"] = "admitted"
    """training: a step may have run. returned: the launch ended without a step, and gave the approvals back."""
    workspace: Annotated[str, AfterValidator(_inside)]
    """The card's workspace, relative to the folder with the records."""
    runs: str
    """The folder of the run folder: relative to the folder with the records, or absolute where it is outside."""
    statements: tuple[Statement, ...]
    trust: dict[str, str]
    """The sha256 of each file of rules and keys that the gate used, as `cardrunner.gate.trust.Trust.files`."""
    floors: tuple[str, ...]
    """The floors that applied, the workspace's own first."""
    files: dict[str, str]
    """The sha256 of each file that the launch wrote, by its path in the run folder."""
    at: Annotated[str, AfterValidator(_time)]
    training_since: Annotated[str, AfterValidator(_time)] | None = None
    steps_since: Annotated[str, AfterValidator(_time)] | None = None
    """When a worker on this side first began its training stage, after which nothing gives the approvals back."""
    launcher: Launcher

    @property
    def spent(self) -> bool:
        """Whether its approvals are used up."""
        return not self.repeat and self.state != "returned"


class Launched(_Frozen):
    """The content of the file: every run of one name, newest last. Only cards that repeat have more than one."""

    version: Literal[1] = 1
    run: str
    admissions: tuple[Admission, ...] = ()

    @property
    def spent(self) -> Admission | None:
        """The run that the approvals of the name were spent on."""
        return next((admission for admission in self.admissions if admission.spent), None)

    def of(self, launch: str) -> Admission | None:
        """The admission of the run whose ``launch.json`` has this sha256."""
        return next((found for found in reversed(self.admissions) if found.files.get(LAUNCH_FILE) == launch), None)

    def with_admission(self, admission: Admission) -> Launched:
        """The same with one more admission, or with a newer state of one."""
        others = (kept for kept in self.admissions if kept.files.get(LAUNCH_FILE) != admission.files.get(LAUNCH_FILE))
        return self.model_copy(update={"admissions": (*others, admission)})


def launched_path(records: Path, run: str) -> Path:
    """Where the admissions of a run's name are kept, under the workspace's records folder."""
    return records / "launched" / f"{run}.json"


def read_launched(places: Sequence[Path], run: str) -> Launched:
    """Every admission of a name; empty without a file.

    Args:
        places: as `cardrunner.workspace.Workspace.record_places`.
        run: the name of the run.

    Raises:
        IntegrityError: a file is there and cannot be used.
        EnvironmentFailed: something else is where the folder of the records belongs.
    """
    launched = Launched(run=run)
    for place in reversed(places):
        found = _read(launched_path(place, run), run)
        for admission in found.admissions if found else ():
            launched = launched.with_admission(admission)
    return launched


def encode_launched(launched: Launched) -> bytes:
    """The bytes of the file."""
    return (launched.model_dump_json(indent=2) + "\n").encode()


def statement_of(approval: Mapping[str, Any]) -> Statement:
    """The record of an approval that counts.

    Args:
        approval: as `cardrunner.gate.findings.Approval.as_json`.
    """
    ssh = approval["ssh"]
    return Statement(
        reviewer=approval["id"],
        policy=approval["policy"],
        at=approval["at"],
        key=approval["fingerprint"],
        signature_sha256=None if ssh is None else sha256_hex(ssh.encode()),
    )


def sha256_hex(data: bytes) -> str:
    """The sha256 as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def judging_files(workspace: Workspace, run: str, admission: Admission) -> tuple[dict[str, str], str]:
    """What judges a run where its workspace is not, as the content of a small workspace.

    Returns:
        the files by their relative paths, and the folder among them that stands for the workspace.
    """
    files = {f".cardrunner/launched/{run}.json": encode_launched(Launched(run=run, admissions=(admission,))).decode()}
    for place in reversed(workspace.record_places):
        folder = block_path(place, admission.card, "").parent
        for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
            files[f".cardrunner/blocks/{admission.card}/{path.name}"] = path.read_text(errors="replace")
    folder_name = "."
    for depth, level in enumerate(reversed(workspace.levels)):
        folder_name = "/".join(["inner"] * depth) or "."
        files[f"{folder_name}/{RULES}"] = ""  # it marks the level where it has no such file
        for name in (RULES, SIGNERS, REVOKED):
            if (data := read_trust_file(level / name)) is not None:
                files[f"{folder_name}/{name}"] = data.decode(errors="replace")
    return files, folder_name


def _read(path: Path, run: str) -> Launched | None:
    if stands(path.parent) and not path.parent.is_dir():
        raise EnvironmentFailed(
            f"{path.parent} is not a folder, and the records of what was admitted belong in it; move it away, and "
            "restore the folder from git"
        )
    if not stands(path):
        return None
    try:
        data = read_trust_file(path, largest=_LARGEST)
    except UnreadableError as error:
        raise IntegrityError(f"{path}: {error}; the record says what was admitted, so restore it from git") from None
    if data is None:
        return None
    if _CONFLICT in data:
        raise IntegrityError(
            f"{path} holds a conflict between two people's merges: each launched a run of this name; keep the record "
            "of the run that goes on, and give the other's card a new name"
        )
    try:
        launched = Launched.model_validate_json(data)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, fault["loc"])) or "the file"
        raise IntegrityError(
            f"{path} is not a record of admissions: {where}: {fault['msg']}; restore it from git"
        ) from None
    if launched.run != run:
        raise IntegrityError(f"{path} is the record of the run {launched.run}; restore the one of {run} from git")
    return launched

"""Writing the record of what was admitted (`cardrunner.gate.admission`): at the launch, and as the run goes on.

The record is written before the run folder appears, so that of many launches of a name exactly one can run. Every
change of it is made under one lock of the workspace.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cardrunner.card.load import LoadedCard
from cardrunner.common.clock import utc_now
from cardrunner.errors import CardrunnerError, IntegrityError, NameTaken
from cardrunner.gate.admission import (
    Admission,
    Launched,
    Launcher,
    encode_launched,
    launched_path,
    read_launched,
    sha256_hex,
    statement_of,
)
from cardrunner.gate.findings import GateReport
from cardrunner.runs.events import AttemptEnded, AttemptStarted, StageStarted, Submitted
from cardrunner.runs.files import explained, flush_folder, locked, read_regular, write_bytes
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.process_identity import ProcessIdentity
from cardrunner.runs.status import derive_status
from cardrunner.workspace import Workspace

TRAINS = "train"


def refuse_spent(workspace: Workspace, run: str) -> None:
    """Refuse a name whose approval is spent.

    Raises:
        NameTaken: it was spent on an earlier run.
        IntegrityError: the record cannot be read.
    """
    if (spent := read_launched(workspace.record_places, run).spent) is not None:
        how = "was launched" if spent.state == "training" else "was admitted, and it is not known whether it trained,"
        raise NameTaken(
            f"run {run} {how} on {spent.at} by {spent.launcher.host} ({launched_path(workspace.records, run)}): an "
            "approval is for one run; resume that run, or give the card a new name and have it signed"
        )


def admission_of(folder: RunFolder, workspace: Workspace) -> Admission | None:
    """The admission of the run in a folder; None if its name has no record, or only those of runs that repeat.

    Raises:
        IntegrityError: the record cannot be read, or this is not the run that its name was admitted for.
    """
    launched = read_launched(workspace.record_places, folder.name)
    with explained(folder.launch, "read"):
        found = launched.of(sha256_hex(read_regular(folder.launch))) if folder.launch.exists() else None
    if found is None and (spent := launched.spent) is not None:
        raise IntegrityError(
            f"{folder.root} is not the run {folder.name} that was admitted on {spent.at}: its launch.json is not the "
            f"one of {launched_path(workspace.records, folder.name)}; put the launched folder back"
        )
    return found


@contextlib.contextmanager
def admitting(workspace: Workspace, run: str) -> Iterator[None]:
    """Hold the records of a workspace while a run is admitted and its folder made.

    Raises:
        NameTaken: the approval of the name is spent.
        EnvironmentFailed: the records cannot be written.
    """
    with _held(workspace):
        refuse_spent(workspace, run)
        yield


def record_admission(
    folder: RunFolder, workspace: Workspace, loaded: LoadedCard, gate: GateReport, *, name: str, runs: Path
) -> None:
    """Write the admission of a run; the caller holds the records.

    Args:
        folder: the complete folder.
        workspace: the workspace of its card.
        loaded: the card.
        gate: what the gate found.
        name: the name of the run, which a folder that has yet to appear does not have.
        runs: the folder where it appears.

    Raises:
        EnvironmentFailed: it cannot be written.
    """
    here, base = ProcessIdentity.here(), workspace.records.parent
    admission = Admission(
        card=loaded.card.name,
        digest=loaded.digest,
        repeat=loaded.card.repeat,
        workspace=_from(base, workspace.root.resolve() if base != workspace.root else base),
        runs=_from(base, runs.absolute()),
        statements=tuple(map(statement_of, gate.approvals)),
        trust={name: sha256_hex(data) for name, data in gate.trust_files.items()},
        floors=tuple(_from(base, Path(floor)) for floor in gate.floors),
        files=sums_of(folder),
        at=utc_now(),
        launcher=Launcher(host=here.host, pid=here.pid, began=here.began),
    )
    _write(workspace, read_launched(workspace.record_places, name).with_admission(admission))


def withdraw(folder: RunFolder, workspace: Workspace) -> None:
    """Take back the newest admission of a name whose folder could not be made; the caller holds the records."""
    launched = read_launched(workspace.record_places, folder.name)
    rest = launched.model_copy(update={"admissions": launched.admissions[:-1]})
    with contextlib.suppress(CardrunnerError):  # what it took the admission for is the error to show
        if rest.admissions:
            _write(workspace, rest)
        else:
            path = launched_path(workspace.records, folder.name)
            with explained(path, "remove"):
                path.unlink(missing_ok=True)


def begin_training(folder: RunFolder, workspace: Workspace) -> None:
    """Write that a step may run from now on.

    Raises:
        EnvironmentFailed: it cannot be written, so that no step may run.
    """
    found = admission_of(folder, workspace)
    if found is not None and found.state != "training":
        _change(folder, workspace, {"state": "training", "training_since": utc_now()})


def begin_steps(folder: RunFolder, workspace: Workspace) -> None:
    """Write that the training stage begins, so that the approval stays spent whatever the run folder says later.

    Raises:
        EnvironmentFailed: it cannot be written, so that no step may run.
    """
    found = admission_of(folder, workspace)
    if found is not None and found.steps_since is None:
        _change(folder, workspace, {"steps_since": utc_now()})


def give_back(folder: RunFolder, workspace: Workspace, *, discarded: bool = False) -> None:
    """Give an approval back if no step of its run has run; for the process that admitted the run, at its own end.

    Args:
        folder: the run.
        workspace: the workspace that judges it.
        discarded: its folder was removed again, because nothing was started.
    """
    with contextlib.suppress(CardrunnerError):  # it stays spent
        found = admission_of(folder, workspace)
        stepped = found is not None and found.steps_since is not None
        if discarded or (not stepped and _ended_without_a_step(folder)):
            _change(folder, workspace, {"state": "returned", "training_since": None}, newest=discarded)


def _ended_without_a_step(folder: RunFolder) -> bool:
    """Whether it is on record that its attempts are over, and that none of them began to train."""
    if not folder.ledger.exists() or derive_status(folder).live:
        return False
    ledger = Ledger(folder.ledger)
    over = isinstance(ledger.last(Submitted, AttemptStarted, AttemptEnded), AttemptEnded | None)
    return over and all(event.stage != TRAINS for event in ledger.events(StageStarted))


def sums_of(folder: RunFolder) -> dict[str, str]:
    """The sha256 of each file that the launch wrote, by its path in the folder.

    Raises:
        EnvironmentFailed: one cannot be read.
    """
    with explained(folder.root, "read"):
        return {path.relative_to(folder.root).as_posix(): sha256_hex(path.read_bytes()) for path in folder.frozen}


def _change(folder: RunFolder, workspace: Workspace, update: Mapping[str, Any], *, newest: bool = False) -> None:
    with _held(workspace):
        launched = read_launched(workspace.record_places, folder.name)
        last = launched.admissions[-1] if launched.admissions else None
        found = last if newest else admission_of(folder, workspace)
        if found is not None:
            _write(workspace, launched.with_admission(found.model_copy(update=update)))


@contextlib.contextmanager
def _held(workspace: Workspace) -> Iterator[None]:
    place = launched_path(workspace.records, "").parent
    with explained(place, "write"):
        place.mkdir(parents=True, exist_ok=True)
    with locked(place):
        yield


def _write(workspace: Workspace, launched: Launched) -> None:
    """Write a record whole. One that is new is made exclusively: not every file system has locks between machines."""
    path, data = launched_path(workspace.records, launched.run), encode_launched(launched)
    if path.exists():
        write_bytes(path, data)
        return
    staging = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write_bytes(staging, data)
        with explained(path, "write"):
            _name(staging, path, data)
            flush_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            staging.unlink(missing_ok=True)


def _name(staging: Path, path: Path, data: bytes) -> None:
    try:
        os.link(staging, path)
    except FileExistsError:
        raise NameTaken(f"{path} exists; another launch took the name {path.stem}") from None
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
            raise
        with path.open("xb") as stream:  # a file system without links
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())


def _from(base: Path, path: Path) -> str:
    """A path relative to the folder with the records, where it is inside."""
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path)

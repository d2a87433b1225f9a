"""The folder that a trial runs in and that is thrown away, also after Ctrl-C; what a killed trial left is removed."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from cardrunner.card.schema.card import Card
from cardrunner.errors import EnvironmentFailed
from cardrunner.gate.code import CodeFiles, code_of, keep_code, link_data
from cardrunner.runs.files import explained
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.process_identity import ProcessIdentity
from cardrunner.workloads.command.process import Patience, end_leftovers
from cardrunner.workloads.command.trying.isolation import make_folders
from cardrunner.workspace import Workspace

_PREFIX: Final = "cardrunner-try-"
_OWNER: Final = "owner.json"
_SIGNALS: Final = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class _Owner(BaseModel):
    """Which process a trial belongs to, and the mark of the processes that it has started."""

    process: ProcessIdentity
    mark: str


@dataclass(frozen=True)
class TrialPlace:
    """A folder for one trial.

    Args:
        root: the folder.
        folder: where a run would have its files.
        code: the copy of the code folder.
        origin: the code folder.
        mark: names the processes of the trial.
        untracked: files that were copied and that a launch would refuse until they are tracked.
    """

    root: Path
    folder: RunFolder
    code: Path
    origin: Path
    mark: str
    untracked: tuple[str, ...]

    @property
    def scratch(self) -> Path:
        """For whatever else is thrown away."""
        return self.root / "scratch"


@contextmanager
def trial_place(card: Card, workspace: Workspace) -> Iterator[TrialPlace]:
    """Copy the code of a card as it is, and link the card's data into it; remove all of it at the end.

    Raises:
        EnvironmentFailed: a file cannot be copied, or data is missing.
        UsageError: the code folder cannot be used.
    """
    remove_left_behind()
    mark = uuid.uuid4().hex
    with explained(Path(tempfile.gettempdir()), "write"), _uninterrupted():
        root = Path(tempfile.mkdtemp(prefix=_PREFIX))
        (root / _OWNER).write_text(_Owner(process=ProcessIdentity.here(), mark=mark).model_dump_json())
    try:
        yield _filled(root, card, workspace, mark)
    finally:
        with _uninterrupted():
            end_leftovers(mark, Patience(grace=0.0, helpers=0.0))
            remove_folder(root)


def _filled(root: Path, card: Card, workspace: Workspace, mark: str) -> TrialPlace:
    folder = RunFolder(root / card.name, workspace.root)
    pin = card.code
    if pin is None or pin.folder is None:
        raise EnvironmentFailed("code.folder is missing, so there is nothing to copy")
    kept = keep_code(card.model_copy(update={"code": pin.model_copy(update={"sha256": None})}), workspace, folder.code)
    link_data(card, workspace, folder.code)
    found, place = code_of(pin, workspace), folder.code / pin.folder
    CodeFiles(found.folder, found.untracked).copy_to(place)
    for made in (folder.script_out, root / "scratch"):
        made.mkdir(parents=True, exist_ok=True)
    make_folders(root / "scratch")
    return TrialPlace(root, folder, kept.folder if kept else place, found.folder, mark, found.untracked)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """A second Ctrl-C waits until everything is removed."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def remove_left_behind() -> None:
    """End the processes and remove the folders of trials that were killed."""
    for root in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError, ValueError):
            owner = _Owner.model_validate_json((root / _OWNER).read_bytes())
            if root.lstat().st_uid == os.getuid() and owner.process.is_gone:
                end_leftovers(owner.mark, Patience(grace=0.0, helpers=0.0))
                remove_folder(root)


def remove_folder(root: Path) -> None:
    """Remove a folder with everything in it, folders that may not be written to included; links are not followed.

    Raises:
        EnvironmentFailed: something of it stays.
    """
    for _ in range(3):
        shutil.rmtree(root, ignore_errors=True)
        if not os.path.lexists(root):
            return
        for folder, folders, _names in os.walk(root):
            for name in (".", *folders):
                with suppress(OSError):
                    (Path(folder) / name).chmod(0o700)
        time.sleep(0.1)
    raise EnvironmentFailed(f"{root} cannot be removed; remove it by hand")

"""What keeps a command from being started on this machine, known before anything is launched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from cardrunner.workloads.command.sections import CommandTraining

if TYPE_CHECKING:
    from cardrunner.card.schema.card import Card


def obstacle(card: Card, training: CommandTraining, workspace: Path) -> str | None:
    """The first of them, as a sentence that begins with its place in the card; None without any.

    Args:
        card: of the run.
        training: its section.
        workspace: the folder that the code folder is relative to.
    """
    code = workspace / ((card.code.folder if card.code is not None else None) or ".")
    folder = code / (training.workdir or ".")
    if not folder.is_dir():
        return f"training.workdir: the code has no folder {training.workdir}; write one that it has"
    why = absence(code, training.command[0])
    return None if why is None else f"training.command[0]: {why}"


def absence(folder: Path, first: str) -> str | None:
    """Why a program cannot be started, with the next step; None if it can.

    Args:
        folder: what a relative path is relative to.
        first: a path, or a name that the folders of PATH are searched for.
    """
    if os.sep not in first:
        if shutil.which(first) is None:
            return f"{first} is not installed: no folder of PATH has it; install it, or write its path"
        return None
    path = folder / first
    if not path.exists():
        if os.path.lexists(path):
            return f"{first} leads to an interpreter that is gone; make its virtual environment anew"
        return f"{first} is not there (run in {folder}); write the path of a program that exists"
    if not path.is_file() or not os.access(path, os.X_OK):
        return f"{first} cannot be run; name its interpreter first, or chmod +x it"
    return _gone_interpreter(path, first)


def _gone_interpreter(path: Path, first: str) -> str | None:
    """Programs of a virtual environment name its interpreter in their first line."""
    with path.open("rb") as stream:
        line = stream.readline(1_000)
    words = line.removeprefix(b"#!").split() if line.startswith(b"#!") else []
    if not words or Path(os.fsdecode(words[0])).exists():
        return None
    gone = os.fsdecode(words[0])
    return f"{first} is run by {gone}, which is gone; make its virtual environment anew"

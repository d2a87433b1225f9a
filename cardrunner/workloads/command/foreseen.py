"""What a plan says of the code, the interpreter and the environment of a script."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cardrunner.card.platforms import platform_of
from cardrunner.common.text import plural
from cardrunner.errors import EnvironmentFailed, UsageError
from cardrunner.gate.code import code_of
from cardrunner.gate.code_state import changed_files
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import code_state
from cardrunner.workloads.command.filling import Filling
from cardrunner.workloads.command.sections import CommandTraining
from cardrunner.workspace import Workspace

if TYPE_CHECKING:
    from cardrunner.card.schema.card import Card


def code_lines(card: Card, workspace: Path) -> Iterator[str]:
    """The code of the next launch: what is signed, and what is in the folder now."""
    if card.code is None or card.code.folder is None:
        return
    signed = f"sha256 {card.code.sha256[:12]}" if card.code.sha256 else "no sha256 yet"
    try:
        found = code_of(card.code, Workspace(workspace), beside=False)
        state = code_state(found.commit, changed_files(found))
    except (UsageError, EnvironmentFailed):  # the gate says why
        yield f"code: {card.code.folder}, signed with {signed}; it cannot be read now"
        return
    yield f"code: a copy of {plural(len(found.files), 'file')} in {card.code.folder}, signed with {signed}"
    yield f"code state: {state}"


def interpreter_line(card: Card, training: CommandTraining, workspace: Path) -> str:
    """The program that runs the script, and the file behind its name."""
    first, lock = training.command[0], card.code.lock if card.code is not None else None
    held = f"; its packages are held against {lock}" if lock else ""
    if platform_of(card.infra).storage(card.infra) is not None:
        return f"interpreter: {first} of the image{held}"
    folder = workspace / (card.code.folder or "." if card.code is not None else ".")
    found = shutil.which(first) if "/" not in first else str(folder / first)
    there = found is not None and Path(found).exists()
    return f"interpreter: {first}, {found if there else 'which is not here'}{held}"


def environment_line(training: CommandTraining, folder: RunFolder) -> str:
    """The variables that are added for the script."""
    return "environment added: " + ", ".join(
        f"{name}={value}" for name, value in {**Filling(training, folder).environment, "PYTHONUNBUFFERED": "1"}.items()
    )

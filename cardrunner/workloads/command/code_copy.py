"""The copy of the code in the run folder, from which every command of a card runs; nothing else stays in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from cardrunner.contracts import RunContext
from cardrunner.errors import IntegrityError, UsageError
from cardrunner.gate.code import CodeFiles, link_data
from cardrunner.gate.code_listing import IMPORTABLE
from cardrunner.runs.events import WarningGiven
from cardrunner.runs.files import explained
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import InterpreterRecord, KeptCode, read_record, readable_record
from cardrunner.workloads.command.filling import Filling


def in_environment(program: Path) -> bool:
    """Whether a program is one of a virtual environment, whose packages are recorded, rather than code."""
    place = program.parent.parent
    return (place / "pyvenv.cfg").is_file() or (place / "conda-meta").is_dir()


def code_folder(ctx: RunContext) -> Path:
    """The copy of the code that the run trains from, compared with what was signed.

    Raises:
        IntegrityError: it is not what was signed any more.
    """
    kept = read_record(ctx.folder.code_record, KeptCode)
    folder = ctx.folder.code / kept.folder
    pin = ctx.card.code
    for name, is_there in CodeFiles(folder, kept.files).unlike(kept.sums):
        what = "is not what was signed and copied at the launch" if is_there else "is missing"
        raise IntegrityError(f"{folder / name} {what}; put the copy back as the launch made it")
    found = CodeFiles(folder, kept.files).sha256
    if pin is None or found != pin.sha256:
        raise IntegrityError(
            f"{folder} is not the code that was signed: its sha256 is {found}; put the copy back as the launch made it"
        )
    return folder


def prepare_code(ctx: RunContext) -> None:
    """Leave in the copy of the code what was launched, and the data.

    Raises:
        EnvironmentFailed: a data file is not there, or the disk fails.
    """
    for sentence in tidy(ctx.folder, read_record(ctx.folder.code_record, KeptCode)):
        ctx.ledger.append(WarningGiven(attempt=ctx.attempt, message=sentence))
    link_data(ctx.card, ctx.workspace, ctx.folder.code)


def program(ctx: RunContext, code: Path, written: str) -> str:
    """The program of a command line; see `program_in`."""
    pin = ctx.card.code
    return program_in(code, ctx.workspace.root / (pin.folder or "." if pin is not None else "."), written)


def program_in(code: Path, origin: Path, written: str) -> str:
    """The program of a command line: a path in a copy of the code, or in a virtual environment beside its origin.

    Raises:
        UsageError: it is a file of the working tree, which no signature covers.
    """
    if "/" not in written or written.startswith("/") or (code / written).exists():
        return written
    found = origin / written
    if found.exists() and not in_environment(found):
        raise UsageError(f"training.command: {found} is not part of the code, so that signatures do not cover it")
    return str(found)


def variables_of(folder: RunFolder, filling: Filling) -> dict[str, str]:
    """What is added to the environment of a command of the card: its variables, and where its code is imported from."""
    asked = readable_record(folder.interpreter, InterpreterRecord)
    if asked is None or not (asked.search or "PYTHONPATH" in os.environ):
        return filling.environment
    return filling.environment | {"PYTHONPATH": os.pathsep.join(asked.search)}


def tidy(folder: RunFolder, kept: KeptCode) -> Iterator[str]:
    """Set aside what could be imported and was not launched, and remove what interpreters have compiled.

    Yields:
        a sentence for each file that was set aside.

    Raises:
        EnvironmentFailed: the disk is failing.
    """
    launched = {folder.code / kept.folder / name for name in kept.files}
    with explained(folder.code, "write"):
        for cache in [path for path in folder.code.rglob("__pycache__") if path.is_dir() and not path.is_symlink()]:
            shutil.rmtree(cache, ignore_errors=True)
        for path in sorted(folder.code.rglob("*")):
            if path.suffix in IMPORTABLE and path not in launched and (path.is_file() or path.is_symlink()):
                place = _free(folder.kept / "aside", path)
                place.parent.mkdir(parents=True, exist_ok=True)
                path.rename(place)
                yield f"{path} could be imported and is no part of the code that was launched; it is now {place}"


def _free(aside: Path, path: Path) -> Path:
    number = 1 + sum(1 for _ in aside.iterdir()) if aside.is_dir() else 1
    return aside / f"{number:03d}-{path.name}"

"""Faults of a card whose code runs on another machine, where only what is carried there exists."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from cardrunner.card.contracts import Carried, CarriesCode
from cardrunner.card.platforms import PLATFORMS, platform, platform_of
from cardrunner.common.lock_file import read_lock
from cardrunner.common.text import listed
from cardrunner.common.units import format_bytes
from cardrunner.errors import EnvironmentFailed, UsageError
from cardrunner.gate.code import CodeFiles, code_of
from cardrunner.gate.code_listing import IMPORTABLE
from cardrunner.specs import Location, Remark
from cardrunner.workloads.command.code_copy import in_environment
from cardrunner.workspace import Workspace

if TYPE_CHECKING:
    from cardrunner.card.schema.card import Card
    from cardrunner.workloads.command.sections import CommandTraining

_ABSOLUTE = re.compile(r"(?:^|=)(/[^/\s{][^\s{]*)")
_CODE: Location = ("code", "folder")


def platform_remarks(card: Card, training: CommandTraining) -> Iterator[Remark]:
    """Faults of a card for a platform whose machines have none of the files of this one; from the card alone."""
    yield from _data(card)
    there = platform_of(card.infra)
    if there.storage(card.infra) is None:
        return
    if not isinstance(there, CarriesCode):
        able = [name for name in PLATFORMS if name == "local" or isinstance(platform(name), CarriesCode)]
        message = f"is {there.name}, to which the code of a script cannot be carried; write {listed(able, 'or')}"
        yield Remark(loc=("infra", "platform"), message=message)
        return
    yield from there.unpinned(card.infra)
    for loc, text in _arguments(training):
        found = _ABSOLUTE.search(text)
        if found is not None and not _is_there(found[1], there.carried):
            why = _program(found[1]) if loc[-2:] == ("command", 0) else _path(found[1], there.carried)
            yield Remark(loc=loc, message=why)


def file_remarks(card: Card, training: CommandTraining, workspace: Path) -> Iterator[Remark]:
    """Faults that only the files of the code tell: what is too large, and what the command names beside it.

    Args:
        card: the card.
        training: its section.
        workspace: where the code is.
    """
    carried, pin = _carried(card), card.code
    if pin is not None and pin.folder is not None and not _is_inside(workspace / pin.folder, workspace):
        message = f"{pin.folder} is a link that leads out of the workspace {workspace}; put the code in it"
        yield Remark(loc=_CODE, message=message)
        return
    with contextlib.suppress(UsageError, EnvironmentFailed):  # the gate says what is wrong with the folder
        if pin is not None and pin.folder is not None:
            found = code_of(pin, Workspace(workspace), beside=False)
            files = frozenset(found.files)
            if carried is not None:
                yield from _sizes(found.sizes(), carried)
            yield from _program_remarks(training, found.folder, files, far=carried is not None)
            yield from _absolute(training, found.folder)
            yield from _lock(card, found)
            yield from _beside(card, training, found.folder, files)


def _data(card: Card) -> Iterator[Remark]:
    """Data files that would be linked beside the code, or could be imported as such."""
    for index, entry in enumerate(() if card.data.is_synthetic else card.data.source):
        at = () if len(card.data.source) == 1 else (index,)
        if ".." in PurePosixPath(entry.path).parts:
            message = f"{entry.path} leaves the workspace, whose layout a run has; write a path in it"
            yield Remark(loc=("data", "source", *at), message=message)
        elif PurePosixPath(entry.path).suffix in IMPORTABLE and entry.sha256 is None and card.data.sha256 is None:
            message = f"{entry.path} could be imported by the script; write its sha256, so that signatures cover it"
            yield Remark(loc=("data", "source", *at), message=message)


def _carried(card: Card) -> Carried | None:
    there = platform_of(card.infra)
    far = there.storage(card.infra) is not None
    return there.carried if far and isinstance(there, CarriesCode) else None


def _arguments(training: CommandTraining) -> Iterator[tuple[Location, str]]:
    yield from ((("training", "command", index), text) for index, text in enumerate(training.command))
    if isinstance(training.resume, tuple):
        yield from ((("training", "resume", index), text) for index, text in enumerate(training.resume))
    yield from ((("training", "environment", name), text) for name, text in training.environment.items())


def _is_there(path: str, carried: Carried) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in carried.folders)


def _program(path: str) -> str:
    return f"is {path}, a program of this machine; write its name, such as python: the image has its own"


def _path(path: str, carried: Carried) -> str:
    return (
        f"holds {path}, a path of this machine; there are {listed(carried.folders)} there, the code with relative "
        "paths, {out}, and the files of data.source"
    )


def _sizes(sizes: Mapping[str, int], carried: Carried) -> Iterator[Remark]:
    name, largest = max(sizes.items(), key=lambda entry: entry[1], default=("", 0))
    if largest > carried.largest_file:
        what = f"{name} has {format_bytes(largest)}, and a file of the code that is carried has at most"
        message = f"{what} {format_bytes(carried.largest_file)}; put it on the volume and name it under data.source"
        yield Remark(loc=_CODE, message=message)
    elif (total := sum(sizes.values())) > carried.largest_code:
        what = f"its files have {format_bytes(total)}, and code that is carried has at most"
        yield Remark(loc=_CODE, message=f"{what} {format_bytes(carried.largest_code)}; name a smaller folder")


def _program_remarks(training: CommandTraining, folder: Path, files: frozenset[str], *, far: bool) -> Iterator[Remark]:
    """A program that is a relative path, and neither a file of the code nor, here, one of a virtual environment."""
    first = training.command[0]
    if "/" not in first or first.startswith("/") or str(PurePosixPath(first)) in files:
        return
    if far:
        yield Remark(loc=("training", "command", 0), message=_program(first))
    elif (folder / first).exists() and not in_environment(folder / first):
        message = f"{first} is not part of the code, so that signatures do not cover it; `git add` it"
        yield Remark(loc=("training", "command", 0), message=message)


def _absolute(training: CommandTraining, folder: Path) -> Iterator[Remark]:
    """Absolute paths of the working tree, and of code elsewhere: a run would go by what they hold then."""
    for loc, text in _arguments(training):
        found = _ABSOLUTE.search(text)
        if found is None or (loc[-2:] == ("command", 0) and in_environment(Path(found[1]))):
            continue
        path = Path(found[1])
        if _is_inside(path, folder):
            name = path.resolve().relative_to(folder.resolve())
            message = f"holds {path}, which is in the working tree, and a run has its own copy; write {name}"
            yield Remark(loc=loc, message=message)
        elif path.suffix in (".py", ".sh") and path.is_file():
            message = f"holds {path}, code that no signature covers; put it into the code folder"
            yield Remark(loc=loc, message=message, severity="warning")


def _is_inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _lock(card: Card, code: CodeFiles) -> Iterator[Remark]:
    """A lock file that is not in the code, or pins no versions."""
    name = card.code.lock if card.code is not None else None
    if name is None:
        return
    if name not in code.files:
        message = f"{name} is not part of the code, so that signatures do not cover it; `git add` it"
        yield Remark(loc=("code", "lock"), message=message)
        return
    try:
        read_lock(code.folder / name, field="code.lock")
    except UsageError as error:
        yield Remark(loc=("code", "lock"), message=str(error).removeprefix("code.lock: "))


def _beside(card: Card, training: CommandTraining, folder: Path, files: frozenset[str]) -> Iterator[Remark]:
    """Files that the command names and that the copy of the code will not have."""
    data = {entry.path.lstrip("/") for entry in card.data.source}
    where = PurePosixPath(training.workdir or ".")
    for loc, text in _arguments(training):
        word = text.rpartition("=")[2]
        if not word or "{" in word or word.startswith(("/", "-")) or loc[-2:] == ("command", 0):
            continue
        name = str(where / word)
        known = name in files or str(PurePosixPath(card.code.folder or ".") / name) in data if card.code else True
        if not known and (folder / name).is_file():
            message = (
                f"names {word}, which is here and not part of the code, so that a run does not have it; `git add` it, "
                "list it in code.files, or name it under data.source; for what the script writes, use {out}"
            )
            far = _carried(card) is not None
            yield Remark(loc=loc, message=message, severity="error" if far else "warning")

"""What to do about a script that died in a trial, as far as its last lines tell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from cardrunner.workloads.command.trying.place import TrialPlace

MOST_DATA: Final = 50
"""Files that are offered as data."""
_NO_FILE: Final = re.compile(r"No such file or directory: '([^']+)'|can't open file '([^']+)'")
_NO_MODULE: Final = re.compile(r"No module named '([\w.]+)'")
_NO_OPTION: Final = re.compile(r"(?:unrecognized arguments|no such option|invalid choice): (.+)", re.IGNORECASE)
_REQUIRED: Final = re.compile(r"the following arguments are required: (.+)")
_OFFLINE: Final = re.compile(r"offline mode|LocalEntryNotFound|OfflineModeIsEnabled|couldn't connect|Max retries", re.I)
_ASKS: Final = re.compile(r"EOFError|Inappropriate ioctl for device|not a tty", re.IGNORECASE)
_LOGIN: Final = re.compile(r"api[_ ]key not configured|wandb login|not logged in|credentials", re.IGNORECASE)


def remedy(tail: Sequence[str], place: TrialPlace) -> str:
    """A sentence with the next step."""
    text = "\n".join(tail)
    if (found := _last(_NO_FILE, text)) is not None:
        return _of_file(found[1] or found[2], place)
    if (found := _last(_NO_MODULE, text)) is not None:
        return _of_module(found[1], place)
    if (found := _last(_REQUIRED, text)) is not None:
        return f"the script needs {found[1]}: write it into training.command"
    if (found := _last(_NO_OPTION, text)) is not None:
        return f"the script does not know {found[1]}: correct training.command"
    if _ASKS.search(text):
        return "it asks a person for an answer, and no terminal is there: give the answer as an argument"
    if _OFFLINE.search(text):
        return "it wanted something from the network, which a trial is not given: download it before, by hand"
    if _LOGIN.search(text):
        return "it wanted a login, which a trial is not given: let it go on without one, or try it in your own shell"
    return "run it by hand from the code folder; when it runs there, look at training.command and training.workdir"


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return next(iter(reversed(list(pattern.finditer(text)))), None)


def missing_data(tail: Sequence[str], place: TrialPlace) -> tuple[str, ...]:
    """The files beside one that a script did not find in the copy, and that are in the code folder.

    Returns:
        Their paths as the card's data names them; empty where the script died of something else, or they are too many.
    """
    found = _last(_NO_FILE, "\n".join(tail))
    if found is None or place.folder.workspace is None:
        return ()
    wanted, root = place.origin / _inside(found[1] or found[2], place), place.folder.workspace.resolve()
    folder = wanted if wanted.is_dir() else wanted.parent
    if not wanted.exists() or folder == place.origin or not folder.resolve().is_relative_to(root):
        return (_path(wanted, root),) if wanted.is_file() and wanted.resolve().is_relative_to(root) else ()
    files = sorted(islice((path for path in folder.rglob("*") if path.is_file()), MOST_DATA + 1))
    absent = [path for path in files if not (place.code / path.relative_to(place.origin)).exists()]
    return tuple(_path(path, root) for path in absent) if len(files) <= MOST_DATA else ()


def _path(file: Path, root: Path) -> str:
    return (file.parent.resolve() / file.name).relative_to(root).as_posix()


def _inside(path: str, place: TrialPlace) -> str:
    return path.removeprefix(f"{place.code}/")


def _of_file(path: str, place: TrialPlace) -> str:
    name = _inside(path, place)
    if (place.origin / name).exists():
        return (
            f"{name} is in {place.origin} and not in the copy, since git does not track it: name it under data.source,"
            " so that it is linked into each copy, or make it part of the code (git add, or code.files)"
        )
    return f"{name} is not there; a path in the code folder has to be tracked, and what it writes belongs into {{out}}"


def _of_module(name: str, place: TrialPlace) -> str:
    first = name.partition(".")[0]
    if any((place.origin / candidate).exists() for candidate in (f"{first}.py", first)):
        return f"{first} is in {place.origin}, and is no tracked file: add it to git or to code.files"
    return (
        f"the interpreter of training.command has no package {first}: install it there, or name the interpreter of the"
        " virtual environment that has it"
    )

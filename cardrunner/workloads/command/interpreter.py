"""The interpreter that runs a script: which one it is, and what is installed in it.

It is asked itself, because it is seldom the one that runs cardrunner. A program that is no Python script, such as a
shell script, has none.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import Field, ValidationError

from cardrunner.common.lock_file import Locked, normalized
from cardrunner.common.text import plural
from cardrunner.contracts import Fact
from cardrunner.runs.records import InterpreterRecord, Record

PATIENCE_SECONDS: Final = 10.0
_PACKAGE: Final = "cardrunner"
_INSTALLED: Final = ("site-packages", "dist-packages")
"""Names of folders whose packages are listed."""
_MOST_ROWS: Final = 20
_HEAD_BYTES: Final = 4096
_SHEBANG: Final = re.compile(r"^#!\s*(\S+)(?:[ \t]+(\S+))?")
_EXEC: Final = re.compile(r"""^'''exec' "?([^"\n]+?)"? "\$0" """, re.MULTILINE)
"""How pip writes the interpreter of a script whose path is too long for a shebang."""
_QUESTION: Final = """
import sys
if sys.path and sys.path[0] == "":
    del sys.path[0]
import json
found = {"version": ".".join(map(str, sys.version_info[:3])), "executable": sys.executable, "path": list(sys.path)}
found["prefix"] = [sys.prefix, sys.base_prefix]
packages, editable = {}, []
from importlib import metadata
for each in metadata.distributions():
    name = each.metadata["Name"] if each.metadata else None
    if not name or name in packages:
        continue
    packages[name] = each.version or ""
    try:
        origin = json.loads(each.read_text("direct_url.json") or "{}")
    except Exception:
        origin = {}
    url = origin.get("url") or ""
    if (origin.get("dir_info") or {}).get("editable") and url.startswith("file://"):
        from urllib.parse import unquote
        editable.append(unquote(url[7:]))
for name, module in list(sys.modules.items()):
    if name.startswith("__editable__"):
        import os
        editable += [os.path.dirname(str(place)) for place in (getattr(module, "MAPPING", None) or {}).values()]
found["packages"], found["editable"] = packages, editable
custom = {name: getattr(sys.modules.get(name), "__file__", None) for name in ("sitecustomize", "usercustomize")}
found["custom"] = {name: place for name, place in custom.items() if place}
print("\\n" + json.dumps(found))
"""


class Answer(Record):
    """What an interpreter says of itself."""

    version: str
    executable: str
    path: tuple[str, ...] = ()
    prefix: tuple[str, ...] = ()
    packages: dict[str, str] = Field(default_factory=dict)
    editable: tuple[str, ...] = ()
    """Folders that it imports from although their code is installed elsewhere than in its own folders."""
    custom: dict[str, str] = Field(default_factory=dict)
    """Modules that it runs at every start, and their files."""


@dataclass(frozen=True)
class Asked:
    """An interpreter and its answer."""

    program: str | None
    """Its path; None for a program that is no Python script."""
    answer: Answer | None = None
    problem: str | None = None
    """Why it did not answer."""


def ask(program: str, *, cwd: Path, environment: Mapping[str, str]) -> Asked:
    """Ask the interpreter of a program what is installed in it.

    Args:
        program: the first argument of a command line.
        cwd: where it runs.
        environment: the script's.
    """
    path = interpreter_of(program, cwd=cwd, environment=environment)
    if path is None:
        return Asked(None, problem=f"{program} is no Python program, so that its packages are not known")
    try:
        done = subprocess.run(
            [path, "-c", _QUESTION],
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Asked(path, problem=f"{path} did not say within {PATIENCE_SECONDS:.0f} s what is installed")
    except OSError as error:
        return Asked(path, problem=f"{path} cannot be asked: {error.strerror}")
    lines = done.stdout.decode(errors="replace").strip().splitlines()
    try:
        return Asked(path, Answer.model_validate_json(lines[-1] if lines else ""))
    except ValidationError:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        return Asked(path, problem=f"{path} did not say what is installed{': ' + said[-1][:200] if said else ''}")


def interpreter_of(program: str, *, cwd: Path, environment: Mapping[str, str]) -> str | None:
    """The Python interpreter that a program is, or that the first line of its file names; None for another program."""
    found = str(cwd / program) if "/" in program else shutil.which(program, path=environment.get("PATH"))
    if found is None:
        return None
    if re.match(r"(?:python|pypy)[\d.]*$", Path(found).name):
        return found
    try:
        with Path(found).open("rb") as stream:
            head = stream.read(_HEAD_BYTES).decode(errors="replace")
    except OSError:
        return None
    shebang = _SHEBANG.match(head)
    if shebang is None:
        return None
    named = shebang[2] if Path(shebang[1]).name == "env" else shebang[1]
    if Path(named or "").name == "sh" and (inside := _EXEC.search(head)) is not None:
        named = inside[1]
    if not named or not re.match(r"(?:python|pypy)[\d.]*$", Path(named).name):
        return None
    return named if "/" in named else shutil.which(named, path=environment.get("PATH"))


def record_of(asked: Asked, attempt: int, before: InterpreterRecord | None) -> InterpreterRecord:
    """The record of an attempt, with what differs from the attempts before."""
    answer = asked.answer
    packages = {normalized(name): version for name, version in answer.packages.items()} if answer else {}
    digest = hashlib.sha256(json.dumps(packages, sort_keys=True).encode()).hexdigest() if answer else None
    changes = before.changes if before is not None else ()
    if before is not None and answer is not None and before.sha256 is not None:
        python = (before.program, before.version), (asked.program, answer.version)
        found = [] if python[0] == python[1] else [f"{_python(*python[1])} in place of {_python(*python[0])}"]
        found += differences(before.packages, packages)
        changes = (*changes, f"attempt {attempt}: {'; '.join(found[:_MOST_ROWS])}") if found else changes
    return InterpreterRecord(
        attempt=attempt,
        program=asked.program,
        version=answer.version if answer else None,
        packages=dict(sorted(packages.items())),
        sha256=digest,
        custom=_digests(answer.custom) if answer else {},
        problem=asked.problem,
        changes=changes,
    )


def _python(program: str | None, version: str | None) -> str:
    return f"Python {version} ({program})"


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """What differs between two lists of packages, in words."""
    for name in sorted(before.keys() | now.keys()):
        if name not in now:
            yield f"{name} {before[name]} is gone"
        elif name not in before:
            yield f"{name} {now[name]} is new"
        elif before[name] != now[name]:
            yield f"{name} {before[name]} is now {now[name]}"


def facts(record: InterpreterRecord, lock: tuple[Locked, ...], *, named: str | None) -> Iterator[Fact]:
    """Rows about the interpreter, and about each package that is not as the lock file has it.

    Args:
        record: of this attempt.
        lock: the packages of the lock file.
        named: the lock file; None without one.
    """
    known = record.sha256 is not None
    actual = f"Python {record.version}, {plural(len(record.packages), 'package')}" if known else str(record.problem)
    note = f"sha256 of the list {record.sha256[:12]}" if record.sha256 is not None else None
    yield Fact(name="interpreter", expected=None, actual=actual, ok=known or named is None, note=note)
    if named is None or not known:
        return
    wrong = [row for each in lock if (row := _row(each, record.packages.get(each.name), named)) is not None]
    yield from wrong[:_MOST_ROWS]
    held = f"{len(lock) - len(wrong)} of {plural(len(lock), 'package')} as locked"
    yield Fact(name="packages", expected=named, actual=held, ok=not wrong)


def _row(locked: Locked, installed: str | None, named: str) -> Fact | None:
    if installed is None:
        if locked.marker:
            return None  # it may be for other systems
        note = f"install what {named} lists"
        return Fact(name=f"package {locked.name}", expected=locked.version, actual="not installed", ok=False, note=note)
    if locked.accepts(installed):
        return None
    note = f"install what {named} lists, or have the card reviewed with another one"
    return Fact(name=f"package {locked.name}", expected=locked.version, actual=installed, ok=False, note=note)


def _digests(custom: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for place in custom.values():
        try:
            found[place] = hashlib.sha256(Path(place).read_bytes()).hexdigest()
        except OSError:
            found[place] = "not readable"
    return found


def search_path(
    asked: Asked, *, origin: Path, copy: Path, environment: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """The entries of ``PYTHONPATH`` for a script that runs from a copy, and those whose code no signature covers.

    What an interpreter imports from the folder that was copied, by ``PYTHONPATH`` or an editable install, it is to
    import from the copy.

    Args:
        asked: the interpreter.
        origin: the code folder in the workspace.
        copy: the copy of it.
        environment: the script's.
    """
    given = [entry for entry in environment.get("PYTHONPATH", "").split(os.pathsep) if entry]
    answer = asked.answer or Answer(version="", executable="")
    added = [entry for entry in (*answer.editable, *answer.path) if not _is_inside(entry, *answer.prefix)]
    places = dict.fromkeys((*given, *added))
    entries = [entry for entry in places if Path(entry).is_absolute() and Path(entry).is_dir()]
    inside = [Path(entry).resolve() for entry in entries if _is_inside(entry, str(origin))]
    copied = [str(copy / entry.relative_to(origin.resolve())) for entry in inside]
    relative = [entry for entry in given if not Path(entry).is_absolute()]
    outside = [entry for entry in entries if not _is_inside(entry, str(origin))]
    unsigned = [entry for entry in outside if not (Path(entry).name in _INSTALLED or _is_ours(entry))]
    kept = [entry for entry in outside if entry in given]
    return [*relative, *(entry for entry in dict.fromkeys(copied) if Path(entry).is_dir()), *kept], unsigned


def _is_ours(entry: str) -> bool:
    """Whether a folder holds the sources of this package, as those who develop it have them."""
    return Path(entry, _PACKAGE, "__init__.py").is_file()


def _is_inside(entry: str, *folders: str) -> bool:
    place = Path(entry).resolve()
    return any(place.is_relative_to(Path(folder).resolve()) for folder in folders)

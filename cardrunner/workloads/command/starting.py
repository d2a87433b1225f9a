"""The card that `cardrunner new NAME --workload command -- python train.py --lr 1e-3` begins with.

The command line stays what people type, but for three things, each marked in a comment: numbers after options become
parameters, the folder for what the script writes becomes ``{out}``, and the interpreter is that of the folder's virtual
environment.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from cardrunner.workloads.command.script_options import (
    OUT_FILES,
    OUT_FOLDERS,
    Options,
    in_out,
    options_of,
    out_option,
    resume_of,
)
from cardrunner.workloads.command.substitution import OWN

_EXAMPLE: Final = ("python", "train.py", "--lr", "1e-3", "--steps", "1000")
_FLAG: Final = re.compile(r"--?([A-Za-z][\w.-]*)|([A-Za-z][\w.]*)(?==)")
_NUMBER: Final = re.compile(r"[-+]?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?")
_STEPS: Final = re.compile(r"(?:trainer_|max_?|num_?|total_?|n_?|train_?)*(?:iters?|iterations|steps)")
_EPOCHS: Final = re.compile(r"(?:trainer_|max_?|num_?|total_?|n_?|train_?)*epochs")
_ENVIRONMENTS: Final = (".venv", "venv", "env")
_CODE: Final = frozenset({".py", ".yaml", ".yml", ".toml", ".json", ".cfg", ".ini", ".sh", ".txt"})
_NO_CODE: Final = frozenset({"runs", "runcards", "wandb", "mlruns", "lightning_logs", "out", "outputs", "node_modules"})


@dataclass
class _Guesses:
    """The command as the card has it, and what was guessed about it."""

    folder: Path
    arguments: list[str] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)
    seed: str | None = None
    remarks: list[str] = field(default_factory=list)
    """One for each thing that is not as it was typed."""
    writes: bool = False
    """Whether `{out}` occurs in it."""


def starter(command: Sequence[str], *, folder: Path | None = None, workspace: Path | None = None) -> str:
    """A card that runs a command line.

    Args:
        command: as people type it; empty for an example.
        folder: where they type it, which becomes the code folder; None for an example.
        workspace: the folder that the card's paths are relative to.
    """
    guesses = _guessed(command or _EXAMPLE, folder or Path())
    options = Options({}) if folder is None else options_of(command, folder)
    if folder is not None:
        _complete(guesses, folder, options)
    text = Path(__file__).with_name("starter.yaml").read_text(encoding="utf-8")
    parts = {
        "@CODE@": _code(folder, workspace),
        "@DATA@": "\n".join(_data(command, options, folder, workspace)),
        "@GUESSES@": "".join(f"\n  # guessed: {remark}" for remark in guesses.remarks),
        "@COMMAND@": f"[{', '.join(map(_quoted, guesses.arguments))}]",
        " @PARAMETERS@": "".join(f"\n    {name}: {value}" for name, value in guesses.parameters.items()) or " {}",
        "@SEED@": "" if guesses.seed is None else f"\n  seed: {guesses.seed}",
        "@RESUME@": _resume(options),
        "@LENGTH@": _length(guesses.parameters),
    }
    for mark, part in parts.items():
        text = text.replace(mark, part)
    return text


def _quoted(argument: str) -> str:
    """An argument as a value of YAML."""
    return json.dumps(argument, ensure_ascii=False)


def _guessed(command: Sequence[str], folder: Path) -> _Guesses:
    guesses = _Guesses(folder)
    before = ""
    for number, argument in enumerate(command):
        flag, equals, value = argument.partition("=")
        name = _name(argument if equals else before)
        told = f"{flag}=" if equals else ""
        guesses.arguments.append(told.replace("{", "{{") + _value(guesses, name, value if equals else argument, number))
        before = "" if equals else argument
    return guesses


def _name(flag: str) -> str:
    """The name of the option that a value follows; empty for none."""
    found = _FLAG.match(flag)
    return (found[1] or found[2]).partition("=")[0].replace("-", "_") if found else ""


def _value(guesses: _Guesses, name: str, value: str, number: int) -> str:
    """What stands in the card for a value of the command."""
    file = name in OUT_FILES and PurePosixPath(value).suffix and not (guesses.folder / value).exists()
    if number and not value.startswith("-") and (name in OUT_FOLDERS or file):
        guesses.writes = True
        guesses.remarks.append(f"{name} was {value}; {{out}} is the folder of each run for what the script writes")
        return in_out(value)
    key = name.replace(".", "_")
    if not key or not _NUMBER.fullmatch(value):
        return value.replace("{", "{{").replace("}", "}}")
    if key == "seed" and value.isdigit() and guesses.seed is None:
        guesses.seed = value
        return "{seed}"
    if key in guesses.parameters or key in OWN or len(key) > 64:
        return value
    guesses.parameters[key] = value
    return f"{{{key}}}"


def _complete(guesses: _Guesses, folder: Path, options: Options) -> None:
    """The interpreter of the folder, and where the script writes."""
    first = guesses.arguments[0]
    found = next((path for name in _ENVIRONMENTS if (path := folder / name / "bin" / first).exists()), None)
    if found is not None and "/" not in first:
        guesses.arguments[0] = found.relative_to(folder).as_posix()
        guesses.remarks.insert(0, f"{first} is that of the virtual environment here")
    elif first == "python" and shutil.which("python") is None and shutil.which("python3") is not None:
        guesses.arguments[0] = "python3"
        guesses.remarks.insert(0, "no folder of PATH has python, so python3 runs it")
    option = None if guesses.writes else out_option(options)
    if option is not None:
        name, value = option
        guesses.arguments += options.written(name, value)
        guesses.remarks.append(f"{options.flags[name]} is an option that the script seems to have for what it writes")
    elif not guesses.writes:
        guesses.remarks.append(
            "no option says where the script writes; what it saves outside of {out} cannot be kept or resumed from"
        )


def _resume(options: Options) -> str:
    found = resume_of(options)
    if found is None:
        return '# resume: ["--resume", "{checkpoint}"]'
    return f"# resume: [{', '.join(map(_quoted, found))}]     # guessed: an option that the script seems to have"


def _length(parameters: dict[str, str]) -> str:
    for pattern, key in ((_STEPS, "steps"), (_EPOCHS, "epochs")):
        name = next((name for name, value in parameters.items() if pattern.fullmatch(name) and value.isdigit()), None)
        if name is not None:
            return f'length: {{{key}: "{{{name}}}"}}     # guessed'
    return "# length: {steps: 1000}"


def _code(folder: Path | None, workspace: Path | None) -> str:
    if folder is None or workspace is None:
        return "{folder: .}"
    at = folder.relative_to(workspace).as_posix() if folder.is_relative_to(workspace) else "."
    place = at if re.fullmatch(r"[\w./-]+", at) else _quoted(at)
    if _in_git(folder):
        return f"{{folder: {place}}}"
    patterns = ", ".join(map(json.dumps, _patterns(folder)))
    return f"{{folder: {place}, files: [{patterns}]}}     # guessed: what is code here, without git"


def _data(command: Sequence[str], options: Options, folder: Path | None, workspace: Path | None) -> Iterator[str]:
    """Comments about the files that the command line, or an option that is not typed, names."""
    root = workspace or Path()
    named = {} if folder is None or workspace is None else _files_named(command, options, folder, workspace)
    pinned = [path for path in named if not _tracked(root / path)]
    for path, how in named.items():
        if path not in pinned:
            yield f"# {path}, {how}, is tracked by git: the digest of the code covers it already"
    if pinned:
        entries = ", ".join(f"{{path: {_quoted(path)}}}" for path in pinned)
        hows = ", ".join(named[path] for path in pinned)
        yield f"# data: {{source: [{entries}]}}     # guessed: {hows}; `cardrunner data CARD --write` adds the sha256"
    elif not named:
        yield "# data: {source: [{path: data/train.bin, sha256: ...}]}"


def _files_named(command: Sequence[str], options: Options, folder: Path, workspace: Path) -> dict[str, str]:
    """Files that are there and are no code, by their paths from the workspace, with what names them."""
    typed = {argument.rpartition("=")[2]: "which the command names" for argument in command[1:]}
    names = [name for name in options.defaults if name not in OUT_FOLDERS | OUT_FILES]
    untyped = {options.defaults[name]: f"the default of {options.flags[name]}" for name in names}
    found: dict[str, str] = {}
    for value, how in {**untyped, **typed}.items():
        path = Path(os.path.normpath(folder / value))
        is_data = value not in ("", ".") and path.suffix not in _CODE and "\n" not in value
        if is_data and path.is_relative_to(workspace) and path.is_file():
            found[path.relative_to(workspace).as_posix()] = how
    return found


def _tracked(path: Path) -> bool:
    command = ["git", "-C", str(path.parent), "ls-files", "--error-unmatch", "--", path.name]
    try:
        return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _in_git(folder: Path) -> bool:
    try:
        done = subprocess.run(["git", "-C", str(folder), "rev-parse"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _patterns(folder: Path) -> Iterator[str]:
    """Patterns of the files that look like code, in this folder and those in it that hold any."""
    suffixes = sorted({path.suffix for path in folder.iterdir() if path.is_file() and path.suffix in _CODE})
    yield from (f"*{suffix}" for suffix in suffixes or [".py"])
    for inside in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        if inside.name in _NO_CODE or (inside / "pyvenv.cfg").exists():
            continue
        if any(path.suffix == ".py" for path in inside.iterdir()):
            yield f"{inside.name}/**/*.py"

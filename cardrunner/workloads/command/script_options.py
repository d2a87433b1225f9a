"""The options that a script seems to have, read from its source without running it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from pathlib import Path, PurePosixPath
from typing import Final

_LARGEST: Final = 2_000_000
_CALL: Final = re.compile(r"\badd_argument\(|@(?:\w+\.)?option\(")
_MOST_LIKE: Final = 12
_LONGEST_CALL: Final = 400
_PARENTHESES: Final = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'|[()]")
_MOST_CALLS: Final = 1_000
_FLAGS: Final = re.compile(r"\s*(?:[\"']-[^\"'\n]{0,80}[\"']\s{0,80},?\s{0,80}){1,5}")
_DEFAULT: Final = re.compile(r"default\s*=\s*[\"']([^\"'\n]+)[\"']")
_SETS: Final = re.compile(r"default\s*=\s*(?!None\b|[\"']{2}|False\b)\S|required\s*=\s*True")
"""The option has a value without being typed, or has to be typed always."""
_COUNTS: Final = re.compile(r"type\s*=\s*(?:int|float)\b")
_SWITCH: Final = re.compile(r"action\s*=\s*[\"']store_(?:true|false)|BooleanOptionalAction|is_flag")
_FLAG: Final = re.compile(r"--[A-Za-z][\w.-]*")
_GLOBAL: Final = re.compile(r"^([a-z_]\w*)\s*=\s*([^#\n]+)", re.MULTILINE)
_OVERRIDDEN: Final = re.compile(r"configurator|globals\(\)")
"""A script whose global names are options: ``--out_dir=...``."""
OUT_FOLDERS: Final = frozenset(
    {
        "out", "out_dir", "outdir", "output_dir", "output_folder", "output", "save_dir", "save_path", "savedir",
        "logdir", "log_dir", "logging_dir", "checkpoint_dir", "ckpt_dir", "checkpoints_dir", "results_dir",
        "result_dir", "exp_dir", "run_dir", "model_dir", "default_root_dir", "trainer.default_root_dir", "work_dir",
        "workdir", "save_folder",
    }
)  # fmt: skip
"""Options that say where a script writes."""
OUT_FILES: Final = frozenset(
    {
        "snapshot", "snapshot_path", "checkpoint", "checkpoint_path", "checkpoint_file", "ckpt", "ckpt_file", "save",
        "save_to", "save_file", "model_path", "model_file", "out_file", "output_file", "output_path",
    }
)  # fmt: skip
"""Options that name a file which a script writes, where it is not there yet."""
_RESUMES: Final = (
    "resume_from_checkpoint", "resume_from", "resume_path", "resume_ckpt", "resume_checkpoint", "resume", "ckpt_path",
    "load_checkpoint", "load_ckpt", "load_from_checkpoint", "from_checkpoint", "continue_from", "continue_training",
    "continue_train", "restore_from", "restore_checkpoint", "restore", "init_from", "continue", "load_from",
    "load_path",
)  # fmt: skip
"""Options to resume, the surest first."""
_MAY_RESUME: Final = ("load", "checkpoint", "ckpt", "checkpoint_path", "snapshot_path", "init_checkpoint", "start_from")
"""Options that may name what to load or what to write: the former where nothing is loaded unless they are typed."""
_LIKE_RESUME: Final = re.compile(
    r"resum|load|restor|contin|ckpt|checkpoint|snapshot|pretrain|warm_?start|"
    r"(?:init(?:ial)?|start)_?(?:from|model|weights|path|epoch|step)|(?:model|weights)_?(?:path|file|from)"
)

_PARSERS: Final = {
    "HfArgumentParser": ("output_dir", "resume_from_checkpoint"),
    "LightningCLI": ("trainer.default_root_dir", "ckpt_path"),
}
"""Parsers of libraries, with options of theirs that no script names."""


@dataclass(frozen=True)
class Options:
    """Options by their names with ``_`` for ``-``.

    Args:
        flags: how each is written, such as ``--out-dir``.
        switches: those that take no value.
        joined: a value follows after an equals sign.
    """

    flags: Mapping[str, str]
    switches: frozenset[str] = frozenset()
    defaults: Mapping[str, str] = field(default_factory=dict)
    """What they are where they are not typed, if that is a text."""
    joined: bool = False
    given: frozenset[str] = frozenset()
    """Those that have a value though they are not typed, and those that have to be typed."""
    numbers: frozenset[str] = frozenset()
    """Those whose value is a number."""

    def written(self, name: str, value: str) -> tuple[str, ...]:
        """The arguments that give an option a value."""
        flag = self.flags[name]
        return (f"{flag}={value}",) if self.joined else (flag, value)


def options_of(command: Sequence[str], folder: Path) -> Options:
    """The options of the first Python file of a command line; none where it has none that can be read.

    Args:
        command: the arguments.
        folder: what relative paths are relative to.
    """
    script = next((folder / argument for argument in command if argument.endswith(".py")), None)
    try:
        text = script.read_bytes()[:_LARGEST].decode(errors="replace") if script is not None else ""
    except OSError:
        text = ""
    flags: dict[str, str] = {}
    switches: set[str] = set()
    defaults: dict[str, str] = {}
    given, numbers = set[str](), set[str]()
    for call in _calls(text):
        named = _FLAGS.match(call)
        for flag in _FLAG.findall(named[0]) if named is not None else ():
            name = flag.removeprefix("--").replace("-", "_")
            flags.setdefault(name, flag)
            switches |= {name} if _SWITCH.search(call) else set()
            if (default := _DEFAULT.search(call)) is not None:
                defaults[name] = default[1]
            given |= {name} if _SETS.search(call) else set()
            numbers |= {name} if _COUNTS.search(call) else set()
    for parser, names in _PARSERS.items():
        flags |= {name: f"--{name}" for name in names if f"{parser}(" in text}
    if not flags and _OVERRIDDEN.search(text):
        overridden = {found[1]: f"--{found[1]}" for found in _GLOBAL.finditer(text)}
        empty = {found[1] for found in _GLOBAL.finditer(text) if found[2].strip() in ("None", "''", '""', "False")}
        return Options(overridden, joined=True, given=frozenset(overridden.keys() - empty))
    return Options(flags, frozenset(switches), defaults, given=frozenset(given), numbers=frozenset(numbers))


def _calls(text: str) -> Iterator[str]:
    """What stands in the calls that declare an option."""
    places = list(islice(_CALL.finditer(text), _MOST_CALLS))
    for place, following in zip_longest(places, places[1:]):
        end = len(text) if following is None else following.start()
        yield _arguments(text[place.end() : min(end, place.end() + _LONGEST_CALL)])


def _arguments(text: str) -> str:
    """The beginning of a text up to the parenthesis that ends a call; all of it where none does."""
    depth = 1
    for found in _PARENTHESES.finditer(text):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if depth == 0:
            return text[: found.start()]
    return text


def out_option(options: Options) -> tuple[str, str] | None:
    """The name of the option that says where the script writes, with its value in a card; None where it has none."""
    known = [name for name in options.flags if name in OUT_FOLDERS | OUT_FILES and name not in options.switches]
    files = [name for name in known if PurePosixPath(options.defaults.get(name, "")).suffix]
    usable = [name for name in known if name in OUT_FOLDERS or name in files]
    name = min(usable, key=lambda name: (name not in OUT_FOLDERS, "out" not in name, len(name)), default=None)
    return None if name is None else (name, in_out(options.defaults.get(name, "")))


def in_out(path: str) -> str:
    """A path that a script writes to, in the folder of the run; a name with a suffix is a file in it."""
    return f"{{out}}/{PurePosixPath(path).name}" if PurePosixPath(path).suffix else "{out}"


def resume_of(options: Options) -> tuple[str, ...] | None:
    """The arguments to resume that the script seems to know; None where it seems to know none."""
    known = [name for name in _RESUMES if name in options.flags]
    known += [name for name in _MAY_RESUME if name in options.flags and name not in options.given]
    known = [name for name in known if name not in options.numbers]
    name = next((name for name in known if name not in options.given), known[0] if known else None)
    if name is None:
        return None
    if name == "init_from" and name in options.given:  # the choice is between scratch, resume and a published model
        return options.written(name, "resume")
    return (options.flags[name],) if name in options.switches else options.written(name, "{checkpoint}")


def resume_like(options: Options) -> tuple[str, ...]:
    """The options of a script whose names sound as if they had to do with a resume, as they are written."""
    return tuple(flag for name, flag in options.flags.items() if _LIKE_RESUME.search(name.lower()))[:_MOST_LIKE]

"""Ways to damage a file or a run folder, and changes that harm nothing."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.damaged_runs import RUN
from cardrunner.runs.damage import Kind
from tests.conftest import Zygote

Edit = Callable[[bytes, random.Random], bytes]
_ZEROS = 512


@dataclass(frozen=True)
class Way:
    """A way to damage a file.

    Args:
        says: in words.
        named: the words that name it truly; a torn line is a crash, so that word is right only where the table says.
        edit: makes other bytes of the file's bytes; None for those that need other files.
    """

    says: str
    named: frozenset[Kind]
    edit: Edit | None = None


def _flip(data: bytes, chance: random.Random) -> bytes:
    at, bit = chance.randrange(len(data)), 1 << chance.randrange(8)
    return data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]


def _digit(data: bytes, chance: random.Random) -> bytes:
    places = [at for at, byte in enumerate(data) if chr(byte).isdecimal() and byte < 128]
    if not places:
        return data
    at = chance.choice(places)
    other = chance.choice([digit for digit in b"0123456789" if digit != data[at]])
    return data[:at] + bytes([other]) + data[at + 1 :]


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def _zeros(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    size = min(chance.randint(1, _ZEROS), len(data) - at)
    return data[:at] + bytes(size) + data[at + size :]


def _reformat(data: bytes, chance: random.Random) -> bytes:  # noqa: ARG001
    """As a tool writes JSON that keeps its content."""
    try:
        return json.dumps(json.loads(data), sort_keys=True).encode() + b"\n"
    except ValueError:
        rows = [json.loads(line) for line in data.splitlines()]
        return b"".join(json.dumps(row, separators=(",", ":")).encode() + b"\n" for row in rows)


def _lines(change: Callable[[list[bytes], random.Random], object]) -> Edit:
    def edit(data: bytes, chance: random.Random) -> bytes:
        lines = data.splitlines(keepends=True)
        change(lines, chance)
        return b"".join(lines)

    return edit


def _short(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(data.rstrip(b"\n").rindex(b"\n") + 1)]


def _last(data: bytes, chance: random.Random) -> bytes:
    begin = data.rstrip(b"\n").rindex(b"\n") + 1
    return data[: chance.randrange(begin, len(data) - 1)]


def _swap(lines: list[bytes], chance: random.Random) -> None:
    if len(lines) > 1:
        at = chance.randrange(len(lines) - 1)
        lines[at], lines[at + 1] = lines[at + 1], lines[at]


def _tail(lines: list[bytes], chance: random.Random) -> None:
    if len(lines) > 2:
        del lines[-chance.randint(2, len(lines) - 1) :]


def _double(lines: list[bytes], chance: random.Random) -> None:
    at = chance.randrange(len(lines))
    lines.insert(chance.randint(at, len(lines)), lines[at])


_GONE: frozenset[Kind] = frozenset({"missing", "changed"})
_MORE: frozenset[Kind] = frozenset({"unexpected", "changed"})
_OTHER: frozenset[Kind] = frozenset({"changed", "missing", "unexpected"})
WAYS: Mapping[str, Way] = {
    "flip": Way("one bit is flipped", _OTHER, _flip),
    "digit": Way("one digit is another", _OTHER, _digit),
    "zeros": Way(f"up to {_ZEROS} bytes are zero", _OTHER | {"torn"}, _zeros),  # at the end, as a power cut leaves it
    "cut": Way("cut off at any byte", _GONE, _cut),
    "empty": Way("there, with no bytes in it", _GONE, lambda *_: b""),
    "lose": Way("one line is lost", _GONE, _lines(lambda lines, chance: lines.pop(chance.randrange(len(lines))))),
    "short": Way("cut off at any byte before its last line", _GONE, _short),
    "last": Way("the last line is lost, or cut off within", _GONE | {"torn"}, _last),
    "tail": Way("two or more last lines are lost", _GONE, _lines(_tail)),
    "double": Way("one line stands twice", _MORE, _lines(_double)),
    "swap": Way("two neighbouring lines are swapped", _OTHER, _lines(_swap)),
    "shuffle": Way("all lines are in another order", _OTHER, _lines(lambda lines, chance: chance.shuffle(lines))),
    "reformat": Way("written anew by a tool, with the same content", _OTHER, _reformat),
    "remove": Way("removed", _GONE),
    "older": Way("as it was at an earlier time of the same run", _OTHER),
    "other": Way("the file of another run in the same state", _OTHER),
}
"""By name. Those without an edit take a file away or put another in its place."""


def damage_file(path: Path, way: str, chance: random.Random, *, instead: Path) -> None:
    """Damage one file of a copy of a run, if the way applies to it.

    Args:
        path: the file.
        way: one of `WAYS`.
        chance: where and how.
        instead: the file that is put in its place, if the way needs one.
    """
    edit = WAYS[way].edit
    if edit is None:
        path.unlink()
        if way != "remove":
            shutil.copy2(instead, path)  # a name of its own, as a restored file has
    elif (changed := _edited(path.read_bytes(), edit, chance)) is not None:
        path.write_bytes(changed)  # in place: a second name of these bytes changes too, as on a bad disk


def applies(path: Path, way: str, *, instead: Path) -> bool:
    """Whether a way can make other bytes of a file: an earlier copy may be the same, a line may be the only one."""
    edit = WAYS[way].edit
    if edit is not None:
        return _edited(path.read_bytes(), edit, random.Random(0)) is not None
    return way == "remove" or (instead.is_file() and instead.read_bytes() != path.read_bytes())


def _edited(data: bytes, edit: Edit, chance: random.Random) -> bytes | None:
    for _ in range(8):
        with contextlib.suppress(ValueError, IndexError):  # no JSON, no line
            if (changed := edit(data, chance)) != data:
                return changed
    return None


# ---------------------------------------------------------------- what harms nothing


def _touch(workspace: Path, chance: random.Random, zygote: Zygote) -> None:  # noqa: ARG001
    for path in workspace.rglob("*"):
        at = chance.uniform(1e9, 2e9)
        os.utime(path, (at, at))


def _chmod(workspace: Path, chance: random.Random, zygote: Zygote) -> None:  # noqa: ARG001
    for path in (workspace / "runs").rglob("*"):
        if path.is_file():
            path.chmod(chance.choice((0o600, 0o640, 0o644, 0o664, 0o755)))


def _copied(workspace: Path, chance: random.Random, zygote: Zygote) -> None:  # noqa: ARG001
    """Copied file by file: new times, and no file has a second name any more."""
    _elsewhere(workspace, lambda old: shutil.copytree(old, workspace, copy_function=shutil.copyfile))


def _archived(workspace: Path, chance: random.Random, zygote: Zygote) -> None:  # noqa: ARG001
    packed = workspace.with_suffix(".tar")
    _run("tar", "-cf", str(packed), "-C", str(workspace.parent), workspace.name)
    shutil.rmtree(workspace)
    _run("tar", "-xf", str(packed), "-C", str(workspace.parent))
    packed.unlink()


def _cloned(workspace: Path, chance: random.Random, zygote: Zygote) -> None:  # noqa: ARG001
    """Everything committed to git, and checked out again."""
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C", str(workspace))
    _run(*git, "init", "-q")
    _run(*git, "add", "-f", ".")
    _run(*git, "commit", "-q", "-m", "all of it")
    _elsewhere(workspace, lambda old: _run("git", "clone", "-q", str(old), str(workspace)))


def _moved(workspace: Path, chance: random.Random, zygote: Zygote) -> None:
    """It stays there; its copy was launched at another place."""


def _notes(workspace: Path, chance: random.Random, zygote: Zygote) -> None:  # noqa: ARG001
    run = workspace / "runs" / RUN
    for name in ("my-notes.txt", ".DS_Store", "notes/look.md"):
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text("mine\n")


def _neighbour(workspace: Path, chance: random.Random, zygote: Zygote) -> None:  # noqa: ARG001
    shutil.copytree(workspace / "runs" / RUN, workspace / "runs" / "a-copy-of-it")


def _read(workspace: Path, chance: random.Random, zygote: Zygote) -> None:
    for command in chance.choices(("status", "verify", "report", "logs"), k=3):
        zygote.command(command, RUN, cwd=workspace).finish()


def _killed(*commands: str) -> Callable[[Path, random.Random, Zygote], None]:
    def harm(workspace: Path, chance: random.Random, zygote: Zygote) -> None:
        for command in chance.choices(commands, k=2):
            begun = zygote.command(command, RUN, cwd=workspace)
            time.sleep(chance.uniform(0.0, 0.9))
            with contextlib.suppress(ProcessLookupError):
                begun.send_signal(signal.SIGKILL)
            begun.wait()

    return harm


def _elsewhere(workspace: Path, copy: Callable[[Path], object]) -> None:
    old = workspace.with_name(f"{workspace.name}.old")
    workspace.rename(old)
    copy(old)
    shutil.rmtree(old)


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


HARMLESS: Mapping[str, Callable[[Path, random.Random, Zygote], None]] = {
    "touch": _touch,
    "chmod": _chmod,
    "copy": _copied,
    "archive": _archived,
    "git clone": _cloned,
    "move": _moved,
    "own files": _notes,
    "a copy beside it": _neighbour,
    "read": _read,
    "killed readers": _killed("status", "verify", "logs"),
    "killed reports": _killed("report"),
}
"""Changes that must not be called damage."""

"""Which files of a folder are code: those that git tracks and those that patterns name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from cardrunner.common.git import ask_git, in_repository
from cardrunner.common.text import listed
from cardrunner.errors import UsageError
from cardrunner.workspace import RULES

FIELD: Final = "code.folder"
IMPORTABLE: Final = frozenset({".py", ".so", ".pyd", ".pth", ".pyc"})
"""Suffixes of files that an interpreter may run when it finds them beside a script."""
_OWN_FILES: Final = frozenset({RULES, "allowed_signers", "revoked_keys", "card.schema.json"})
_OWN_FOLDERS: Final = frozenset({".cardrunner", ".git", "__pycache__"})
_SUBMODULE: Final = "160000"


@dataclass
class Listing:
    """The files of a folder that are code, and those beside them that could be imported.

    Names are relative to the folder.
    """

    files: tuple[str, ...]
    untracked: tuple[str, ...] = ()
    """Importable files that are neither tracked nor named nor ignored."""
    commit: str | None = None
    """What is checked out; None without git, and before the first commit."""


def list_code(folder: Path, patterns: Sequence[str] = (), *, beside: bool = True) -> Listing:
    """List the code of a folder.

    Args:
        folder: the folder.
        patterns: `code.files`.
        beside: also look for importable files that are no part of it, for which git walks the whole folder.

    Raises:
        UsageError: there is no such folder, a pattern leaves it, or neither git nor a pattern says what is code.
        EnvironmentFailed: git fails, or refuses the folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{FIELD}: {folder} is not a folder; name the one that holds the script")
    named, counts = set(_named(folder, patterns)), _Counts(folder)
    if not in_repository(folder):
        if not patterns:
            raise UsageError(f"code.files: {folder} is not in git; write patterns of the files that are code")
        return Listing(_sorted(filter(counts, named)))
    tracked = {name for name in _tracked(folder) if _stands(folder / name)}
    files = _sorted(filter(counts, tracked | named))
    if not files:
        raise UsageError(f"{FIELD}: git tracks no code in {folder}; `git add` it, or name it in code.files")
    untracked = _sorted(filter(counts, set(_untracked(folder)) - named)) if beside else ()
    return Listing(files, untracked, _commit(folder))


def ignored_code(folder: Path) -> tuple[str, ...]:
    """Importable files that git ignores: no part of the code, so that a run does not have them."""
    if not in_repository(folder):
        return ()
    said = ask_git(folder, "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory", field=FIELD)
    names = (name for name in said.split("\0") if PurePosixPath(name).suffix in IMPORTABLE - {".pyc"})
    return _sorted(filter(_Counts(folder), names))


def _named(folder: Path, patterns: Sequence[str]) -> Iterator[str]:
    for pattern in patterns:
        if Path(pattern).is_absolute() or ".." in PurePosixPath(pattern).parts:
            raise UsageError(f"code.files: {pattern} leaves {folder}; write patterns from there")
        found = (path for path in folder.glob(pattern) if path.is_file() or path.is_symlink())
        yield from (path.relative_to(folder).as_posix() for path in found if not path.is_dir())


def _tracked(folder: Path) -> Iterator[str]:
    """Every tracked file, those of submodules included.

    Raises:
        UsageError: a submodule is not checked out.
    """
    for entry in ask_git(folder, "ls-files", "-z", "--stage", field=FIELD).split("\0"):
        about, _, name = entry.partition("\t")
        if not about.startswith(_SUBMODULE):
            yield from filter(None, (name,))
        elif not _is_repository(folder / name):
            raise UsageError(f"{FIELD}: the submodule {folder / name} is not checked out; git submodule update --init")
        else:
            yield from (f"{name}/{inner}" for inner in _tracked(folder / name))


def _untracked(folder: Path) -> Iterator[str]:
    """Every importable file that git neither tracks nor ignores, those of submodules and repositories in it too."""
    said = ask_git(folder, "ls-files", "-z", "--others", "--exclude-standard", field=FIELD)
    for name in filter(None, said.split("\0")):
        if name.endswith("/"):  # a repository of its own
            inside = (path for path in (folder / name).rglob("*") if path.suffix in IMPORTABLE)
            yield from (path.relative_to(folder).as_posix() for path in inside)
        elif PurePosixPath(name).suffix in IMPORTABLE:
            yield name
    for entry in ask_git(folder, "ls-files", "-z", "--stage", field=FIELD).split("\0"):
        about, _, name = entry.partition("\t")
        if about.startswith(_SUBMODULE):
            yield from (f"{name}/{inner}" for inner in _untracked(folder / name))


def _commit(folder: Path) -> str | None:
    """The commit that is checked out; None before the first one."""
    said = ask_git(folder, "rev-list", "--all", "--max-count=1", field=FIELD)
    return ask_git(folder, "rev-parse", "HEAD", field=FIELD).strip() if said.strip() else None


@dataclass
class _Counts:
    """Whether a file is code, rather than something that cardrunner writes or trusts."""

    folder: Path
    _runs: dict[PurePosixPath, bool] = field(default_factory=dict)

    def __call__(self, name: str) -> bool:
        path = PurePosixPath(name)
        if path.name in _OWN_FILES or _OWN_FOLDERS & set(path.parts[:-1]) or self._in_a_run(path):
            return False
        return not (path.suffix in (".yaml", ".yml") and _is_card(self.folder / name))

    def _in_a_run(self, path: PurePosixPath) -> bool:
        return any(self._is_run(parent) for parent in path.parents)

    def _is_run(self, place: PurePosixPath) -> bool:
        if place not in self._runs:
            own = self.folder / place
            self._runs[place] = (own / "launch.json").is_file() and (own / "ledger.jsonl").is_file()
        return self._runs[place]


def _is_card(path: Path) -> bool:
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return False
    lines = text.splitlines()
    keys = {line.partition(":")[0] for line in lines if line[:1].isalpha()}
    return {"card", "name"} <= keys and bool({"sign_off", "extends"} & keys)


def _sorted(names: Iterator[str]) -> tuple[str, ...]:
    """The names in order.

    Raises:
        UsageError: one is not UTF-8, which no record can hold.
    """
    found = tuple(sorted(names))
    odd = [name.encode(errors="surrogateescape") for name in found if not _is_utf8(name)]
    if odd:
        shown = listed(map(repr, odd[:3]))
        raise UsageError(f"{FIELD}: the name of {shown} is not UTF-8; rename it, so that records can hold it")
    return found


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_repository(folder: Path) -> bool:
    return _stands(folder / ".git") or (folder / ".git").is_dir()


def _stands(path: Path) -> bool:
    return path.is_symlink() or path.is_file()

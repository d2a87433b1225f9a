"""What the code of a card differs in from the commit that is checked out: for the plan, and as a patch in the run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cardrunner.common.git import ask_git
from cardrunner.common.redaction import hide
from cardrunner.gate.code import CodeFiles
from cardrunner.gate.code_listing import FIELD

_MOST_NAMES: Final = 500
"""That a command line may have; of more, the whole folder is compared."""


def changed_files(code: CodeFiles) -> tuple[str, ...] | None:
    """The files of the code that differ from the commit, or are not in it; None without a commit.

    Raises:
        EnvironmentFailed: git fails.
    """
    if code.commit is None:
        return None
    words = ("diff", "--name-only", "-z", "--no-ext-diff", "--relative", code.commit, "--", ".")
    different = {name for name in ask_git(code.folder, *words, field=FIELD).split("\0") if name}
    committed = set(ask_git(code.folder, "ls-tree", "-r", "-z", "--name-only", code.commit, field=FIELD).split("\0"))
    inside = {name for name in code.files if not _is_below(name, committed)}  # of no commit, or of a submodule
    gone = {name for name in different if not (code.folder / name).exists()}
    return tuple(sorted((different & {*code.files, *_above(code.files)}) | inside | gone))


@dataclass(frozen=True)
class Patch:
    """The changes of code since its commit."""

    text: str
    """With the environment's secrets hidden."""
    hidden: bool
    """Whether it had any."""


def patch_of(code: CodeFiles, changed: tuple[str, ...]) -> Patch | None:
    """The changes of tracked files since the commit; None without any.

    Raises:
        EnvironmentFailed: git fails.
    """
    if code.commit is None or not changed:
        return None
    names = changed if len(changed) <= _MOST_NAMES else (".",)
    words = ("diff", "--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--submodule=diff", code.commit, "--")
    said = ask_git(code.folder, *words, *names, field=FIELD)
    text = said.encode(errors="surrogateescape").decode(errors="backslashreplace")
    shown = hide(text)
    return Patch(shown, hidden=shown != text) if said else None


def _is_below(name: str, committed: set[str]) -> bool:
    """Whether a file, or a submodule that it is in, is in the commit."""
    return name in committed or any(parent.as_posix() in committed for parent in Path(name).parents)


def _above(names: tuple[str, ...]) -> set[str]:
    return {parent.as_posix() for name in names for parent in Path(name).parents}

"""Asks git about a folder, whatever repository the variables of the environment name."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

from cardrunner.errors import EnvironmentFailed

_SECONDS: Final = 60.0
_LOCAL: Final = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_OBJECT_DIRECTORY", "GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR",
        "GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE", "GIT_INDEX_FILE", "GIT_INTERNAL_SUPER_PREFIX", "GIT_PREFIX",
        "GIT_NO_REPLACE_OBJECTS", "GIT_REPLACE_REF_BASE", "GIT_SHALLOW_FILE", "GIT_NAMESPACE", "GIT_EXTERNAL_DIFF",
        "GIT_DIFF_OPTS", "GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS",
    }
)  # fmt: skip
"""Variables that a hook sets: they name the repository that runs it, and how it reads paths and shows differences."""


def git_environment() -> dict[str, str]:
    """This process's environment, in which git finds the repository by the folder alone and speaks English."""
    return {name: value for name, value in os.environ.items() if name not in _LOCAL} | {"LC_ALL": "C"}


def in_repository(folder: Path) -> bool:
    """Whether a folder is in a git repository, its own or one around it, by the folders alone."""
    return any(os.path.lexists(place / ".git") for place in (folder.resolve(), *folder.resolve().parents))


def ask_git(folder: Path, *words: str, field: str) -> str:
    """What git says.

    Args:
        folder: where it is asked.
        words: the command.
        field: the card field that names the folder, for messages.

    Raises:
        EnvironmentFailed: it is not installed, fails, or refuses the folder, with the reason that it gives.
    """
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            env=git_environment(),
        )
    except FileNotFoundError:
        raise EnvironmentFailed(f"{field}: {folder} is in a git repository, and git is not installed here") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentFailed(f"{field}: git does not answer in {folder}: {error}") from None
    if done.returncode:
        raise EnvironmentFailed(f"{field}: git cannot read {folder}: {_reason(os.fsdecode(done.stderr))}")
    return os.fsdecode(done.stdout)


def _reason(said: str) -> str:
    """The first line of what git said, and the command that it advises."""
    lines = [" ".join(line.split()) for line in said.splitlines() if line.strip()]
    advice = next((line for line in lines if line.startswith("git ")), None)
    first = lines[0].removeprefix("fatal: ") if lines else "it printed no reason"
    return f"{first}; if it is yours to use: {advice}" if advice else first

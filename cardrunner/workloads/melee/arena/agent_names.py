"""How agents, worlds and the games that matches begin with are written in cards. Torch-free."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from cardrunner.errors import UsageError

AgentKind = Literal["policy", "random", "noop", "hold-forward", "replay"]

SCRIPTED: Final[tuple[AgentKind, ...]] = ("random", "noop", "hold-forward", "replay")
WRITTEN: Final = ("policy:best", "policy:latest", "policy:PATH", *SCRIPTED)
BEST, LATEST = "best", "latest"
OWN: Final = (BEST, LATEST)
"""Names of the run's own checkpoints."""
SIMULATOR: Final = "simulator"
"""The built-in world, and the games that two scripted players have in it."""
_GAME: Final = re.compile(r"(?P<file>.+\.pt)(?::(?P<game>\d{1,9}))?|(?P<replay>.+\.slp)")


@dataclass(frozen=True)
class AgentName:
    """An agent of a card. `checkpoint` is ``best``, ``latest`` or a path, for policies only."""

    kind: AgentKind
    checkpoint: str | None = None

    @property
    def is_own(self) -> bool:
        """Whether it is the model that the run itself trains."""
        return self.checkpoint in OWN


def read_agent(text: str) -> AgentName:
    """Read an agent as a card has it.

    Raises:
        UsageError: no such agent.
    """
    kind, _, checkpoint = text.partition(":")
    if kind == "policy" and checkpoint:
        return AgentName("policy", checkpoint)
    for scripted in SCRIPTED:
        if text == scripted:
            return AgentName(scripted)
    raise UsageError(f"unknown agent {text!r}; there are {', '.join(WRITTEN)}")


def checkpoint_path(name: str, *, own: Path | None, workspace: Path) -> Path:
    """The path of a checkpoint that a card names.

    Args:
        name: ``best``, ``latest`` or a path.
        own: the run's best checkpoint; the latest is beside it.
        workspace: what relative paths are relative to.
    """
    if own is not None and name in OWN:
        return own if name == BEST else own.with_name(f"{LATEST}.pt")
    return workspace / name


def split_game(text: str) -> tuple[str, int]:
    """A file to begin with, and the number of the game: ``a.slp`` and ``games.pt`` mean game 0, ``games.pt:3`` game 3.

    Raises:
        UsageError: it is neither.
    """
    found = _GAME.fullmatch(text)
    if found is None:
        raise UsageError(
            f"is {text!r}; write the number of a validation game (0 is the first), a replay such as game.slp, a game"
            f" of an encoded file such as games.pt:3, or {SIMULATOR}"
        )
    return found["replay"] or found["file"], int(found["game"] or 0)

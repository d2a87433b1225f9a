"""How agents are written in cards: ``policy:best``, ``random``, ... Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from cardrunner.errors import UsageError

AgentKind = Literal["policy", "random", "noop", "hold-forward", "replay"]

SCRIPTED: Final[tuple[AgentKind, ...]] = ("random", "noop", "hold-forward", "replay")
WRITTEN: Final = ("policy:best", "policy:latest", "policy:PATH", *SCRIPTED)
BEST, LATEST = "best", "latest"


@dataclass(frozen=True)
class AgentName:
    """An agent of a card. `checkpoint` is ``best``, ``latest`` or a path, for policies only."""

    kind: AgentKind
    checkpoint: str | None = None


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

"""How processes that train together ended: each leaves a line, and together they tell why the run ended."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from cardrunner import errors
from cardrunner.errors import CardrunnerError, EnvironmentFailed, RestartWanted
from cardrunner.runs.jsonl import append_line, read_lines
from cardrunner.runs.records import Record
from cardrunner.training.group import PATIENCE, GroupOutOfMemory, is_lost
from cardrunner.units import format_duration

AGREED = (
    errors.RunStopped, errors.RunPaused, errors.RestartWanted, errors.Interrupted, errors.Terminated,
)  # fmt: skip
"""What all processes raise together; anything else leaves some of them waiting for the others."""
_SIGTERM = 15


class Ending(Record):
    """A line of a process: that it began, what it raised, or that it died."""

    rank: int
    pid: int | None = None
    """Of one that only began."""
    at: float = Field(default_factory=time.time)
    kind: str | None = None
    """The exception's class; None when it ended well."""
    message: str = ""
    facts: dict[str, Any] = Field(default_factory=dict)
    lost: bool = False
    """It only says that another process is gone."""
    died: int | None = None
    """torchrun's word: the exit code, or minus the signal."""


def record_beginning(path: Path, rank: int) -> None:
    """Say which process this is."""
    append_line(path, Ending(rank=rank, pid=os.getpid()).model_dump(), durable=False)


def record_ending(path: Path, rank: int, error: BaseException | None) -> None:
    """Leave this process's line."""
    kind = None if error is None else type(error).__name__
    facts = {name: value for name, value in vars(error).items() if name in _FACTS} if error is not None else {}
    ending = Ending(rank=rank, kind=kind, message=str(error or ""), facts=facts, lost=is_lost(error))
    append_line(path, ending.model_dump(), durable=False)


def read_endings(path: Path) -> list[Ending]:
    """Every line."""
    found = []
    for line in read_lines(path):
        try:
            found.append(Ending.model_validate(line))
        except ValidationError:
            continue
    return found


def outcome(endings: Iterable[Ending], *, processes: int, run: str) -> Exception | None:
    """What the endings mean together; None when the training is done.

    The leader's word counts when all agreed. Otherwise a process broke, and that the others lost it explains nothing:
    the one that memory failed, else the first to raise something of its own, else one that died without a word.
    """
    lines = sorted((ending for ending in endings if ending.pid is None), key=lambda ending: ending.at)
    raised = [ending for ending in lines if ending.died is None]
    for ending in raised:
        if ending.rank == 0 and (ending.kind is None or ending.kind in {kind.__name__ for kind in AGREED}):
            return _exception(ending, processes)
    own = [ending for ending in raised if not ending.lost and ending.kind is not None]
    for ending in sorted(own, key=lambda ending: ending.kind != GroupOutOfMemory.__name__):
        return _exception(ending, processes)
    spoke = {ending.rank for ending in raised}
    silent = [ending for ending in lines if ending.rank not in spoke and ending.died != -_SIGTERM]
    if silent:
        late = any("timed out" in ending.message.lower() for ending in raised)
        return EnvironmentFailed(_death(silent[0], processes, run, late=late))
    return _exception(raised[0], processes) if raised else None


_FACTS = ("changes", "epoch", "step", "pieces", "progress", "seconds")
_KINDS: dict[str, type[CardrunnerError]] = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, CardrunnerError)
}


def _exception(ending: Ending, processes: int) -> Exception | None:
    match ending.kind:
        case None:
            return None
        case "RestartWanted":
            return RestartWanted(ending.message, ending.facts["changes"])
        case "GroupOutOfMemory":
            return GroupOutOfMemory(ending.message, **ending.facts)
        case "OSError" | "MemoryError" | "OutOfMemoryError":
            return EnvironmentFailed(f"{_who(ending, processes)}: {ending.kind}: {ending.message}")
    kind = _KINDS.get(ending.kind)
    if kind is None:
        return RuntimeError(f"{_who(ending, processes)}: {ending.kind}: {ending.message}")
    found = Exception.__new__(kind)  # past constructors that want more than the sentence
    found.args = (ending.message,)
    return found


def _death(ending: Ending, processes: int, run: str, *, late: bool) -> str:
    code = ending.died or 0
    how = f"was killed by signal {-code}" if code < 0 else f"ended with {code} and no word"
    if late:
        how = f"did not answer for {format_duration(PATIENCE.total_seconds())}"
    return f"{_who(ending, processes)} {how}; `cardrunner resume {run}` goes on from the newest checkpoint"


def _who(ending: Ending, processes: int) -> str:
    return f"process {ending.rank + 1} of {processes}"

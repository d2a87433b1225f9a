"""What long work and a run in progress report to people; `cardrunner.contracts` exports all of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


class Progress(Protocol):
    """Shows long work to people. In a pipe it prints lines without bars."""

    def stage(self, name: str) -> None: ...
    def task(self, label: str, total: int | None = None, *, unit: str = "") -> AbstractContextManager[Task]: ...
    def note(self, text: str) -> None: ...  # one line that stays


class Task(Protocol):
    """One bar of a `Progress`."""

    def advance(self, amount: int = 1, *, info: str = "") -> None: ...


@dataclass(frozen=True, kw_only=True)
class RunSnapshot:
    """The state of a run as people watch it; None for values that are not known yet."""

    run: str
    stage: str
    attempt: int
    epoch: int
    epochs: int | None
    """None where they are not counted."""
    step: int
    examples: int
    """Trained on so far."""
    total: int | None
    """Examples of all epochs."""
    metrics: str
    """The newest ones, as a short text."""
    examples_per_second: float | None
    seconds_left: float | None
    spent: float | None
    """Dollars so far, of all attempts."""
    projected: float | None
    """Dollars at the end, at this pace."""
    budget: float | None
    thresholds: tuple[str, ...]
    """The kill thresholds that are nearest to firing."""
    warning: str | None = None
    """A warning to show now."""


class Board(Protocol):
    """Where a run is shown while it goes."""

    def show(self, snapshot: Callable[[], RunSnapshot]) -> None: ...  # called twice a second; calls it only to draw


@runtime_checkable
class ShowsRuns(Protocol):
    """A `Progress` that can show a whole run."""

    def board(self) -> AbstractContextManager[Board]: ...

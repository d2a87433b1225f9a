"""The context in which a stage runs."""

from __future__ import annotations

from dataclasses import dataclass

from cardrunner.card.schema.card import Card
from cardrunner.contracts import Progress, Workload
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.history import History
from cardrunner.runs.interrupts import StopRequest
from cardrunner.runs.ledger import Ledger
from cardrunner.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """One attempt of one run, as given to its stages."""

    folder: RunFolder
    workspace: Workspace
    card: Card
    digest: str
    workload: Workload
    ledger: Ledger
    history: History
    stop: StopRequest
    """Set by a signal or by `cardrunner stop`; the training loop checks it after every step."""
    progress: Progress
    attempt: int
    """Counts from 1."""

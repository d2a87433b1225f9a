"""Finding and opening the data of a run; every stage that needs data opens it through here."""

from __future__ import annotations

from pathlib import Path

from cardrunner.contracts import Data
from cardrunner.runs.context import RunContext
from cardrunner.runs.files import explained
from cardrunner.runs.interrupts import StoppableProgress


def data_files(ctx: RunContext) -> tuple[Path, ...]:
    """Where the card's data files are; none for data that a generator makes.

    Raises:
        EnvironmentFailed: one is nowhere.
    """
    data = ctx.card.data
    return () if data.is_synthetic else tuple(ctx.workspace.find_data(entry.path) for entry in data.source)


def open_run_data(ctx: RunContext) -> Data:
    """Open the run's data through its workload; reading long files ends when somebody asks the run to end.

    Raises:
        EnvironmentFailed: a file is nowhere or cannot be read.
        IntegrityError: it is not what the workload can read.
    """
    with explained(ctx.folder.scratch, "write"):
        ctx.folder.scratch.mkdir(parents=True, exist_ok=True)
    progress = StoppableProgress(ctx.progress, ctx.stop)
    return ctx.workload.open_data(ctx.card, data_files(ctx), scratch=ctx.folder.scratch, progress=progress)

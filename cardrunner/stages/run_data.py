"""Finds and opens the data of a run, for every stage that needs it."""

from __future__ import annotations

from pathlib import Path

from cardrunner.card.schema.data import DataFile, DataFiles
from cardrunner.contracts import Data, RunContext
from cardrunner.runs.files import explained
from cardrunner.runs.interrupts import StoppableProgress


def named_files(data: DataFiles) -> tuple[DataFile, ...]:
    """The entries of `data.source` that stand for one file each."""
    return tuple(entry for entry in data.source if not entry.is_pattern)


def data_files(ctx: RunContext) -> tuple[Path, ...]:
    """The paths of the card's data files that it names one by one; empty for synthetic data.

    Raises:
        EnvironmentFailed: one cannot be found.
    """
    data = ctx.card.data
    return () if data.is_synthetic else tuple(ctx.workspace.find_data(entry.path) for entry in named_files(data))


def open_run_data(ctx: RunContext) -> Data:
    """Open the run's data through its workload; a request to stop ends the reading of long files.

    Raises:
        EnvironmentFailed: a file is missing or cannot be read.
        IntegrityError: the workload cannot read its content.
    """
    with explained(ctx.folder.scratch, "write"):
        ctx.folder.scratch.mkdir(parents=True, exist_ok=True)
    progress = StoppableProgress(ctx.progress, ctx.stop)
    return ctx.workload.open_data(ctx.card, data_files(ctx), scratch=ctx.folder.scratch, progress=progress)

"""Remote runs: the worker writes the run folder on its platform, and the folder here is a copy."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from cardrunner import registry
from cardrunner.card.load import load_card
from cardrunner.card.platforms import platform_of
from cardrunner.card.schema.base import leaves_workspace
from cardrunner.card.schema.card import Card
from cardrunner.contracts import Job, Progress, RemoteExecutor, Stage
from cardrunner.errors import CardError, CardrunnerError, EnvironmentFailed, UsageError
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import RemoteRun, find_record
from cardrunner.workspace import Workspace

Place = tuple[str, str, str]
"""Executor, volume, and the run's folder there."""


def remote_job(folder: RunFolder) -> Job | None:
    """The newest submission of a remote run; None for a local run.

    Raises:
        MissingExtra: the platform's package is not installed.
    """
    record = find_record(folder.remote_run, RemoteRun)
    return None if record is None else registry.executor(record.executor).attach(folder, "")


def fetch_checkpoints(folder: RunFolder, files: Iterable[str], *, progress: Progress) -> None:
    """Fetch checkpoints of a remote run. The checkpoints of a local run are already here.

    Args:
        folder: the run.
        files: their names in the manifest.
        progress: where to show it.

    Raises:
        IntegrityError: there is no such checkpoint.
        EnvironmentFailed: one cannot be fetched.
    """
    record = find_record(folder.remote_run, RemoteRun)
    executor = None if record is None else registry.executor(record.executor)
    if isinstance(executor, RemoteExecutor):
        executor.attach(folder, "").sync()
        for file in dict.fromkeys(files):
            executor.fetch(folder, file, progress=progress)


def ran_remotely(folder: RunFolder, card: Card, workspace: Workspace, stage: Stage, *, progress: Progress) -> bool:
    """Run a stage on the remote platform if it needs data that only that platform has.

    Returns:
        whether it was run there; False for a local run, and where the data is here too.

    Raises:
        CardrunnerError: the stage failed, or the platform cannot be reached.
    """
    record = find_record(folder.remote_run, RemoteRun)
    executor = None if record is None else registry.executor(record.executor)
    if not isinstance(executor, RemoteExecutor) or not stage.needs_data(card) or _is_here(card, workspace):
        return False
    files = {
        name: path
        for name in stage.reads(card)
        if not leaves_workspace(name) and (path := workspace.root / name).is_file()
    }
    executor.run_remotely(folder, card, stage.name, files, progress=progress)
    return True


def _is_here(card: Card, workspace: Workspace) -> bool:
    if card.data.is_synthetic:
        return True
    try:
        return all(workspace.data_named(entry.path, pattern=entry.is_pattern) for entry in card.data.source)
    except EnvironmentFailed:
        return False


def discard_unstarted(folder: RunFolder) -> bool:
    """Remove the folder of a launch that never reached the platform, so that it can be launched again.

    Returns:
        whether it was removed.
    """
    with contextlib.suppress(CardrunnerError, OSError):
        record = find_record(folder.remote_run, RemoteRun)
        if record is not None and not record.live and record.call is None:
            shutil.rmtree(folder.root)
            return True
    return False


def find_run(runs: Path, name: str) -> RunFolder:
    """The folder of a run. A run that another machine launched is copied here first.

    Raises:
        UsageError: there is no such run.
        EnvironmentFailed: the platform cannot be reached.
    """
    try:
        return RunFolder.existing(runs, name)
    except UsageError:
        for kind, volume, path in _places(runs, name):
            executor = registry.executor(kind)
            if isinstance(executor, RemoteExecutor) and executor.has_run(volume, path):
                return executor.adopt(runs, name, volume=volume, path=path)
        raise


def _places(runs: Path, name: str) -> Iterator[Place]:
    """Where a run of that name may be, according to its record and the cards of the workspace."""
    record = find_record(RunFolder.of(runs, name).remote_run, RemoteRun)
    if record is not None:
        yield record.executor, record.volume, record.path
    seen = set()
    for path in sorted((Workspace.around(runs.absolute()).root / "runcards").glob("*.yaml")):
        with contextlib.suppress(CardError, UsageError):
            card = load_card(path, registry.workload_spec).card
            platform = platform_of(card.infra)
            storage = platform.storage(card.infra)
            if storage is not None and (card.name == name or card.repeat):
                seen.add((platform.executor_of(card.infra), storage.volume, storage.folder_of(name)))
    yield from sorted(seen)

"""The functions that Modal calls in its containers. It imports them by name."""

from __future__ import annotations

import contextlib
import importlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import modal
from modal.exception import InputCancellation

from cardrunner.errors import CardrunnerError
from cardrunner.executors import WORKER
from cardrunner.executors.modal_cloud.attempt import ContainerAttempt
from cardrunner.executors.modal_cloud.orders import Order, check_same, write_files, write_judges
from cardrunner.executors.modal_cloud.publishing import DELAYS, Publisher, commit_patiently
from cardrunner.executors.modal_cloud.volumes import VolumeFolder
from cardrunner.runs.files import write_text
from cardrunner.runs.folder import RunFolder
from cardrunner.workspace import VOLUME_VARIABLE

_FINISH: Final = "cardrunner.launching.finish"


def train(submitted: dict[str, Any]) -> dict[str, Any]:
    """Run one attempt.

    Args:
        submitted: an `Order`, as JSON.

    Returns:
        a `ContainerEnd`, as JSON.
    """
    order = Order.model_validate(submitted)
    volume = modal.Volume.from_name(order.volume)
    volume_folder = VolumeFolder(volume, order.path)
    with _scratch() as scratch:
        attempt = ContainerAttempt(
            order=order,
            volume=_mount(),
            scratch=scratch,
            commit=volume.commit,
            stop_asked=lambda: volume_folder.has(RunFolder(scratch).stop_request.name),
            interruptions=(KeyboardInterrupt, InputCancellation),
            note={"call": modal.current_function_call_id(), "container": os.environ.get("MODAL_TASK_ID")},
        )
        return attempt.run().model_dump(mode="json")


def preflight(submitted: dict[str, Any]) -> dict[str, Any]:
    """Check, without a GPU, that an attempt can begin: the imports, the data against the card, and a commit.

    Args:
        submitted: an `Order`, as JSON.

    Returns:
        ``exit_code``, 0 if it can; ``reason``, if not; ``rows``, the facts that were found.
    """
    order = Order.model_validate(submitted)
    try:
        with _scratch() as scratch:
            return {"exit_code": 0, "reason": None, "rows": _rehearse(order, RunFolder(scratch / order.run))}
    except CardrunnerError as error:
        return {"exit_code": error.exit_code, "reason": str(error), "rows": []}


def later_stage(submitted: dict[str, Any], stage: str) -> dict[str, Any]:
    """Run a launcher stage on the committed run, and commit its files.

    Args:
        submitted: an `Order`, as JSON.
        stage: its name.

    Returns:
        ``exit_code``, 0 on success; ``reason``, if it failed.
    """
    order = Order.model_validate(submitted)
    place = RunFolder(_mount() / order.path.lstrip("/"))
    try:
        check_same(place, order.files, where=order.path)
        with _scratch() as scratch:
            publisher = Publisher(RunFolder(scratch / order.run), place, modal.Volume.from_name(order.volume).commit)
            publisher.restore()
            importlib.import_module(_FINISH).run_launcher_stage(publisher.work.root, stage, place.borrowed)
            publisher.publish()
    except CardrunnerError as error:
        return {"exit_code": error.exit_code, "reason": str(error)}
    return {"exit_code": 0, "reason": None}


def _rehearse(order: Order, work: RunFolder) -> list[str]:
    place = RunFolder(_mount() / order.path.lstrip("/"))
    if place.launch.exists():
        check_same(place, order.files, where=order.path)
    _commit_something(order, place)
    write_files(work, order.files)
    judges = write_judges(work.root.with_name(".judges"), order)
    rows: list[str] = importlib.import_module(WORKER).rehearse(work.root, judges)
    return rows


def _commit_something(order: Order, place: RunFolder) -> None:
    """Commit a small file, so that a full or read-only volume is found before a GPU is paid for."""
    probe = place.root.with_name(f".{order.run}.{order.submission}.probe")
    write_text(probe, "it can be written\n")
    commit_patiently(modal.Volume.from_name(order.volume).commit, DELAYS[:3])
    probe.unlink()


def _mount() -> Path:
    return Path(os.environ[VOLUME_VARIABLE])


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder on the container's own disk."""
    with tempfile.TemporaryDirectory(prefix="cardrunner-") as folder, contextlib.chdir(folder):
        yield Path(folder)

"""The functions that Modal calls in its containers. It imports them by name."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import modal
from modal.exception import InputCancellation

from cardrunner.common.text import listed
from cardrunner.errors import CardrunnerError, EnvironmentFailed
from cardrunner.executors import WORKER
from cardrunner.executors.modal_cloud.attempt import ContainerAttempt
from cardrunner.executors.modal_cloud.orders import Order, check_same, write_files, write_judges
from cardrunner.executors.modal_cloud.publishing import DELAYS, Publisher, commit_patiently
from cardrunner.executors.modal_cloud.snapshot import ARCHIVE, unpack
from cardrunner.executors.modal_cloud.volumes import VolumeFolder
from cardrunner.runs.files import write_text
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import ImageRecord
from cardrunner.workspace import VOLUME_VARIABLE

_PIN: Final = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(?P<version>[A-Za-z0-9.!_-]+)")
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
            unpack(Path.home() / ARCHIVE, publisher.work)
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
    unpack(Path.home() / ARCHIVE, work)
    judges = write_judges(work.root.with_name(".judges"), order)
    rows: list[str] = importlib.import_module(WORKER).rehearse(work.root, judges)
    return [*rows, *installed_rows(order.image)]


def installed_rows(image: ImageRecord | None) -> list[str]:
    """What is installed here, against the lines of the image's record that name a version.

    Raises:
        EnvironmentFailed: a package is missing, or has another version: the image is not what was recorded.
    """
    pins = [match for line in (image.packages if image else ()) if (match := _PIN.fullmatch(line)) is not None]
    wrong = [(pin["name"], pin["version"], _installed(pin["name"])) for pin in pins]
    wrong = [row for row in wrong if row[1] != (row[2] or "").partition("+")[0]]
    if wrong:
        shown = listed(f"{name} {found or 'is missing'} in place of {asked}" for name, asked, found in wrong[:5])
        raise EnvironmentFailed(
            f"the image is not what was recorded: {shown}; look at its build on Modal, launch again"
        )
    return [f"image: {len(pins)} packages as recorded"] if image else []


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


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

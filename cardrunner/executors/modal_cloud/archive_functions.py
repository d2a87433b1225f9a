"""The functions that encode an archive in Modal's containers: list it, encode a part of it, join the parts."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

import modal

from cardrunner.contracts import PartwiseEncoder, Progress
from cardrunner.errors import CardrunnerError
from cardrunner.executors.modal_cloud.publishing import commit_patiently
from cardrunner.runs.files import write_durably, write_text
from cardrunner.runs.records import Record
from cardrunner.workspace import VOLUME_VARIABLE

CORES = 2
"""Of a container that encodes a part. Python would report the cores of the whole machine."""
_TOOL: Final = "encode-parts"


class ArchiveOrder(Record):
    """Which recordings to encode, and how; see `cardrunner.contracts.Archive`."""

    volume: str
    places: tuple[str, ...]
    output: str
    part_size: int
    drop_rollback: bool

    @property
    def mount(self) -> Path:
        """The volume, in a container."""
        return Path(os.environ[VOLUME_VARIABLE])

    @property
    def target(self) -> Path:
        """The file to make."""
        return self.mount / self.output.lstrip("/")

    @property
    def parts(self) -> Path:
        """The folder of the parts, beside it."""
        return self.target.with_name(f"{self.target.name}.parts")

    def part(self, number: int, kind: str) -> Path:
        """A file of a part: ``list``, its recordings; ``pt``, its data; ``json``, its report."""
        return self.parts / f"{number:05d}.{kind}"


def list_archive(submitted: dict[str, Any]) -> dict[str, Any]:
    """Cut an archive into parts.

    Args:
        submitted: an `ArchiveOrder`, as JSON.

    Returns:
        ``files`` and ``parts``, the counts; or ``exit_code`` and ``reason``.
    """
    order = ArchiveOrder.model_validate(submitted)
    try:
        found = _encoder().find([order.mount / place.lstrip("/") for place in order.places])
        names = [path.relative_to(order.mount).as_posix() for path in found]
        lists = [names[begin : begin + order.part_size] for begin in range(0, len(names), order.part_size)]
        for number, part in enumerate(lists):
            write_text(order.part(number, "list"), json.dumps(part, indent=0) + "\n")
        _commit(order)
    except CardrunnerError as error:
        return {"exit_code": error.exit_code, "reason": str(error)}
    return {"files": len(names), "parts": len(lists)}


def encode_part(number: int, submitted: dict[str, Any]) -> dict[str, Any]:
    """Encode one part, unless it is encoded already.

    Args:
        number: of the part.
        submitted: an `ArchiveOrder`, as JSON.

    Returns:
        its report; see `cardrunner.contracts.PartwiseEncoder`.
    """
    order = ArchiveOrder.model_validate(submitted)
    listed = order.part(number, "list").read_bytes()
    key = hashlib.sha256(listed + str(order.drop_rollback).encode()).hexdigest()
    report, data = order.part(number, "json"), order.part(number, "pt")
    with contextlib.suppress(OSError, ValueError):
        known: dict[str, Any] = json.loads(report.read_bytes())
        if known["key"] == key and known["bytes"] == (data.stat().st_size if data.exists() else 0):
            return known
    with tempfile.TemporaryDirectory(prefix="cardrunner-") as scratch:
        made = Path(scratch) / data.name
        files = [order.mount / name for name in json.loads(listed)]
        told = _encoder().encode(files, made, drop_rollback=order.drop_rollback, workers=CORES, progress=_silence())
        size = made.stat().st_size if made.exists() else 0
        if size:
            _copy(made, data)
        else:
            data.unlink(missing_ok=True)  # left by another partition of the archive
    done = {**told, "key": key, "bytes": size}
    write_text(report, json.dumps(done) + "\n")  # last, because it says that the data is complete
    _commit(order)
    return done


def join_parts(count: int, submitted: dict[str, Any]) -> dict[str, Any]:
    """Join every part and remove them.

    Args:
        count: the number of parts.
        submitted: an `ArchiveOrder`, as JSON.

    Returns:
        what the workload counted in the file, and its ``bytes``; or ``exit_code`` and ``reason``.
    """
    order = ArchiveOrder.model_validate(submitted)
    parts = [path for number in range(count) if (path := order.part(number, "pt")).exists()]
    try:
        with tempfile.TemporaryDirectory(prefix="cardrunner-") as scratch:
            made = Path(scratch) / order.target.name
            told = dict(_encoder().join(parts, made, drop_rollback=order.drop_rollback))
            _copy(made, order.target)
        _commit(order)
        shutil.rmtree(order.parts)
        _commit(order)
    except CardrunnerError as error:
        return {"exit_code": error.exit_code, "reason": str(error)}
    return told


def _encoder() -> PartwiseEncoder:
    found: PartwiseEncoder = importlib.import_module("cardrunner.registry").tool(_TOOL)
    return found


def _silence() -> Progress:
    """No progress display in a container. Imported by name, because executors may not import the tracking package."""
    silence: Progress = importlib.import_module("cardrunner.tracking.progress").NullProgress()
    return silence


def _commit(order: ArchiveOrder) -> None:
    commit_patiently(modal.Volume.from_name(order.volume).commit)


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as stream:
        write_durably(target, lambda out: shutil.copyfileobj(stream, out, 4 << 20))

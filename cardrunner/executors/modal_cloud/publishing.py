"""Publishes the run folder: copies it to the volume while the worker writes its own copy, then commits.

The copy is consistent at any moment, even if the container is lost in the middle: checkpoints first, then the records,
then the manifest, which was read before both. So the manifest only names files that are there, and the history includes
every row up to the saved states.
"""

from __future__ import annotations

import io
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from cardrunner.errors import EnvironmentFailed
from cardrunner.runs.files import explained
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import STATE, Manifest, ManifestEntry, find_record, record_text

DELAYS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds between the tries of a commit. The SDK retries connection errors by itself."""
_READS = 5
_BLOCK = 4 << 20
Stamp = tuple[int, int]


@dataclass
class Published:
    """The result of a publication."""

    step: int | None
    """The newest step whose full training state is on the volume."""
    tries: int
    """The number of commits it took."""
    seconds: float


@dataclass
class Publisher:
    """Copies a run to the volume.

    Args:
        work: the folder that the worker writes.
        place: the run's folder on the mounted volume.
        commit: makes the files on the volume durable; may raise any exception of the SDK.
        delays: seconds before each further try.
    """

    work: RunFolder
    place: RunFolder
    commit: Callable[[], object]
    delays: Sequence[float] = DELAYS
    _copied: dict[str, Stamp | str] = field(default_factory=dict)

    def restore(self) -> None:
        """Copy the run from the volume to the disk where the worker writes.

        Raises:
            EnvironmentFailed: the disk is full or failing.
        """
        with explained(self.work.root, "write"):
            ignored = shutil.ignore_patterns(".*", self.place.lease.name)
            shutil.copytree(self.place.root, self.work.root, ignore=ignored)
        self._copied.update(self.records())
        manifest = find_record(self.work.manifest, Manifest) or Manifest()
        self._copied |= {name: entry.sha256 for entry in manifest.entries for name in (entry.source, entry.file)}

    def publish(self) -> Published:
        """Copy what changed, and commit.

        Raises:
            EnvironmentFailed: the volume cannot be written or committed.
        """
        began = time.monotonic()
        manifest = self._copy_checkpoints()
        self._copy_records()
        if manifest is not None:
            _replace(self.place.manifest, io.BytesIO(self._manifest))
        tries = commit_patiently(self.commit, self.delays)
        self._remove_unlisted(manifest)
        steps = [entry.step for entry in manifest.entries if STATE in entry.roles] if manifest else []
        return Published(max(steps, default=None), tries, time.monotonic() - began)

    def _copy_checkpoints(self) -> Manifest | None:
        """Copy every file of the manifest. If the worker removes one meanwhile, start again with the new manifest."""
        for attempt in range(_READS):
            manifest = find_record(self.work.manifest, Manifest)
            if manifest is None:
                return None
            self._manifest = record_text(manifest).encode()
            try:
                for entry in manifest.entries:
                    self._copy_checkpoint(entry)
            except FileNotFoundError:  # a newer checkpoint replaced it
                if attempt == _READS - 1:
                    raise
                continue
            return manifest
        return None

    def _copy_checkpoint(self, entry: ManifestEntry) -> None:
        for name in dict.fromkeys((entry.source, entry.file)):
            if self._copied.get(name) != entry.sha256:
                self._copy(self.work.root / entry.source, self.place.root / name)
                self._copied[name] = entry.sha256

    def _copy_records(self) -> None:
        # the ledger says how far the history had come, so that the history is copied after it
        for name, stamp in sorted(self.records().items(), key=lambda found: found[0] != self.work.ledger.name):
            if self._copied.get(name) == stamp:
                continue
            try:
                self._copy(self.work.root / name, self.place.root / name)
            except FileNotFoundError:
                continue  # the worker has removed it
            self._copied[name] = stamp

    def records(self) -> dict[str, Stamp]:
        """Size and time of each file, except checkpoints and files that are being written."""
        found: dict[str, Stamp] = {}
        for folder, folders, names in os.walk(self.work.root):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in names:
                path = Path(folder, name)
                if not name.startswith(".") and not self._is_checkpoint(path):
                    found |= _stamp(path, self.work.root)
        return found

    def _is_checkpoint(self, path: Path) -> bool:
        inside = path.is_relative_to(self.work.checkpoints) and self.work.checkpoints / "rejected" not in path.parents
        return inside or (path.parent == self.work.root and path.suffix == ".pt")

    def _copy(self, source: Path, target: Path) -> None:
        with source.open("rb") as stream:
            _replace(target, stream)

    def _remove_unlisted(self, manifest: Manifest | None) -> None:
        """Remove checkpoints that newer ones replaced; the next commit makes that durable."""
        if manifest is None:
            return
        listed = {self.place.root / name for entry in manifest.entries for name in (entry.source, entry.file)}
        for path in self.place.checkpoints.glob("*.pt"):
            if path not in listed:
                path.unlink(missing_ok=True)
                self._copied.pop(path.relative_to(self.place.root).as_posix(), None)


def _replace(target: Path, stream: BinaryIO) -> None:
    """Replace a file atomically. It is not flushed: the commit that follows makes it durable."""
    part = target.with_name(f".{target.name}.part")
    with explained(target, "write"):
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as out:
            shutil.copyfileobj(stream, out, _BLOCK)
        part.replace(target)


def commit_patiently(commit: Callable[[], object], delays: Sequence[float] = DELAYS) -> int:
    """Commit, with retries after growing delays.

    Returns:
        the number of tries.

    Raises:
        EnvironmentFailed: every try failed.
    """
    tries = 1
    while True:
        try:
            commit()
        except Exception as error:  # the SDK raises a dozen classes, and each deserves a retry
            if tries > len(delays):
                raise EnvironmentFailed(
                    f"the volume could not be committed in {tries} tries: {type(error).__name__}: {error}; "
                    "see whether it is full, then resume the run"
                ) from error
            time.sleep(delays[tries - 1])
            tries += 1
        else:
            return tries


def _stamp(path: Path, root: Path) -> dict[str, Stamp]:
    try:
        status = path.stat()
    except FileNotFoundError:
        return {}
    return {path.relative_to(root).as_posix(): (status.st_size, status.st_mtime_ns)}

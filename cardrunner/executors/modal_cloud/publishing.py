"""Publishes the run folder: copies it to the volume while the worker writes its own copy, then commits.

The copy is consistent at any moment, even if the container is lost in the middle: checkpoints first, then the records,
then the manifest, which was read before both. So the manifest only names files that are there, and the history includes
every row up to the saved states.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Sequence
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
_REST_NS = 2_000_000_000
"""How long a file of a script has to be unchanged until it is copied."""
_GIVEN_UP = {RunFolder(Path()).script_out.name, RunFolder(Path()).kept.name}
"""Folders in which checkpoints are removed for newer ones."""
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

    def publish(self, *, final: bool = False) -> Published:
        """Copy what changed, and commit.

        Args:
            final: the worker has ended, so that what its script wrote last is whole, or will never be.

        Raises:
            EnvironmentFailed: the volume cannot be written or committed.
        """
        began = time.monotonic()
        manifest = self._copy_checkpoints()
        self._copy_records(manifest, final=final)
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

    def _copy_records(self, manifest: Manifest | None, *, final: bool) -> None:
        """Copy what is no checkpoint of the manifest; of a script's own files those that are at rest."""
        entries = manifest.entries if manifest is not None else ()
        copied = {name for entry in entries for name in (entry.source, entry.file)}
        rest = time.time_ns() - _REST_NS
        # the ledger says how far the history had come, so that the history is copied after it
        for name, stamp in sorted(self.records().items(), key=lambda found: found[0] != self.work.ledger.name):
            if self._copied.get(name) == stamp or name in copied:
                continue
            if not final and stamp[1] > rest and self._is_scripts(name):
                continue
            try:
                self._copy(self.work.root / name, self.place.root / name)
            except FileNotFoundError:
                continue  # the worker has removed it
            self._copied[name] = stamp

    def records(self) -> dict[str, Stamp]:
        """Size and time of each file, except checkpoints, code, and files that are being written."""
        return {name: stamp for name, stamp in _files(self.work) if not self._is_checkpoint(self.work.root / name)}

    def _is_scripts(self, name: str) -> bool:
        """Whether a script wrote it, whose files nothing says are whole."""
        return name.partition("/")[0] == self.work.script_out.name

    def _is_checkpoint(self, path: Path) -> bool:
        inside = path.is_relative_to(self.work.checkpoints) and self.work.checkpoints / "rejected" not in path.parents
        return inside or (path.parent == self.work.root and path.suffix == ".pt")

    def _copy(self, source: Path, target: Path) -> None:
        with source.open("rb") as stream:
            _replace(target, stream)
            if source.is_relative_to(self.work.script_out):  # the newest checkpoint is known by its time
                status = os.fstat(stream.fileno())
                os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))

    def _remove_unlisted(self, manifest: Manifest | None) -> None:
        """Remove checkpoints that newer ones replaced; the next commit makes that durable."""
        for name, _ in list(_files(self.place)):
            if name.partition("/")[0] in _GIVEN_UP and not os.path.lexists(self.work.root / name):
                (self.place.root / name).unlink(missing_ok=True)
                self._copied.pop(name, None)
                with contextlib.suppress(OSError):  # it may hold others
                    (self.place.root / name).parent.rmdir()
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


def _files(folder: RunFolder) -> Iterator[tuple[str, Stamp]]:
    """Every regular file of a run with its size and time, by its path there; without hidden ones and the code."""
    for place, folders, names in os.walk(folder.root):
        hidden = {name for name in folders if name.startswith(".") or Path(place, name) == folder.code}
        folders[:] = [name for name in folders if name not in hidden]
        for name in names:
            if not name.startswith(".") and (stamp := _stamp(path := Path(place, name))) is not None:
                yield path.relative_to(folder.root).as_posix(), stamp


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:  # it is gone, or a link to something that is
        return None
    return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None

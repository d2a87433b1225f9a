"""Folders on a volume, accessed from outside a container through Modal's API."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import modal
from modal.exception import NotFoundError

from cardrunner.errors import EnvironmentFailed, IntegrityError
from cardrunner.runs.files import copy_blocks, explained, flush_folder, locked, sha256_of, write_bytes
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.ledger import Ledger, whole_lines

TRIES = 3
"""How often a file is downloaded until its digest is right."""


class Stamp(NamedTuple):
    """A file as the volume lists it."""

    size: int
    mtime: int
    """Seconds since 1970, by the service's clock."""


@dataclass(frozen=True)
class VolumeFolder:
    """A folder on a volume.

    Exceptions of the SDK propagate; see `cardrunner.executors.modal_cloud.advice`.
    """

    volume: modal.Volume
    path: str

    def files(self) -> Mapping[str, Stamp]:
        """Every file below it, by relative path; empty if the folder does not exist."""
        try:
            entries = self.volume.listdir(self.path, recursive=True)
        except NotFoundError:
            return {}
        root = PurePosixPath(self.path.strip("/"))
        return {
            str(PurePosixPath(entry.path).relative_to(root)): Stamp(entry.size, entry.mtime)
            for entry in entries
            if entry.type.name == "FILE" and PurePosixPath(entry.path).is_relative_to(root)
        }

    def size(self, name: str) -> int | None:
        """Bytes of a file; None if it does not exist."""
        try:
            entries = self.volume.listdir(f"{self.path}/{name}")
        except NotFoundError:
            return None
        return next((entry.size for entry in entries if entry.type.name == "FILE"), None)

    def has(self, name: str) -> bool:
        """Whether a file exists."""
        return self.size(name) is not None

    def read(self, name: str) -> bytes | None:
        """The content of a small file; None if it does not exist."""
        try:
            return b"".join(self.volume.read_file(f"{self.path}/{name}"))
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Write a small file, replacing an existing one."""
        with self.volume.batch_upload(force=True) as batch:
            batch.put_file(io.BytesIO(data), f"{self.path}/{name}")

    def remove(self, name: str) -> None:
        """Remove a file if it exists."""
        try:
            self.volume.remove_file(f"{self.path}/{name}")
        except FileNotFoundError:
            return

    def download(self, name: str, target: Path, *, size: int, sha256: str, advance: Callable[[int], object]) -> None:
        """Download a file. The target appears only once its bytes are verified.

        Args:
            name: the file.
            target: the local path; until it is verified the file is called ``.NAME.part``.
            size: the expected bytes.
            sha256: the expected digest.
            advance: called with the bytes of each block; with a negative number before another try.

        Raises:
            EnvironmentFailed: no try gave the right bytes, or the local disk cannot be written.
        """
        part = target.with_name(f".{target.name}.part")
        found = "nothing"
        with explained(target, "write"):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                for _ in range(TRIES):
                    came, digest = self._copy(name, part, advance)
                    if (came, digest) == (size, sha256):
                        part.replace(target)
                        flush_folder(target.parent)
                        return
                    advance(-came)
                    found = f"{came} bytes with sha256 {digest[:12]}"
            finally:
                part.unlink(missing_ok=True)
        raise EnvironmentFailed(
            f"{self.path}/{name} came {TRIES} times as {found}, and the manifest says {size} bytes with sha256 "
            f"{sha256[:12]}; try again later, nothing was replaced here"
        )

    def fetch(self, name: str, target: Path) -> None:
        """Download a file that its reader compares with a digest.

        Raises:
            EnvironmentFailed: the local disk cannot be written.
        """
        part = target.with_name(f".{target.name}.part")
        with explained(target, "write"):
            target.parent.mkdir(parents=True, exist_ok=True)
            self._copy(name, part, lambda _: None)
            part.replace(target)

    def _copy(self, name: str, part: Path, advance: Callable[[int], object]) -> tuple[int, str]:
        with part.open("wb") as out:
            digest = sha256_of(copy_blocks(self._blocks(name), out), advance)
        return part.stat().st_size, digest

    def _blocks(self, name: str) -> Iterator[bytes]:
        try:
            yield from self.volume.read_file(f"{self.path}/{name}")
        except FileNotFoundError:
            return


_KINDS = {".json", ".jsonl", ".log"}
_LARGEST = 64 << 20
"""Bytes; larger records stay on the volume."""
_CLOCK_TICK = 2
"""Seconds within which two changes of a file may have the same time."""


@dataclass
class Mirror:
    """Keeps the local folder of a run up to date with the one on the volume."""

    folder: RunFolder
    volume_folder: VolumeFolder
    _seen: dict[str, Stamp] = field(default_factory=dict)

    def pull(self) -> bool:
        """Download the records that changed since the last pull.

        Returns:
            whether the folder on the volume has any file.

        Raises:
            EnvironmentFailed: the local disk cannot be written.
        """
        files = self.volume_folder.files()
        now = max((stamp.mtime for stamp in files.values()), default=0)
        with locked(self.folder.mirror_lock):
            # the ledger says which attempt changed the other files
            for name, stamp in sorted(files.items(), key=lambda found: found[0] != self.folder.ledger.name):
                settled = stamp.mtime < now - _CLOCK_TICK
                if self._is_record(name, stamp) and not (settled and self._seen.get(name) == stamp):
                    self._download(name)
                    self._seen[name] = stamp
        return bool(files)

    def _is_record(self, name: str, stamp: Stamp) -> bool:
        path = PurePosixPath(name)
        parts_hidden = any(part.startswith(".") for part in path.parts)
        frozen = self.folder.is_frozen(self.folder.root / name)
        local = name in (self.folder.stop_request.name, self.folder.remote_run.name)
        scripts = path.parts[0] in {place.name for place in self.folder.scripts}
        return path.suffix in _KINDS and not (parts_hidden or frozen or local or scripts) and stamp.size <= _LARGEST

    def _download(self, name: str) -> None:
        data = self.volume_folder.read(name)
        if data is None:
            return  # it was removed after the listing
        target = inside(self.folder.root, name)
        if target == self.folder.ledger:
            Ledger(target).add_missing(whole_lines(data))
        elif not target.exists() or target.read_bytes() != data:
            write_bytes(target, data)


def inside(root: Path, name: str) -> Path:
    """The path of a file inside a folder.

    Raises:
        IntegrityError: the path is outside of it.
    """
    target = root / name
    if not target.resolve().is_relative_to(root.resolve()):
        raise IntegrityError(f"{name} on the volume leads out of the run folder; remove it there")
    return target

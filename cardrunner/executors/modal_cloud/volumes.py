"""Folders on a volume, as one sees them from outside a container: listed, read and written through the API."""

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
"""How often a file is read until it is what it should be."""


class Stamp(NamedTuple):
    """A file as the volume lists it."""

    size: int
    mtime: int
    """Seconds since 1970, by the service's clock."""


@dataclass(frozen=True)
class VolumeFolder:
    """A folder on a volume.

    Whatever the SDK raises leaves from here as it is; see `cardrunner.executors.modal_cloud.advice`.
    """

    volume: modal.Volume
    path: str

    def files(self) -> Mapping[str, Stamp]:
        """Every file below it, by its path from here; none when there is no such folder."""
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
        """Bytes of a file; None when it is not there."""
        try:
            entries = self.volume.listdir(f"{self.path}/{name}")
        except NotFoundError:
            return None
        return next((entry.size for entry in entries if entry.type.name == "FILE"), None)

    def has(self, name: str) -> bool:
        """Whether a file is there."""
        return self.size(name) is not None

    def read(self, name: str) -> bytes | None:
        """A small file; None when it is not there."""
        try:
            return b"".join(self.volume.read_file(f"{self.path}/{name}"))
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Put a small file there, in place of what there is."""
        with self.volume.batch_upload(force=True) as batch:
            batch.put_file(io.BytesIO(data), f"{self.path}/{name}")

    def remove(self, name: str) -> None:
        """Remove a file; harmless when it is gone."""
        try:
            self.volume.remove_file(f"{self.path}/{name}")
        except FileNotFoundError:
            return

    def download(self, name: str, target: Path, *, size: int, sha256: str, advance: Callable[[int], object]) -> None:
        """Bring a file here. The target is only there when its bytes are the right ones.

        Args:
            name: the file.
            target: where it goes; until it is whole and right it is called ``.NAME.part``.
            size: its bytes.
            sha256: theirs.
            advance: told of bytes as they come; of negative ones where it has to begin again.

        Raises:
            EnvironmentFailed: it never came whole, or the disk here refuses.
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
"""Bytes; a record that is larger is left where it is."""
_CLOCK_TICK = 2
"""Seconds within which a file may change twice and be listed alike."""


@dataclass
class Mirror:
    """One run, there and here."""

    folder: RunFolder
    volume_folder: VolumeFolder
    _seen: dict[str, Stamp] = field(default_factory=dict)

    def pull(self) -> bool:
        """Bring everything that changed since the last pull.

        Returns:
            whether there is anything there.

        Raises:
            EnvironmentFailed: the disk here refuses.
        """
        files = self.volume_folder.files()
        now = max((stamp.mtime for stamp in files.values()), default=0)
        with locked(self.folder.mirror_lock):
            for name, stamp in files.items():
                settled = stamp.mtime < now - _CLOCK_TICK
                if self._is_record(name, stamp) and not (settled and self._seen.get(name) == stamp):
                    self._bring(name)
                    self._seen[name] = stamp
        return bool(files)

    def _is_record(self, name: str, stamp: Stamp) -> bool:
        path = PurePosixPath(name)
        parts_hidden = any(part.startswith(".") for part in path.parts)
        frozen = self.folder.is_frozen(self.folder.root / name)
        local = name in (self.folder.stop_request.name, self.folder.remote_run.name)
        return path.suffix in _KINDS and not (parts_hidden or frozen or local) and stamp.size <= _LARGEST

    def _bring(self, name: str) -> None:
        data = self.volume_folder.read(name)
        if data is None:
            return  # it was pushed out since it was listed
        target = inside(self.folder.root, name)
        if target == self.folder.ledger:
            Ledger(target).add_missing(whole_lines(data))
        elif not target.exists() or target.read_bytes() != data:
            write_bytes(target, data)


def inside(root: Path, name: str) -> Path:
    """The place of a file in a folder.

    Raises:
        IntegrityError: the name leads out of it.
    """
    target = root / name
    if not target.resolve().is_relative_to(root.resolve()):
        raise IntegrityError(f"{name} on the volume leads out of the run folder; remove it there")
    return target

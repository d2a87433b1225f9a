"""Checkpoint files of a run, and the manifest that lists them with their digests.

Every file has a name of its own and is never replaced; it is staged, flushed and renamed, and the manifest with its
sha256 is replaced last. ``best.pt`` and ``latest.pt`` are further names of such files, given after that. So whenever a
process is killed, the manifest lists only files that exist. A file is used only when its bytes are the ones the
manifest names, and is then read with ``weights_only=True``.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal

import torch

from cardrunner.errors import IntegrityError
from cardrunner.runs.files import Writer, explained, flush_folder, name_file, sha256_file, write_together
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.lines import anchor_of
from cardrunner.runs.records import STATE, Manifest, ManifestEntry, read_record, record_text, write_record

_STATES, _EXPORTS = "state-e*-s*.pt", "export-e*-s*.pt"


@dataclass(frozen=True, kw_only=True)
class CheckpointSnapshot:
    """A file to be saved.

    Attributes:
        file: its name relative to the run folder; never reused.
        content: a nest of dicts and lists with tensors and plain values.
        names: for an export, the names that it takes over from earlier files, each with its role.
        epoch: counts from 1.
    """

    file: str
    content: Mapping[str, Any]
    names: Mapping[str, str] = field(default_factory=dict)
    epoch: int
    step: int
    weights_sha256: str
    metrics: Mapping[str, float]


class CheckpointStore:
    """The checkpoints of one run.

    Args:
        folder: the run.
        keep: how many full states stay on disk.
    """

    def __init__(self, folder: RunFolder, *, keep: int | Literal["all"]) -> None:
        self.folder = folder
        self.keep = keep

    @property
    def manifest(self) -> Manifest:
        """The manifest of the saved files.

        Raises:
            IntegrityError: the manifest is missing or unreadable.
        """
        return read_record(self.folder.manifest, Manifest)

    def prepare(self) -> None:
        """Begin with an empty manifest, so that a missing one is always an error; remove a crash's incomplete files.

        Raises:
            IntegrityError: there are checkpoints without a manifest.
        """
        if self.folder.manifest.exists():
            for folder in (self.folder.checkpoints, self.folder.root):
                for staging in folder.glob(".*.staging"):
                    staging.unlink(missing_ok=True)
            self._publish(self.manifest)
            return
        if found := sorted(self.folder.checkpoints.glob(_STATES)):
            raise IntegrityError(
                f"{self.folder.manifest} is missing, so nothing vouches for {found[-1].name}; put it back"
            )
        write_record(self.folder.manifest, Manifest())

    def save(self, snapshots: Sequence[CheckpointSnapshot]) -> Manifest:
        """Save files together, then the manifest; then remove full states beyond `keep`.

        Returns:
            the manifest, which says how far history and ledger have come.

        Raises:
            EnvironmentFailed: the disk is full, read-only or failing; what was saved before is intact.
        """
        contents: dict[Path, Writer] = {}
        before = self.manifest
        entries = {entry.file: entry for entry in before.entries}
        for snapshot in snapshots:
            data = serialized(snapshot.content)
            entries.update({entry.file: entry for entry in _entries(snapshot, data)})
            contents[self.folder.root / snapshot.file] = partial(_write, data=data)
        kept = Manifest(
            entries=tuple(self._kept(list(entries.values()))),
            saves=before.saves + 1,
            history=anchor_of(self.folder.history),
            ledger=anchor_of(self.folder.ledger),
        )
        contents[self.folder.manifest] = partial(_write, data=record_text(kept).encode())
        write_together(contents)
        self._publish(kept)
        self._remove_unlisted(kept)
        return kept

    def newest(self, reject: Callable[[str], None]) -> tuple[ManifestEntry, Mapping[str, Any]] | None:
        """The newest full state whose bytes match the manifest; None if none was ever saved.

        Args:
            reject: called for every bad one, which is moved to ``checkpoints/rejected``.

        Raises:
            IntegrityError: every saved state is unusable.
        """
        for entry in sorted(self._states(self.manifest.entries), key=_age, reverse=True):
            try:
                return entry, read_checkpoint(self.folder, entry)
            except IntegrityError as error:
                self._set_aside(entry)
                reject(f"{error}; it was moved to {self._rejected.relative_to(self.folder.root)}")
        if self._rejected.is_dir() and any(self._rejected.iterdir()):
            raise IntegrityError(
                f"run {self.folder.name} has no usable checkpoint; the bad ones are in {self._rejected}"
            )
        return None

    @property
    def _rejected(self) -> Path:
        return self.folder.checkpoints / "rejected"

    def _set_aside(self, entry: ManifestEntry) -> None:
        path = self.folder.root / entry.file
        with explained(path, "move"):
            self._rejected.mkdir(exist_ok=True)
            if path.exists():  # only states come here, and they have no second name
                path.replace(self._rejected / path.name)
            else:
                (self._rejected / f"{path.name}.missing").touch()
            flush_folder(self._rejected)
        manifest = self.manifest
        left = tuple(other for other in manifest.entries if other.file != entry.file)
        write_record(self.folder.manifest, manifest.model_copy(update={"entries": left}))

    def _states(self, entries: Sequence[ManifestEntry]) -> list[ManifestEntry]:
        return [entry for entry in entries if STATE in entry.roles]

    def _kept(self, entries: Sequence[ManifestEntry]) -> list[ManifestEntry]:
        states = sorted(self._states(entries), key=_age, reverse=True)
        gone = {entry.file for entry in states[self.keep :]} if self.keep != "all" else set()
        return [entry for entry in entries if entry.file not in gone]

    def _publish(self, manifest: Manifest) -> None:
        """Point every name at its file in the manifest."""
        for entry in manifest.entries:
            if entry.stored is not None:
                name_file(self.folder.root / entry.stored, self.folder.root / entry.file)

    def _remove_unlisted(self, manifest: Manifest) -> None:
        listed = {self.folder.root / entry.source for entry in manifest.entries}
        for pattern in (_STATES, _EXPORTS):
            for path in self.folder.checkpoints.glob(pattern):
                if path not in listed:
                    path.unlink(missing_ok=True)


def state_file(*, epoch: int, step: int) -> str:
    """The name of a full state relative to the run folder."""
    return f"checkpoints/state-e{epoch:04d}-s{step:09d}.pt"


def export_file(*, epoch: int, step: int) -> str:
    """The name of exported weights relative to the run folder."""
    return f"checkpoints/export-e{epoch:04d}-s{step:09d}.pt"


def read_checkpoint(folder: RunFolder, entry: ManifestEntry) -> Mapping[str, Any]:
    """Read a checkpoint whose bytes match the manifest.

    Raises:
        IntegrityError: it is missing, its bytes differ, or it is not a checkpoint.
    """
    path = folder.root / entry.source
    if not path.is_file():
        raise IntegrityError(f"{path} is missing")
    if path.stat().st_size != entry.bytes:
        raise IntegrityError(
            f"{path} has {path.stat().st_size} bytes, the manifest says {entry.bytes}; it was cut or changed"
        )
    if (found := sha256_file(path)) != entry.sha256:
        raise IntegrityError(
            f"{path}: its sha256 is {found}, the manifest says {entry.sha256}; it was changed or damaged"
        )
    return load_checkpoint(path)


def load_checkpoint(path: Path) -> Mapping[str, Any]:
    """Read a checkpoint file; tensors come to the CPU, nothing in it is executed.

    Raises:
        IntegrityError: it is not a checkpoint.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds of error for a file that is not a checkpoint
        raise IntegrityError(f"{path} is not a checkpoint that torch can read: {_first_line(error)}") from None
    if not isinstance(content, Mapping):
        raise IntegrityError(f"{path} holds {type(content).__name__}, not a checkpoint")
    return content


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]


def serialized(content: Mapping[str, Any]) -> memoryview:
    """The bytes of a checkpoint file; made in memory, so that a full disk cannot interrupt torch midway."""
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    return buffer.getbuffer()


def _entries(snapshot: CheckpointSnapshot, data: memoryview) -> Iterator[ManifestEntry]:
    entry = ManifestEntry(
        file=snapshot.file,
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        weights_sha256=snapshot.weights_sha256,
        epoch=snapshot.epoch,
        step=snapshot.step,
        metrics=dict(snapshot.metrics),
        roles=(STATE,),
    )
    if not snapshot.names:
        yield entry
    for name, role in snapshot.names.items():
        yield entry.model_copy(update={"file": name, "stored": snapshot.file, "roles": (role,)})


def _age(entry: ManifestEntry) -> tuple[int, int]:
    return entry.step, entry.epoch


def _write(stream: BinaryIO, *, data: bytes | memoryview) -> None:
    stream.write(data)

"""Reads and copies checkpoints that match the manifest."""

from __future__ import annotations

import shutil
from pathlib import Path

from cardrunner.contracts import Progress, RunContext
from cardrunner.errors import IntegrityError
from cardrunner.runs.copies import put
from cardrunner.runs.files import copy_blocks, explained, flush_folder, read_blocks, sha256_file, sha256_of
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import Manifest, ManifestEntry, find_record

_BLOCK = 4 << 20


def manifest_entry(folder: RunFolder, file: str) -> ManifestEntry:
    """The manifest's row of a checkpoint.

    Raises:
        IntegrityError: there is no such row.
    """
    manifest = find_record(folder.manifest, Manifest) or Manifest()
    if (found := manifest.find(file)) is None:
        known = ", ".join(entry.file for entry in manifest.entries) or "none was saved"
        raise IntegrityError(f"run {folder.name} has no checkpoint {file}; it has: {known}")
    return found


def verified_checkpoint(ctx: RunContext, file: str) -> Path:
    """The path of a checkpoint, after comparing its bytes with the manifest.

    Raises:
        IntegrityError: the manifest has no such row, or the bytes differ.
        EnvironmentFailed: it cannot be read.
    """
    entry = manifest_entry(ctx.folder, file)
    path = ctx.folder.root / entry.source
    if (found := sha256_file(path)) != entry.sha256:
        raise IntegrityError(_mismatch(path, entry, found))
    return path


def copy_verified(folder: RunFolder, entry: ManifestEntry, target: Path, progress: Progress) -> None:
    """Copy a checkpoint. The target appears only if the bytes match the manifest.

    Raises:
        IntegrityError: the bytes differ; the target is unchanged.
        EnvironmentFailed: the disk is full, read-only or failing.
    """
    source = folder.root / entry.whole
    if entry.content is not None:
        _copy_folder(source, entry, target)
        return
    part = target.with_name(f".{target.name}.part")
    with explained(target, "write"):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            found = _copy(source, part, progress, entry.bytes)
            if found != entry.sha256:
                raise IntegrityError(_mismatch(source, entry, found))
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        flush_folder(target.parent)


def _copy_folder(source: Path, entry: ManifestEntry, target: Path) -> None:
    """Copy a checkpoint that is a folder; a folder of an earlier copy makes room for it."""
    part, before = target.with_name(f".{target.name}.part"), target.with_name(f".{target.name}.before")
    with explained(target, "write"):
        target.parent.mkdir(parents=True, exist_ok=True)
        for left in (part, before):
            shutil.rmtree(left, ignore_errors=True)
        try:
            found = put(source, part)
            if found != entry.whole_sha256:
                raise IntegrityError(_mismatch(source, entry, found))
            if target.exists():
                target.rename(before)
            part.rename(target)
        finally:
            for left in (part, before):
                shutil.rmtree(left, ignore_errors=True)
        flush_folder(target.parent)


def _copy(source: Path, part: Path, progress: Progress, total: int) -> str:
    """Copy a file; the sha256 of the bytes written."""
    with source.open("rb") as incoming, part.open("wb") as out, progress.task(source.name, total, unit="B") as task:
        return sha256_of(copy_blocks(read_blocks(incoming), out), task.advance)


def _mismatch(path: Path, entry: ManifestEntry, found: str) -> str:
    expected = f"the manifest says {entry.whole_sha256}"
    return f"{path}: its sha256 is {found}, {expected}; it was changed or damaged after it was saved"

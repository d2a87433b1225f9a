"""Uploads files to a volume, after checking their digest."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import Any

import modal

from cardrunner.contracts import Progress
from cardrunner.errors import EnvironmentFailed, IntegrityError, UsageError
from cardrunner.executors.modal_cloud.advice import advised
from cardrunner.executors.modal_cloud.preflight import find_volume, reach
from cardrunner.executors.modal_cloud.volumes import VolumeFolder
from cardrunner.runs.files import sha256_file

_BLOCK = 4 << 20


def upload(file: Path, *, volume: str, path: str, sha256: str | None, force: bool, progress: Progress) -> str:
    """Upload a file to a volume.

    The SDK sends blocks by digest, so that a repeated upload skips the blocks of an interrupted one.

    Args:
        file: the file here.
        volume: the name of the volume.
        path: the path on it.
        sha256: the expected digest; None to accept any.
        force: replace a file that is there.
        progress: where to show it.

    Returns:
        its sha256.

    Raises:
        UsageError: another file is there.
        IntegrityError: the file has another digest; nothing was sent.
        EnvironmentFailed: Modal cannot be reached, or refuses.
    """
    reach()
    volume_folder = VolumeFolder(find_volume(volume), str(PurePosixPath(path).parent))
    name, size = PurePosixPath(path).name, file.stat().st_size
    with advised(f"look at {path} on the volume {volume}"):
        there = volume_folder.size(name)
    if there is not None and not force:
        raise UsageError(
            f"{path} is on the volume {volume} already, with {there} bytes (this file has {size}); --force replaces it"
        )
    digest = _digest(file, progress)
    if sha256 not in (None, digest):
        raise IntegrityError(f"{file}: its sha256 is {digest}, the card says {sha256}; nothing was sent")
    bar = progress.task(f"{file.name} to the volume {volume}", size, unit="B")
    with bar as task, advised(f"upload {file}"), _batch(volume_folder.volume, task.advance) as batch:
        batch.put_file(file, path)
    with advised(f"look at {path} on the volume {volume}"):
        if (found := volume_folder.size(name)) != size:
            raise EnvironmentFailed(
                f"{path} has {found} bytes on the volume {volume}, {file} has {size}; upload it again"
            )
    return digest


def _digest(file: Path, progress: Progress) -> str:
    with progress.task(f"sha256 of {file.name}", file.stat().st_size, unit="B") as task:
        return sha256_file(file, task.advance)


def _batch(volume: modal.Volume, advance: Callable[[int], object]) -> AbstractContextManager[Any]:
    """An upload batch that reports progress, made as the SDK's own command does; a plain one in other SDK versions."""

    def on_progress(task_id: object = None, advance_by: float | None = None, **more: Any) -> object:
        amount = more.get("advance", advance_by)
        if amount:
            advance(int(amount))
        return task_id or more.get("name")

    try:
        from modal.volume import AbstractVolumeUploadContextManager

        metadata: Any = volume._get_metadata()
        batch: AbstractContextManager[Any] = AbstractVolumeUploadContextManager.resolve(
            metadata.version, volume.object_id, volume.client, progress_cb=on_progress, force=True
        )
    except (ImportError, AttributeError, TypeError):
        return volume.batch_upload(force=True)
    return batch

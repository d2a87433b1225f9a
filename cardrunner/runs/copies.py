"""Copies of files and folders that are on the disk and the same as what was copied."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cardrunner.errors import EnvironmentFailed
from cardrunner.runs.files import copy_blocks, explained, flush_folder, read_blocks, sha256_file, sha256_of


def files_of(folder: Path) -> Iterator[Path]:
    """Everything in a folder that is not a folder, in order of the paths; links are not followed."""
    for root, folders, names in os.walk(folder, onerror=_raise):
        links = [name for name in folders if (Path(root) / name).is_symlink()]
        folders[:] = sorted(set(folders) - set(links))
        yield from (Path(root) / name for name in sorted([*names, *links]))


def _raise(error: OSError) -> None:
    raise error


def sha256_at(path: Path) -> str:
    """The sha256 of a file, or of the paths, sizes and digests of a folder's files.

    Raises:
        EnvironmentFailed: it cannot be read.
    """
    if not path.is_dir():
        return sha256_file(path)
    with explained(path, "read"):
        lines = [(file, file.stat().st_size) for file in files_of(path)]
    return sha256_of(_line(path, file, size, sha256_file(file)) for file, size in lines)


def size_at(path: Path) -> int:
    """The bytes of a file, or of a folder's files."""
    return sum(file.stat().st_size for file in ([path] if not path.is_dir() else files_of(path)))


def _line(folder: Path, file: Path, size: int, digest: str) -> bytes:
    return b"\0".join((os.fsencode(file.relative_to(folder)), str(size).encode(), digest.encode())) + b"\n"


def put(source: Path, target: Path, *, link: bool = False) -> str:
    """Copy a file or folder to a name that is free, flush it to the disk, and compare.

    Args:
        source: what is copied.
        target: its new place.
        link: give its files second names instead, where the disk can do that.

    Returns:
        The sha256 of the bytes that were read, which are those of the new place.

    Raises:
        EnvironmentFailed: the disk is full or failing, or the copy differs.
    """
    with explained(target, "write"):
        files = list(files_of(source)) if source.is_dir() else [source]
        digests = [_put_file(file, _place(file, source, target), link=link) for file in files]
        for folder in {_place(file, source, target).parent for file in files} | {target.parent}:
            flush_folder(folder)
        sizes = [_place(file, source, target).stat().st_size for file in files]
    lines = (_line(source, *entry) for entry in zip(files, sizes, digests, strict=True))
    digest = sha256_of(lines) if source.is_dir() else digests[0]
    if not link and sha256_at(target) != digest:
        raise EnvironmentFailed(f"the copy {target} of {source} differs from it: the disk or the memory fails")
    return digest


def _place(file: Path, source: Path, target: Path) -> Path:
    return target if file == source else target / file.relative_to(source)


def _put_file(source: Path, target: Path, *, link: bool) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    if link:
        with suppress(OSError):  # another disk, or one without links
            target.hardlink_to(source)
            return sha256_file(target)
    with source.open("rb") as read, target.open("xb") as written:
        digest = sha256_of(copy_blocks(read_blocks(read), written))
    shutil.copystat(source, target)
    return digest

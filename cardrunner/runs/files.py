"""Durable files: staging file, flush, rename, flush of the folder."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from cardrunner.errors import EnvironmentFailed
from cardrunner.runs.kept_folder import check_in_place

Writer = Callable[[BinaryIO], object]
_BLOCK = 4 << 20
_NOT_REGULAR = "it is not a regular file"
_ADVICE = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EACCES: "permission was denied; check who may write there",
    errno.EPERM: "permission was denied; check who may write there",
    errno.ENOTDIR: "a file is where a folder is needed; move it away",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EFBIG: "the file would be larger than this process may write (ulimit -f)",
}


@contextmanager
def explained(path: Path, doing: str) -> Iterator[None]:
    """Turn an OSError into one sentence with the next step.

    Raises:
        EnvironmentFailed: an OSError happened inside.
    """
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, os.strerror(error.errno) if error.errno else str(error))
        raise EnvironmentFailed(f"cannot {doing} {path}: {advice}") from error


def write_durably(path: Path, write: Writer) -> None:
    """Replace a file so that after a crash it has either the old or the new content, complete.

    Args:
        path: the file; its folder is made when absent.
        write: writes the content to the open staging file.

    Raises:
        EnvironmentFailed: the disk is full, read-only or failing; the old content is intact.
    """
    write_together({path: write})


def write_together(contents: Mapping[Path, Writer]) -> None:
    """`write_durably` for files that belong together: each is replaced only when all are staged on the disk.

    A full disk therefore changes none of them. They are replaced in the given order, so the one that vouches for the
    others comes last.

    Raises:
        EnvironmentFailed: the disk is full, read-only or failing; the old contents are intact.
    """
    for path in contents:
        check_in_place(path)  # or its folder would be made anew
    try:
        for path, write in contents.items():
            with explained(path, "write"):
                _stage(path, write)
        for path in contents:
            with explained(path, "write"):
                _staging(path).replace(path)
                flush_folder(path.parent)
    except BaseException:
        for path in contents:
            with suppress(OSError):  # the original error is more informative
                _staging(path).unlink(missing_ok=True)
            check_in_place(path)
        raise
    for path in contents:
        check_in_place(path, made=True)


def writer_of(data: bytes) -> Writer:
    """A writer of exactly these bytes, for `write_together`."""
    return lambda stream: stream.write(data)


def write_bytes(path: Path, data: bytes) -> None:
    """`write_durably` for bytes."""
    write_durably(path, writer_of(data))


def write_text(path: Path, text: str) -> None:
    """`write_durably` for UTF-8 text."""
    write_bytes(path, text.encode())


def name_file(source: Path, path: Path) -> None:
    """Give a file on the disk a second name, replacing any file of that name; a copy where links are not possible.

    Raises:
        EnvironmentFailed: the disk is full, read-only or failing; the name is unchanged.
    """
    with explained(path, "write"):
        if path.exists() and _is_copy(path, source):
            return
        _staging(path).unlink(missing_ok=True)
        try:
            os.link(source, _staging(path))
        except OSError:
            with source.open("rb") as stream:
                write_durably(path, lambda copy: shutil.copyfileobj(stream, copy))
            shutil.copystat(source, path)
            return
        _staging(path).replace(path)
        flush_folder(path.parent)


def _is_copy(path: Path, source: Path) -> bool:
    one, other = path.stat(), source.stat()
    return path.samefile(source) or (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)


def _staging(path: Path) -> Path:
    return path.with_name(f".{path.name}.staging")


def _stage(path: Path, write: Writer) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with _staging(path).open("wb") as stream:
        write(stream)
        stream.flush()
        os.fsync(stream.fileno())


def flush_folder(folder: Path) -> None:
    """Make a rename in the folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock, waiting for the process that has it; it vanishes with the process that holds it.

    Args:
        path: a folder, or a file used only as the lock; a file is made if absent.

    Raises:
        EnvironmentFailed: it cannot be opened, made or locked.
    """
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    with explained(path, "lock"):
        descriptor = os.open(path, flags, 0o644)
    try:
        with explained(path, "lock"):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock now."""
    if not path.exists():
        return False
    with path.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading. A pipe or a device might never end, or do something when it is opened.

    Raises:
        OSError: it is something else, or cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(_NOT_REGULAR)
    # a plain open would wait for the writer of a pipe that has replaced the file since
    stream = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise OSError(_NOT_REGULAR)
    return stream


def read_regular(path: Path) -> bytes:
    """The content of a regular file; see `open_regular`."""
    with open_regular(path) as stream:
        return stream.read()


def read_blocks(stream: BinaryIO) -> Iterator[bytes]:
    """The rest of a stream, in blocks of 4 MiB."""
    while block := stream.read(_BLOCK):
        yield block


def sha256_of(blocks: Iterable[bytes], progress: Callable[[int], object] | None = None) -> str:
    """The sha256 of bytes that come in blocks, as 64 hexadecimal digits.

    Args:
        blocks: the bytes.
        progress: called with the number of bytes of each block.
    """
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
        if progress is not None:
            progress(len(block))
    return digest.hexdigest()


def copy_blocks(blocks: Iterable[bytes], out: BinaryIO) -> Iterator[bytes]:
    """The same blocks, each written to `out` as it passes; the file is on the disk after the last one."""
    for block in blocks:
        out.write(block)
        yield block
    out.flush()
    os.fsync(out.fileno())


def sha256_file(path: Path, progress: Callable[[int], object] | None = None) -> str:
    """The sha256 of a file's bytes as 64 hexadecimal digits.

    Args:
        path: the file.
        progress: called with the number of bytes of each block that was read.

    Raises:
        EnvironmentFailed: the file is absent or cannot be read.
    """
    with explained(path, "read"), path.open("rb") as stream:
        return sha256_of(read_blocks(stream), progress)

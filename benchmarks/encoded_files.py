"""Encoded files of any size for measurements: real games, or made-up ones, over and over."""

from __future__ import annotations

import ctypes
import mmap
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from cardrunner.workloads.melee.encoding.encoded_data import EncodedData, open_data
from cardrunner.workloads.melee.encoding.layout import BYTES_PER_FRAME
from cardrunner.workloads.melee.encoding.scheme import EncoderRules
from cardrunner.workloads.melee.encoding.writer import EncodedWriter

_PAGE = mmap.PAGESIZE


@contextmanager
def repeated(source: EncodedData, *, size: int, folder: Path | None = None) -> Iterator[Path]:
    """A temporary file of about `size` bytes, made of the source's games in turn.

    Args:
        folder: on the disk that is measured; default: where temporary files go.
    """
    with TemporaryDirectory(dir=folder) as place:
        free = shutil.disk_usage(place).free
        if free < 2.5 * size:
            raise SystemExit(f"{place}: {free} bytes are free, {int(2.5 * size)} are needed for a file of {size}")
        path = Path(place) / "games.pt"
        with EncodedWriter(path) as writer:
            while writer.frames * BYTES_PER_FRAME < size:
                floats, ints = source.game(writer.games % source.games)
                writer.add(floats.numpy(), ints.numpy())
            writer.commit(rules=EncoderRules(source="slp"))
        yield path


@contextmanager
def short_games(games: int, *, rows: int) -> Iterator[Path]:
    """A file of many games of a few rows of zeros."""
    floats, ints = np.zeros((rows, 56), np.float32), np.zeros((rows, 17), np.int64)
    with TemporaryDirectory() as place:
        path = Path(place) / "games.pt"
        with EncodedWriter(path) as writer:
            for _ in range(games):
                writer.add(floats, ints)
            writer.commit(rules=EncoderRules(source="slp"))
        yield path


def evict(path: Path) -> float:
    """Have the system forget a file's pages; returns the share that is still cached."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
    return cached_share(path)


def cached_share(path: Path) -> float:
    """The share of a file's pages that are in the page cache, by ``mincore``."""
    size = path.stat().st_size
    libc = ctypes.CDLL(None, use_errno=True)
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_COPY) as pages:
        states = (ctypes.c_ubyte * -(-size // _PAGE))()
        anchor = ctypes.c_char.from_buffer(pages)
        failed = libc.mincore(ctypes.c_void_p(ctypes.addressof(anchor)), ctypes.c_size_t(size), states)
        del anchor
    if failed:
        raise OSError(ctypes.get_errno(), "mincore")
    return float(np.mean(np.frombuffer(bytes(states), np.uint8) & 1))


def read_through(path: Path, *, block: int = 8 << 20) -> int:
    """Read a file from beginning to end and let its pages go; returns the bytes."""
    memory, done = bytearray(block), 0
    descriptor = os.open(path, os.O_RDONLY)
    try:
        while count := os.preadv(descriptor, [memory], done):
            done += count
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
    return done


def opened(path: Path) -> EncodedData:
    """The file as a run opens it."""
    return open_data([path])

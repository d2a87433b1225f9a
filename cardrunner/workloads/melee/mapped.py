"""A torch file's own pages as tensors, at any size.

``torch.load(mmap=True)`` maps a whole file privately and writable, which Linux refuses for a file larger than memory
and swap.
"""

from __future__ import annotations

import mmap
import sys
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from cardrunner.workloads.melee.archive import StoredTensor

_NO_RESERVE: Final = 0x4000  # MAP_NORESERVE, which not every Python names


def map_file(path: Path) -> mmap.mmap:
    """A file's pages, private to this process; takes no memory that is not given back under pressure."""
    with path.open("rb") as stream:
        if sys.platform != "linux":
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
        flags = mmap.MAP_PRIVATE | _NO_RESERVE
        return mmap.mmap(stream.fileno(), 0, flags=flags, prot=mmap.PROT_READ | mmap.PROT_WRITE)


def view(pages: mmap.mmap, stored: StoredTensor) -> Tensor:
    """A checked tensor as a view of the mapped file."""
    assert stored.storage is not None
    dtype: torch.dtype = getattr(torch, stored.storage.dtype)
    if not stored.elements:
        return torch.empty(stored.shape, dtype=dtype)
    flat = torch.frombuffer(pages, dtype=dtype, count=stored.elements, offset=stored.position)
    return flat.view(stored.shape)

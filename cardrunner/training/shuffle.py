"""How the examples of an epoch are put in order: over the whole data, or block by block. Torch-free.

A file that fits into memory stays in the page cache, so examples can be picked anywhere in it. Of a larger one every
pick would be a disk access, slower than training; there, long stretches of examples are read in random order, and
mixed inside a block of bounded size.

The choice follows from the card and the machine, never from what happens to be free: a resumed run must choose alike.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Literal

from cardrunner.units import format_bytes

Shuffle = Literal["full", "block"]
FULL_MODE: Final = "memory-mapped, full shuffle"
RESERVE: Final = 2 << 30
"""Bytes of a machine that are not counted on for data: the process, the model, a checkpoint being written."""
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def choose_shuffle(wanted: Literal["auto", "full", "block"], *, data_bytes: int, memory_bytes: int) -> Shuffle:
    """What `auto` means for so much data on so large a machine."""
    if wanted != "auto":
        return wanted
    return "full" if data_bytes <= memory_bytes - RESERVE else "block"


def describe_shuffle(shuffle: Shuffle, *, block_bytes: int) -> str:
    """The words for plan and records."""
    if shuffle == "full":
        return FULL_MODE
    return f"read in sequence, shuffled in blocks of {format_bytes(block_bytes)}"


def machine_memory() -> int:
    """Bytes of memory that this process may use: the machine's, or less where its control group has a limit."""
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = (path.read_text().strip() for path in _LIMITS if path.is_file())
    return min([installed, *(int(limit) for limit in limits if limit.isdigit())])

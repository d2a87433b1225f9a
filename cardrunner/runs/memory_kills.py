"""Whether the kernel has killed a process for lack of memory, by its own counters."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path


class MemoryKills:
    """Tells whether the kernel has killed a process for lack of memory since this object was made.

    Args:
        files: files with a line ``oom_kill N``; by default those of this control group and of the machine.
    """

    def __init__(self, files: tuple[Path, ...] | None = None) -> None:
        self._files = files if files is not None else tuple(_counters())
        self._before = self._counts()

    @property
    def happened(self) -> bool:
        """True when a counter has grown."""
        return any(count > self._before.get(path, count) for path, count in self._counts().items())

    def _counts(self) -> Mapping[Path, int]:
        found = {}
        for path in self._files:
            with contextlib.suppress(OSError, ValueError):
                words = dict(line.split()[:2] for line in path.read_text().splitlines() if len(line.split()) > 1)
                found[path] = int(words.get("oom_kill", 0))
        return found


def _counters() -> Iterator[Path]:
    """The counters of this process's control group (version 2) and of the whole machine."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            number, _, path = line.partition("::")
            if number == "0":
                yield Path(f"/sys/fs/cgroup{path}", "memory.events")
    yield Path("/proc/vmstat")

"""The processes that a script has started, those in sessions of their own too, and signals that reach only them.

A group or a session is not enough to find them: torchrun puts each worker into a session of its own. So all processes
of the machine are read, and one counts as the script's if it descends from it, belongs to a session of such a one, or
carries the script's mark in its environment.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from cardrunner.runs.process_identity import start_time

MARK: Final = "CARDRUNNER_SCRIPT"
"""The environment variable that a script's processes inherit; its value is the script's own."""
_PROC: Final = Path("/proc")
_STAT_BYTES: Final = 4_096
_PR_SET_CHILD_SUBREAPER: Final = 36
"""See prctl(2)."""


@dataclass(frozen=True)
class Process:
    """A process as it was found at one look."""

    pid: int
    parent: int
    session: int
    """Its session; its process group where the system does not tell."""
    began: str
    """Its start time as `start_time` gives it; it and the number together name one process for good."""
    name: str
    zombie: bool = False
    """It has ended, and its parent has not asked how."""

    @property
    def identity(self) -> tuple[int, str]:
        """What no other process shares."""
        return self.pid, self.began

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})"


def adopt_orphans() -> bool:
    """Become the parent of descendants whose parent ends, instead of init; False where the system has no such thing."""
    if sys.platform != "linux":
        return False
    with contextlib.suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    return False


def all_processes() -> list[Process]:
    """Every process that this user may see."""
    return _of_proc() if (_PROC / "self" / "stat").exists() else processes_of_ps()


def processes_of_ps() -> list[Process]:
    """The same from ``ps``, which systems without /proc have."""
    command = ("ps", "-axo", "pid=,ppid=,pgid=,stat=,lstart=,comm=")
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    return [_of_ps_line(line.split(maxsplit=9)) for line in done.stdout.splitlines() if len(line.split()) >= 10]


def _of_ps_line(words: list[str]) -> Process:
    pid, parent, group = map(int, words[:3])
    return Process(pid, parent, group, "-".join(words[4:9]), words[9], zombie=words[3].startswith(("Z", "X")))


def _of_proc() -> list[Process]:
    with os.scandir(_PROC) as entries:
        pids = [int(entry.name) for entry in entries if entry.name.isdigit()]
    return [process for pid in pids if (process := _of_stat(pid)) is not None]


def _of_stat(pid: int) -> Process | None:
    """See proc_pid_stat(5); the name may hold spaces and brackets."""
    try:
        place = os.open(f"/proc/{pid}/stat", os.O_RDONLY)  # of each process of the machine: a Path costs as much again
        try:
            text = os.read(place, _STAT_BYTES).decode(errors="replace")
        finally:
            os.close(place)
    except OSError:
        return None
    head, _, rest = text.rpartition(")")
    fields = rest.split(maxsplit=20)
    name = head.partition("(")[2]
    return Process(pid, int(fields[1]), int(fields[3]), fields[19], name, zombie=fields[0] in "ZX")


def carries(process: Process, mark: str) -> bool:
    """Whether a process was started with the mark in its environment; False where that cannot be read."""
    with contextlib.suppress(OSError):
        return f"\0{MARK}={mark}\0".encode() in b"\0" + (_PROC / str(process.pid) / "environ").read_bytes()
    return False


class Family:
    """The processes of one script.

    Args:
        root: the process that was started; None where only its mark is known.
        mark: the value of `MARK` in its environment.
        look: reads the processes of the machine.
    """

    def __init__(self, root: Process | None, mark: str, look: Callable[[], list[Process]] = all_processes) -> None:
        self._mark, self._look = mark, look
        self._known = set() if root is None else {root.identity}
        self._strangers: set[tuple[int, str]] = set()

    def living(self, *, reap: bool = False) -> list[Process]:
        """All that have not ended, the script's first process among them, the oldest first.

        Args:
            reap: take the exit codes of orphans that this process adopted and that have ended: no zombie is left.
        """
        members = self._members()
        if reap:
            self._reap(members)
        found = [process for process in members if not process.zombie]
        return sorted(found, key=lambda process: (len(process.began), process.began, process.pid))

    def _reap(self, members: list[Process]) -> None:
        for process in members:
            if process.zombie and process.parent == os.getpid():
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)

    def _members(self) -> list[Process]:
        """Those of the family; one that was seen once is known for good, whatever its parent is by now."""
        processes = [process for process in self._look() if process.pid != os.getpid()]
        present = {process.identity for process in processes}
        self._known &= present
        self._strangers &= present
        while fresh := set(self._fresh(processes)):
            self._known |= fresh
        return [process for process in processes if process.identity in self._known]

    def _fresh(self, processes: list[Process]) -> Iterator[tuple[int, str]]:
        """Members that were not known: only what lives at this look tells, since numbers are given again."""
        known = [process for process in processes if process.identity in self._known]
        parents = {process.pid for process in known}
        sessions = {process.session for process in known} - {os.getsid(0), os.getpgid(0), 0}
        for process in processes:
            if process.identity in self._known:
                continue
            if process.parent in parents or process.session in sessions or self._is_marked(process):
                yield process.identity

    def _is_marked(self, process: Process) -> bool:
        """Asked once of each process: what it was started with does not change."""
        if process.identity not in self._strangers and carries(process, self._mark):
            return True
        self._strangers.add(process.identity)
        return False


def send(process: Process, number: int) -> bool:
    """Signal a process, and none that has been given its number since; False if it has ended."""
    with contextlib.suppress(ProcessLookupError), _deliverer(process.pid) as deliver:
        if start_time(process.pid) == process.began:
            deliver(number)
            return True
    return False


@contextlib.contextmanager
def _deliverer(pid: int) -> Iterator[Callable[[int], None]]:
    """Sends signals to the process that has the number now, where the system can hold on to it."""
    handle = _handle(pid)
    if handle is None:
        yield partial(os.kill, pid)
        return
    try:
        yield partial(signal.pidfd_send_signal, handle)
    finally:
        os.close(handle)


def _handle(pid: int) -> int | None:
    """A descriptor of the process; None where the kernel has none."""
    try:
        return os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
    except ProcessLookupError:
        raise
    except OSError:
        return None

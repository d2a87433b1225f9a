"""Which process it is: its number alone does not tell, since the system gives the numbers of ended ones again."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class ProcessIdentity(BaseModel):
    """A process of some machine."""

    model_config = ConfigDict(frozen=True)
    host: str
    pid: int
    began: str | None
    """Its start time as the system writes it; None where that could not be read."""

    @classmethod
    def here(cls) -> ProcessIdentity:
        """The process that asks."""
        return cls(host=socket.gethostname(), pid=os.getpid(), began=start_time(os.getpid()))

    @property
    def is_gone(self) -> bool:
        """True when it was one of this machine and has ended; of another machine's nothing is known."""
        return self.host == socket.gethostname() and self.began is not None and start_time(self.pid) != self.began


def start_time(pid: int) -> str | None:
    """When a process of this machine began, in the system's own unit; None if it does not exist or is a zombie."""
    stat = Path(f"/proc/{pid}/stat")
    if not Path("/proc/self/stat").exists():
        return _start_time_of_ps(pid)
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _start_time_of_ps(pid: int) -> str | None:
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return "-".join(done.stdout.split()) or None

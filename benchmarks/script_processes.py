"""The processes of the scripts that ``benchmarks.random_stops`` and ``benchmarks.hostile_stops`` stop."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from cardrunner.runs.folder import RunFolder


def processes(folder: RunFolder) -> list[int]:
    """Processes of the script of a run: those whose environment names its folder, and that have not ended."""
    wanted = f"CARDRUNNER_OUT={folder.script_out.absolute()}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def first_of(found: Sequence[int]) -> list[int]:
    """The processes that none of the others has started."""
    return [pid for pid in found if _parent(pid) not in found]


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def command_line(pid: int) -> str:
    """What a process runs, for people."""
    try:
        said = Path(f"/proc/{pid}/cmdline").read_bytes().replace(bytes(1), b" ")
    except OSError:
        return f"{pid}, which has ended"
    return f"{pid} {said.decode(errors='replace')[:80]}"


def send(pids: Iterable[int], number: int) -> None:
    """Send a signal to processes, as far as they are there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def summary(what: str, tried: Sequence[tuple[str, bool, bool]]) -> str:
    """How stops went, as a table.

    Args:
        what: is stopped.
        tried: of each stop the name of what was stopped, whether it came at a row, and whether all was as it should be.
    """
    lines = [f"| {what} | stops | at a row | as it should be |", "|---|---|---|---|"]
    for name in dict.fromkeys(name for name, _, _ in tried):
        own = [(at_row, right) for found, at_row, right in tried if found == name]
        rows, right = sum(at_row for at_row, _ in own), sum(right for _, right in own)
        lines.append(f"| {name} | {len(own)} | {rows} | {right} |")
    return "\n".join(lines)

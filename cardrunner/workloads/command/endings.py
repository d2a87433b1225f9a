"""How an attempt of a script ended: its exit code alone proves nothing.

Some libraries end with 0 when they are stopped, torchrun ends with 1 whatever ended its workers, and a shell hides the
signal. So it counts first whether the script was asked to end, then how far it came, and what it printed last.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from cardrunner.common.text import plural
from cardrunner.runs.outcome import silent_end

Kind = Literal["stopped", "completed", "ended_early", "failed", "out_of_memory"]
LAST_LINES: Final = 40
"""Shown of a script that failed."""
_KILLED: Final = frozenset({-signal.SIGKILL, 128 + signal.SIGKILL})
_OUT_OF_MEMORY: Final = re.compile(
    r"torch\.(?:cuda\.)?OutOfMemoryError|(?:CUDA|HIP|MPS backend) out of memory|CUDA error: out of memory|"
    r"DefaultCPUAllocator: (?:can't|not enough)|^MemoryError\b|std::bad_alloc|RESOURCE_EXHAUSTED: Out of memory"
)
"""Messages of PyTorch, of Python, of C++ and of XLA."""
_KILLED_WORKER: Final = re.compile(r"Signal 9 \(SIGKILL\)|killed by signal: Killed|exitcode\s*: -9\b")
"""What torchrun and PyTorch's DataLoader print of a worker that the kernel killed."""


_ASKED: Final = re.compile(
    r"EOFError: EOF when reading a line|Inappropriate ioctl for device|/dev/tty|"
    r"(?:stdin|standard input|input)\b.{0,20} not a (?:tty|terminal)",
    re.IGNORECASE,
)
"""Messages of Python, of the system, and of programs that want a terminal."""
_NO_TERMINAL: Final = (
    "; it asked something, and has no terminal at which that is answered: give it the answer in training.command"
)


_SIGNALLED: Final = re.compile(r"\b[Rr]eceived SIGTERM\b|\bSIGTERM received\b")
"""What Lightning and Hugging Face's Trainer print when they are asked to end; both end with 0 then."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What is known of a script that has ended."""

    code: int
    """Its exit code, or minus the signal that ended it."""
    asked: str | None
    """Why it was asked to end, as a sentence; None if it ended by itself."""
    progress: float | None
    """The part of the card's length that it reached, from 0; None where the card states none."""
    tail: tuple[str, ...] = ()
    """The last lines that it printed."""
    kernel_killed: bool = False
    """Whether the kernel has killed a process for lack of memory since the script was started."""


@dataclass(frozen=True)
class Ending:
    """The end of an attempt."""

    kind: Kind
    sentence: str
    lines: tuple[str, ...] = ()
    """The last lines, where they say why."""


def ending_of(ended: Ended) -> Ending:
    """The end of an attempt: asked to end, or complete, or out of memory, or failed, in this order."""
    if ended.asked is not None:
        return Ending("stopped", f"{ended.asked}; the script {how_ended(ended.code)}")
    if ended.code == 0:
        return _ending_of_zero(ended)
    lines = ended.tail[-LAST_LINES:]
    if (why := _lack_of_memory(ended)) is not None:
        return Ending("out_of_memory", f"the script ran out of memory: {why}", lines)
    shown = f"its last {plural(len(lines), 'line')} {'follows' if len(lines) == 1 else 'follow'}"
    asked = _NO_TERMINAL if _first(_ASKED, lines) is not None else ""
    said = shown if lines else "it printed no line"
    return Ending("failed", f"the script {how_ended(ended.code)}{asked}; {said}", lines)


def _ending_of_zero(ended: Ended) -> Ending:
    progress, lines = ended.progress, ended.tail[-LAST_LINES:]
    if progress is not None and progress >= 1:
        return Ending("completed", "the script ended with 0 at the length that the card states")
    # 99.7 % is not the whole length, so the percentage is rounded down
    at = "" if progress is None else f", at {int(progress * 100)} % of the length that the card states"
    if (line := _first(_SIGNALLED, lines)) is not None:  # it was not this run that asked
        return Ending("failed", f"the script ended with 0{at}, after a signal from outside: {line}", lines)
    if progress is None:
        return Ending("completed", "the script ended with 0; the card states no length to compare with")
    return Ending("ended_early", f"ended early{at}")


def _lack_of_memory(ended: Ended) -> str | None:
    if (line := _first(_OUT_OF_MEMORY, ended.tail)) is not None:
        return line
    killed = ended.code in _KILLED or _first(_KILLED_WORKER, ended.tail) is not None
    return "the kernel killed it (it counted an oom_kill)" if killed and ended.kernel_killed else None


def _first(pattern: re.Pattern[str], lines: Iterable[str]) -> str | None:
    return next((line.strip() for line in lines if pattern.search(line)), None)


def how_ended(code: int) -> str:
    """The end of a process by its exit code, or minus the signal that ended it."""
    return silent_end(code) if code < 0 else f"ended with {code}"

"""Running the command that proves a checklist item."""

from __future__ import annotations

import os
import selectors
import shlex
import signal
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from cardrunner.card.reading import characters
from cardrunner.common.clock import moment, timestamp
from cardrunner.common.redaction import TERMINAL_CODE, hide
from cardrunner.workspace import Workspace

TIMEOUT_SECONDS = 600.0
KEPT_CHARACTERS = 2000
_BLOCK = 1 << 16
_KEPT_BYTES = 4 * KEPT_CHARACTERS + _BLOCK


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """The result of a check.

    Args:
        check: the command line, or the name of the built-in.
        ok: it passed; a command with exit code 0, in time.
        ending: how it ended, such as ``exit code 1 after 0.3 s``.
        output: the last characters of its output, both streams, free of anything a card may not hold.
        at: when it ended, in UTC.
    """

    check: str
    ok: bool
    ending: str
    output: str
    seconds: float
    at: str

    @property
    def evidence(self) -> str:
        """The text that is kept in the card."""
        return f"{self.check}: {self.ending}" + (f"\n{self.output}" if self.output else "")


def run_check(
    argv: Sequence[str],
    workspace: Workspace,
    *,
    timeout: float = TIMEOUT_SECONDS,
    show: Callable[[bytes], object] = lambda _: None,
) -> CheckResult:
    """Run a command that proves an item as an argument list, never through a shell, in the workspace's root.

    ``python`` and other commands of the environment that cardrunner runs in are found first.

    Args:
        argv: the command and its arguments.
        timeout: seconds until it and everything it started are killed.
        show: given the output as it comes.
    """
    begun = time.monotonic()
    tail = _Tail(show)
    ending = _run(argv, workspace, tail, deadline=begun + timeout)
    seconds = time.monotonic() - begun
    if ending is None:
        ending = f"killed after {timeout:.0f} s, the longest a check may take"
    return CheckResult(
        check=shlex.join(argv),
        ok=ending == "exit code 0",
        ending=f"{ending} after {seconds:.1f} s" if ending.startswith("exit code") else ending,
        output=tail.text(),
        seconds=seconds,
        at=timestamp(moment()),
    )


def plain_output(text: str) -> str:
    """Output without terminal codes and without characters that a card may not hold."""
    lines = TERMINAL_CODE.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", characters.blanked(lines)).strip()


class _Tail:
    """Passes output on and keeps the end of it."""

    def __init__(self, show: Callable[[bytes], object]) -> None:
        self._show = show
        self._kept = b""

    def append(self, block: bytes) -> None:
        self._show(block)
        self._kept = (self._kept + block)[-_KEPT_BYTES:]

    def text(self) -> str:
        return hide(plain_output(self._kept.decode(errors="replace")))[-KEPT_CHARACTERS:].strip()


def _run(argv: Sequence[str], workspace: Workspace, tail: _Tail, *, deadline: float) -> str | None:
    """Run a command to its end; None if it ran out of time."""
    try:
        # a session of its own, so that its children can be killed with it
        process = subprocess.Popen(
            argv,
            cwd=workspace.root,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            bufsize=0,
        )
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        place = f"{argv[0]!r} could not be started in {workspace.root}"
        return f"{place} ({reason}); install it, or correct the check in the card"
    with process, _killed_on_the_way_out(process):
        return _follow(process, tail, deadline)


def _environment() -> dict[str, str]:
    own = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": os.pathsep.join((own, os.environ.get("PATH", os.defpath)))}


def _follow(process: subprocess.Popen[bytes], tail: _Tail, deadline: float) -> str | None:
    for block in _output(process, deadline):
        tail.append(block)
    try:
        code = process.wait(timeout=max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return None
    return f"exit code {code}" if code >= 0 else f"killed by signal {-code} ({signal.strsignal(-code)})"


def _output(process: subprocess.Popen[bytes], deadline: float) -> Iterator[bytes]:
    """Blocks of output until the command has ended, even where something it left behind keeps the pipe open."""
    pipe = cast("IO[bytes]", process.stdout)  # it was asked for
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            ended = process.poll() is not None
            if selector.select(0 if ended else min(left, 0.2)):
                if not (block := os.read(pipe.fileno(), _BLOCK)):
                    return
                yield block
            elif ended:
                return


@contextmanager
def _killed_on_the_way_out(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(ProcessLookupError, PermissionError):  # everything has ended
            os.killpg(process.pid, signal.SIGKILL)

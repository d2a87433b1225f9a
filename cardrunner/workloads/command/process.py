"""Starts a script and ends it with everything that it started."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, cast

import cardrunner
from cardrunner.common.text import listed
from cardrunner.errors import EnvironmentFailed, UsageError
from cardrunner.workloads.command.obstacles import absence
from cardrunner.workloads.command.process_tree import MARK, Family, Process, adopt_orphans, all_processes, send
from cardrunner.workspace import VOLUME_VARIABLE

_PACKAGE: Final = Path(cardrunner.__file__).resolve().parent
_PIPE_BYTES: Final = 1 << 20
"""What a script may print without waiting for this process; where the system can set it."""
_KILL_SECONDS: Final = 5.0
"""How long after SIGKILL a process may still be there: one that waits for a disk or a driver ends late."""


@dataclass(frozen=True)
class Command:
    """What is run."""

    argv: tuple[str, ...]
    cwd: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    """Names that are added to this process's environment, or take the place of one."""
    modules: tuple[Path, ...] = ()
    """Folders that come first on the path of its Python."""
    place: str = "training.command"
    """Its field in the card, for messages."""
    inherited: Mapping[str, str] | None = None
    """In place of this process's environment."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Seconds that the processes of a script are given."""

    grace: float = 60.0
    """From the request to end until everything is killed."""
    helpers: float = 5.0
    """For what is left when the script itself has ended: a tracker's process sends its last rows then."""
    poll: float = 0.05


@dataclass(frozen=True, kw_only=True)
class ScriptEnd:
    """How the processes of a script ended."""

    code: int | None
    """The exit code of its first process, or minus the signal that ended it; None if it could not be ended."""
    asked: int | None
    """The signal by which it was asked to end; None if it ended by itself."""
    killed: tuple[Process, ...]
    """What had to be killed."""
    left: tuple[Process, ...]
    """What is still there."""
    seconds: float
    """From the request, or from the end of its first process, until this was known."""

    @property
    def sentence(self) -> str | None:
        """What people should know about its end; None if all of it ended by itself."""
        if self.left:
            return f"{_processes(self.left)} cannot be killed: it waits for a disk or a driver; end it by hand"
        return f"{_processes(self.killed)} did not end when asked to, and was killed" if self.killed else None


class Script:
    """A running script; `Script.start` makes one."""

    def __init__(self, process: subprocess.Popen[bytes], mark: str) -> None:
        self._process = process
        # it is this process's child, so it is found even if it has ended already
        self._root = next(found for found in all_processes() if found.pid == process.pid)
        self._family = Family(self._root, mark)
        self._asked: tuple[int, float] | None = None

    @classmethod
    def start(cls, command: Command, *, mark: str | None = None) -> Script:
        """Run a command line in a session of its own, without a terminal; its output is read from `output`.

        Args:
            command: what is run.
            mark: names this script in the environment of its processes, so that `end_leftovers` finds them when this
                process was killed; by default one that no other script has.

        Raises:
            UsageError: the command or its folder does not exist, or cannot be run.
            EnvironmentFailed: the machine has no room for another process.
        """
        adopt_orphans()
        mark = mark or uuid.uuid4().hex
        try:
            return cls(_started(command, mark), mark)
        except ValueError as error:
            raise UsageError(f"{command.place}: {error}; an argument holds no NUL character") from None
        except OSError as error:
            raise _refusal(command, error) from error

    @property
    def output(self) -> IO[bytes]:
        """What it writes to its standard output and error, unbuffered; to be closed after its end."""
        return cast("IO[bytes]", self._process.stdout)

    @property
    def pid(self) -> int:
        """The number of its first process."""
        return self._process.pid

    @property
    def asked(self) -> int | None:
        """The signal by which it was asked to end."""
        return None if self._asked is None else self._asked[0]

    def poll(self) -> int | None:
        """The exit code of its first process, or minus the signal that ended it; None while it runs."""
        return self._process.poll()

    def processes(self) -> list[Process]:
        """All of its processes that run now. To be called every few seconds: what was seen once is found later too."""
        return self._family.living(reap=True)

    def ask(self, number: int = signal.SIGTERM) -> None:
        """Ask its first process to end, once: a second signal makes many libraries end without saving."""
        if self._asked is None and self.poll() is None and send(self._root, number):
            self._asked = number, time.monotonic()

    def end(self, number: int = signal.SIGTERM, patience: Patience | None = None) -> ScriptEnd:
        """End all of its processes: ask, wait, kill what is left, and see that it is gone.

        What is left when the first process has ended is given a moment, and is then asked as well: a shell that runs a
        script ends at once, and the script only begins to save.

        Args:
            number: the signal that asks; ignored if it has been asked already.
            patience: how long each part may take.
        """
        patience = patience or Patience()
        self.ask(number)
        began = time.monotonic() if self._asked is None else self._asked[1]
        _wait(lambda: self.poll() is not None, until=began + patience.grace, poll=patience.poll)
        if self.poll() is not None:
            self._leave(number, began + patience.grace, patience)
        killed, left = _kill(self._living, patience.poll)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0 if left else _KILL_SECONDS)
        return ScriptEnd(
            code=self.poll(), asked=self.asked, killed=killed, left=left, seconds=time.monotonic() - began
        )  # fmt: skip

    def _leave(self, number: int, grace_ends: float, patience: Patience) -> None:
        """Give what the ended script has left behind a moment, then ask it too."""
        moment = time.monotonic() + patience.helpers
        if _wait(self._is_gone, until=moment, poll=patience.poll):
            return
        for process in self._family.living():
            send(process, number)
        later = time.monotonic() + patience.helpers
        _wait(self._is_gone, until=later if self._asked is None else max(later, grace_ends), poll=patience.poll)

    def _is_gone(self) -> bool:
        return not self.processes()

    def _living(self) -> list[Process]:
        self.poll()
        return self.processes()


def end_leftovers(mark: str, patience: Patience | None = None) -> tuple[Process, ...]:
    """End what an earlier script of this mark has left because its watcher was killed: ask, wait, kill.

    Returns:
        What had been left.
    """
    patience = patience or Patience()
    family = Family(None, mark)
    found = tuple(family.living())
    for process in found:
        send(process, signal.SIGTERM)
    _wait(lambda: not family.living(), until=time.monotonic() + patience.helpers, poll=patience.poll)
    _kill(family.living, patience.poll)
    return found


def _kill(living: Callable[[], list[Process]], poll: float) -> tuple[tuple[Process, ...], tuple[Process, ...]]:
    """Kill until a look finds none: a process may have started another meanwhile. What was killed, and is left."""
    killed: dict[tuple[int, str], Process] = {}
    deadline = time.monotonic() + _KILL_SECONDS
    while (there := living()) and time.monotonic() < deadline:
        killed.update({process.identity: process for process in there if send(process, signal.SIGKILL)})
        time.sleep(poll / 5)
    left = {process.identity for process in there}
    return tuple(process for key, process in killed.items() if key not in left), tuple(there)


def script_environment(
    extra: Mapping[str, str], modules: Sequence[Path] = (), inherited: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The environment of a script: this process's, unbuffered, without the entry by which our own processes find us.

    Args:
        extra: names that are added, or take the place of one.
        modules: folders that come first on the path of its Python.
        inherited: in place of this process's environment.
    """
    environment = {**(os.environ if inherited is None else inherited), "PYTHONUNBUFFERED": "1"}
    entries = [entry for entry in environment.pop("PYTHONPATH", "").split(os.pathsep) if entry and not _is_ours(entry)]
    found = environment | ({"PYTHONPATH": os.pathsep.join(entries)} if entries else {}) | dict(extra)
    if modules:
        found["PYTHONPATH"] = os.pathsep.join(filter(None, (*map(str, modules), found.get("PYTHONPATH", ""))))
    return found


def _is_ours(entry: str) -> bool:
    """Whether a folder of the path holds this very package alone; see `cardrunner.runs.environment`."""
    folder = Path(entry)
    if VOLUME_VARIABLE in os.environ and folder == Path.home():
        return True  # in a container, whose image has this package and its plug-ins there
    with contextlib.suppress(OSError):
        alone = all(inside.name.startswith("cardrunner") for inside in folder.iterdir())
        return alone and (folder / "cardrunner").resolve() == _PACKAGE
    return False


def _started(command: Command, mark: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command.argv,
        cwd=command.cwd,
        env=script_environment({**command.environment, MARK: mark}, command.modules, command.inherited),
        stdin=subprocess.DEVNULL,  # a script that asks something ends, instead of waiting for an answer
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
        pipesize=_PIPE_BYTES,
        start_new_session=True,  # Ctrl-C is for this process, which ends the script in good order
    )


def _refusal(command: Command, error: OSError) -> UsageError | EnvironmentFailed:
    first = command.argv[0]
    if not command.cwd.is_dir():
        return UsageError(f"{command.place}: the folder {command.cwd} that it runs in does not exist")
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            why = absence(command.cwd, first) or f"{first} is not there"
            return UsageError(f"{command.place}: {why}")
        case errno.EACCES | errno.ENOEXEC:
            return UsageError(f"{command.place}: {first} cannot be run; name its interpreter first, or chmod +x it")
        case errno.E2BIG:
            return UsageError(f"{command.place}: its arguments are longer than the system allows; use a file for them")
    return EnvironmentFailed(f"cannot start {first}: {os.strerror(error.errno or 0)}; see what else runs here")


def _wait(done: Callable[[], bool], *, until: float, poll: float) -> bool:
    """Wait for something; False if the time (of `time.monotonic`) came first."""
    while not done():
        if time.monotonic() >= until:
            return False
        time.sleep(poll)
    return True


def _processes(found: tuple[Process, ...]) -> str:
    return listed(map(str, found[:5])) + (f" and {len(found) - 5} more" if len(found) > 5 else "")

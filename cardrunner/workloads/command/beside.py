"""Runs a command line beside the training: the preflight, the evaluation of the best checkpoint, and the demo."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cardrunner.common.text import plural
from cardrunner.common.units import format_duration
from cardrunner.contracts import RunContext
from cardrunner.errors import EnvironmentFailed
from cardrunner.runs.files import explained
from cardrunner.workloads.command.code_copy import code_folder, prepare_code, program, variables_of
from cardrunner.workloads.command.endings import how_ended
from cardrunner.workloads.command.filling import Filling
from cardrunner.workloads.command.output import ScriptOutput
from cardrunner.workloads.command.own_modules import write_modules
from cardrunner.workloads.command.process import Command, Patience, Script
from cardrunner.workloads.command.proof_sections import BesideCommand
from cardrunner.workloads.command.spec import training_of
from cardrunner.workloads.command.state import ScriptState
from cardrunner.workloads.command.substitution import shown_command

_POLL_SECONDS: Final = 0.05
_LOOK_SECONDS: Final = 2.0
_GRACE_SECONDS: Final = 10.0
LAST_LINES: Final = 40


@dataclass(frozen=True, kw_only=True)
class BesideEnd:
    """How it ended."""

    code: int | None
    argv: tuple[str, ...]
    tail: tuple[str, ...]
    """The last lines that it printed, without secrets."""
    seconds: float
    limit: float
    """Its timeout, in seconds."""
    timed_out: bool

    @property
    def failure(self) -> str | None:
        """What went wrong, as the rest of a sentence; None if it ended with 0."""
        if self.timed_out:
            return f"no end within {format_duration(self.limit)}, so that it was killed"
        return None if self.code == 0 else how_ended(-signal.SIGKILL if self.code is None else self.code)


@dataclass(frozen=True, kw_only=True)
class Beside:
    """One run of such a command line.

    Args:
        ctx: the run.
        name: of its files: preflight, evaluate or demo.
        place: its field in the card, for messages.
        section: what is run.
        out: ``{out}``, a folder that is made anew.
        checkpoint: ``{checkpoint}``.
        consume: called with each line that it prints.
    """

    ctx: RunContext
    name: str
    place: str
    section: BesideCommand
    out: Path
    checkpoint: Path | None = None
    consume: Callable[[str], object] = field(default=lambda _: None)

    @property
    def metrics(self) -> Path:
        """The file that it reports to."""
        return self.ctx.folder.beside / f"{self.name}.jsonl"

    @property
    def log(self) -> Path:
        """The file with what it prints."""
        return self.ctx.folder.beside / f"{self.name}.log"

    @property
    def workdir(self) -> Path:
        """The folder that it runs in: that of the script."""
        return self._workdir_in(code_folder(self.ctx))

    def _workdir_in(self, code: Path) -> Path:
        return code / (training_of(self.ctx.card).workdir or ".")

    @property
    def filling(self) -> Filling:
        """The values of its names."""
        training = training_of(self.ctx.card)
        return Filling(training, self.ctx.folder, self.checkpoint, out=self.out, metrics=self.metrics)

    def make_ready(self) -> None:
        """Make its folder anew, and what it may read.

        Raises:
            EnvironmentFailed: the disk is full or read-only.
        """
        with explained(self.out, "write"):
            shutil.rmtree(self.out, ignore_errors=True)
            self.out.mkdir(parents=True)
            self.ctx.folder.beside.mkdir(exist_ok=True)
            self.metrics.unlink(missing_ok=True)
            self.log.unlink(missing_ok=True)
        prepare_code(self.ctx)
        if not self.ctx.folder.script_files.exists():
            Filling(training_of(self.ctx.card), self.ctx.folder).write_files()

    def run(self) -> BesideEnd:
        """Run it to its end; its folder has been made ready.

        Raises:
            IntegrityError: the copy of the code is not what was signed.
            UsageError: there is no such program.
            CardrunnerError: the run was asked to stop.
        """
        began, code, filling = time.monotonic(), code_folder(self.ctx), self.filling
        argv = tuple(filling.text(argument) for argument in self.section.command)
        self.ctx.progress.note(f"{self.place}: $ {shown_command(argv)}")
        first = program(self.ctx, code, argv[0])
        modules = write_modules(training_of(self.ctx.card), self.ctx.folder)
        workdir, variables = self._workdir_in(code), variables_of(self.ctx.folder, filling)
        command = Command((first, *argv[1:]), workdir, variables, modules, place=self.place)
        state = ScriptState.of(self.ctx.folder)
        state.keep()
        output = ScriptOutput(self.log, self.consume)
        script = Script.start(command, mark=state.mark)
        pump = threading.Thread(target=output.pump, args=(script.output,), name=self.name, daemon=True)
        pump.start()
        try:
            timed_out = not self._wait(script, began + self.section.timeout)
        finally:
            ended = script.end(signal.SIGTERM, Patience(grace=_GRACE_SECONDS, helpers=1.0))
            pump.join(timeout=5.0)
        return BesideEnd(
            code=ended.code,
            argv=argv,
            tail=output.tail(LAST_LINES),
            seconds=time.monotonic() - began,
            limit=self.section.timeout,
            timed_out=timed_out,
        )

    def succeed(self) -> BesideEnd:
        """Run it to its end, which has to be good.

        Raises:
            EnvironmentFailed: it failed; names its last lines. Else as `run`.
        """
        ended = self.run()
        if ended.failure is not None:
            raise EnvironmentFailed(f"{self.place}: {ended.failure}; {last_lines(ended.tail)}")
        return ended

    def _wait(self, script: Script, until: float) -> bool:
        """Wait for its end; False if the time came first."""
        looked = 0.0
        while script.poll() is None:
            self.ctx.stop.raise_if_requested()
            now = time.monotonic()
            if now >= until:
                return False
            if now - looked >= _LOOK_SECONDS:
                looked = now
                script.processes()
            time.sleep(_POLL_SECONDS)
        return True


def last_lines(tail: tuple[str, ...]) -> str:
    """The last lines, after what was said of them."""
    if not tail:
        return "it printed no line"
    return f"its last {plural(len(tail), 'line')} {'follows' if len(tail) == 1 else 'follow'}\n" + "\n".join(tail)

"""One start of the script: launch it, watch it, end it in good order, and say how it ended."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path
from typing import Final

from cardrunner.common.clock import utc_now
from cardrunner.contracts import RunContext
from cardrunner.errors import CardrunnerError, EnvironmentFailed
from cardrunner.kill_rules import Row
from cardrunner.runs.events import Leaving, ScriptAsked
from cardrunner.runs.memory_kills import MemoryKills
from cardrunner.runs.status import metered_seconds
from cardrunner.training.budget import RunLimits, Spending, attempt_seconds
from cardrunner.training.judging import Judge
from cardrunner.workloads.command.beginning import Beginning, Beginnings, rules_of
from cardrunner.workloads.command.catching_up import catch_up
from cardrunner.workloads.command.checkpoints import CheckpointRules, find
from cardrunner.workloads.command.code_copy import code_folder, prepare_code, program, variables_of
from cardrunner.workloads.command.deadlines import Deadlines
from cardrunner.workloads.command.endings import Ended, Ending, ending_of
from cardrunner.workloads.command.filling import Filling
from cardrunner.workloads.command.keeping import Keeper, KeepingThread
from cardrunner.workloads.command.output import ScriptOutput
from cardrunner.workloads.command.own_modules import write_modules
from cardrunner.workloads.command.process import Command, Patience, Script, end_leftovers
from cardrunner.workloads.command.quiet import Look, Moment, Quiet, QuietTimes
from cardrunner.workloads.command.recording import Distance, RowRecorder
from cardrunner.workloads.command.reports.base import Source
from cardrunner.workloads.command.reports.script_lines import stop_request
from cardrunner.workloads.command.reports.table import Places, sources
from cardrunner.workloads.command.saving import Saves
from cardrunner.workloads.command.sections import CommandTraining
from cardrunner.workloads.command.spec import training_of
from cardrunner.workloads.command.state import ScriptState
from cardrunner.workloads.command.training_record import write_training
from cardrunner.workloads.command.watching import Watcher

_TICK_SECONDS: Final = 0.5
_QUIET_SECONDS: Final = 0.25
"""Between two looks while the moment to stop is waited for."""
_PROCESS_SECONDS: Final = 2.0
_PROCESS_SHARE: Final = 1_000
"""Times as long as a look at all processes of the machine took, until the next one."""


class Attempt:
    """One start of the script in an attempt of the run.

    Args:
        ctx: the attempt.
    """

    def __init__(self, ctx: RunContext) -> None:
        self.ctx, self.folder = ctx, ctx.folder
        self.training: CommandTraining = training_of(ctx.card)
        self.state = ScriptState.of(ctx.folder)
        self.rules: CheckpointRules = rules_of(ctx, self.training)
        elapsed = attempt_seconds(ctx)
        metered = max(metered_seconds(ctx.folder), elapsed)
        self.began = time.monotonic() - elapsed
        self.spending = Spending.of(ctx.card, began=self.began, metered_seconds=metered)
        limits = RunLimits.of(ctx.card, attempt_seconds=elapsed, metered_seconds=metered)
        self.deadlines = Deadlines(ctx.card, limits, self.spending, self.training.stop.grace)
        self.quiet: Quiet | None = None
        self.moment: Moment | None = None
        self.ending: CardrunnerError | None = None
        self._silent = False
        self._reason, self._decided_at = "verdict", ""
        self._leave_by: float | None = None

    def run(self) -> None:
        """Start the script and watch it until it ends.

        Raises:
            CardrunnerError: what ended it: a rule, a limit, a request, a missing metric, or its own failure.
        """
        code = code_folder(self.ctx)
        end_leftovers(self.state.mark)
        prepare_code(self.ctx)
        stop_request(self.folder.script_metrics).unlink(missing_ok=True)
        keeper = Keeper(self.rules, self.folder.kept)
        saves = Saves(self.ctx, self.state, keeper)
        self._catch_up(code, saves)
        beginning = Beginnings(self.ctx, self.training, self.rules, self.state, keeper, saves).prepare()
        judge = Judge(self.ctx)
        if beginning.resumed:
            ending = judge.resume(beginning.step, at_validation=True)
            if ending is not None:
                raise ending
        self._run(code, beginning, keeper, saves, judge)

    def _catch_up(self, code: Path, saves: Saves) -> None:
        """Write the rows that the last start had not written when its watcher was killed.

        Raises:
            CardrunnerError: one of them ends the run.
        """
        if not self.state.record.open:
            return
        recorder, found = self._recorder(), self._sources(self._workdir(code))
        for source in found:
            source.begin({str(self.folder.root / path): size for path, size in self.state.record.read_from.items()})
        ending = catch_up(self.ctx, self.training, found, recorder, saves)
        self.state.update(first_epoch=recorder.distance.first)
        if ending is not None:
            self.state.update(open=False)
            raise ending

    def _workdir(self, code: Path) -> Path:
        return code / (self.training.workdir or ".")

    def _recorder(self) -> RowRecorder:
        distance = Distance(self.training, self.state.record.first_epoch)
        return RowRecorder(self.ctx.history, self.ctx.attempt, distance, self.spending, self.state.record.seconds)

    def _sources(self, workdir: Path) -> list[Source]:
        filling = Filling(self.training, self.folder)
        places = Places(workdir, self.folder.script_log, self.folder.script_metrics, filling.pattern)
        return sources(self.training.report, places, wanted=self.training.reads)

    def _run(self, code: Path, beginning: Beginning, keeper: Keeper, saves: Saves, judge: Judge) -> None:
        filling = Filling(self.training, self.folder, beginning.checkpoint)
        filling.write_files()
        workdir = self._workdir(code)
        output = ScriptOutput(self.folder.script_log, lambda _: None)
        self.keeping, self.saves, self.output = KeepingThread(keeper), saves, output
        self.watcher = self._watcher(workdir, beginning, saves, judge)
        self.kills = MemoryKills()
        first, *rest = filling.argv
        modules, variables = write_modules(self.training, self.folder), variables_of(self.folder, filling)
        command = Command((program(self.ctx, code, first), *rest), workdir, variables, modules)
        begun = self.state.record.starts + 1
        read = {os.path.relpath(path, self.folder.root): size for path, size in self.watcher.read_from.items()}
        self.state.update(starts=begun, open=True, read_from=read)
        try:
            self.script = Script.start(command, mark=self.state.mark)
        except CardrunnerError:
            self.state.update(starts=begun - 1, open=False)
            raise
        self.ctx.stop.last_act = self._kill
        pump = threading.Thread(target=output.pump, args=(self.script.output,), name="output", daemon=True)
        pump.start()
        self.keeping.start()
        try:
            self._watch()
            self._end()
        except BaseException:
            self._kill()
            raise
        finally:
            self.ctx.stop.last_act = bool
            self.keeping.end()
            pump.join(timeout=5.0)
        self._conclude()

    def _kill(self) -> None:
        """End everything that was started, at once."""
        self.script.end(signal.SIGKILL, Patience(grace=0.0, helpers=0.0))

    def _watcher(self, workdir: Path, beginning: Beginning, saves: Saves, judge: Judge) -> Watcher:
        return Watcher(
            ctx=self.ctx,
            training=self.training,
            sources=self._sources(workdir),
            state=self.state,
            recorder=self._recorder(),
            judge=judge,
            saves=saves,
            after=beginning.step,
            resumed=beginning.resumed,
            began=self.began,
        )

    # ------------------------------------------------------------ while it runs

    def _watch(self) -> None:
        """Watch until it ends by itself, or until the moment to end it has come."""
        look_at = 0.0
        while self.script.poll() is None and self.moment is None:
            now = time.monotonic()
            if now >= look_at:
                self.script.processes()
                look_at = now + max(_PROCESS_SECONDS, _PROCESS_SHARE * (time.monotonic() - now))
            self.watcher.tick()
            self._keep()
            self._notice_silence(now)
            self._ask_whether_to_end()
            if self.quiet is not None:
                self.moment = self.quiet.look(now, self._look())
            time.sleep(_TICK_SECONDS if self.quiet is None else _QUIET_SECONDS)

    def _keep(self) -> None:
        self.keeping.reported.note(self.watcher.progress)
        for looked in self.keeping.new():
            for problem in looked.problems:
                self.watcher.warn(problem)
            for kept in looked.kept:
                self.saves.kept(kept)
        if self.output.log_problem is not None:
            self.watcher.warn(self.output.log_problem)

    def _notice_silence(self, now: float) -> None:
        quiet = now - max(self.watcher.heard_at, self.output.last_at)
        if quiet >= self.training.silence and not self._silent:
            self.watcher.warn(f"no row and no output for {quiet:.0f} s (training.silence); it may hang")
        self._silent = quiet >= self.training.silence

    def _ask_whether_to_end(self) -> None:
        """Begin to end it for a verdict, a request or a limit, once."""
        if self.ending is not None:
            return
        reason = self.ctx.stop.reason
        self.ending, self._reason = self.watcher.ending, reason or "verdict"
        if self.ending is None and reason is not None:
            self.ending = self._requested()
        if self.ending is None and (limit := self.deadlines.reached()) is not None:
            self.ending, self._reason = limit, reason or "limit"
        if self.ending is None:
            return
        self._decided_at = self.watcher.decided_at or utc_now()
        self.ctx.ledger.append(Leaving(attempt=self.ctx.attempt, reason=self._reason))
        with contextlib.suppress(OSError):
            stop_request(self.folder.script_metrics).touch()
        self._leave_by = self.deadlines.leave_by(reason)
        deadline = None if self._leave_by is None else self._leave_by - self.training.stop.grace
        times, guarded = QuietTimes(), bool(self.rules.at)
        self.quiet = Quiet(time.monotonic(), self._look(), times, deadline=deadline, guarded=guarded)

    def _requested(self) -> CardrunnerError | None:
        try:
            self.ctx.stop.raise_if_requested()
        except CardrunnerError as error:
            return error
        return None

    def _look(self) -> Look:
        found, _ = find(self.rules)
        marks = tuple((str(checkpoint.path), checkpoint.mark) for checkpoint in found)
        progress = self.watcher.progress if self.watcher.progress >= 0 else self.output.lines
        return Look(marks, progress, self.watcher.rows.newest_of("validation"))

    # ------------------------------------------------------------ its end

    def _end(self) -> None:
        number = signal.Signals[self.training.stop.signal]
        if self.moment is not None:
            self.script.ask(number)
            self._record_signal(self.moment)
        ended = self.script.end(number, Patience(grace=self.deadlines.grace_until(self._leave_by)))
        if ended.sentence is not None:
            self.watcher.warn(ended.sentence)
        self.code = ended.code
        self.asked = None if self.ending is None else self._why_asked()

    def _record_signal(self, moment: Moment) -> None:
        """Both times for the ledger: that of the decision, and now, that of the signal."""
        if self.script.asked is None:  # it had ended by itself meanwhile
            return
        self.ctx.ledger.append(
            ScriptAsked(
                attempt=self.ctx.attempt,
                reason=self._reason,
                signal=self.training.stop.signal,
                why=moment.why.value,
                waited_seconds=round(moment.waited, 3),
                decided_at=self._decided_at,
                row_at=self.watcher.row_at if self._reason == "verdict" else None,
            )
        )

    def _why_asked(self) -> str:
        return f"{self.ending}" + (f"; {self.moment}" if self.moment is not None else "")

    def _conclude(self) -> None:
        """Read and keep what is left, record the training, and raise what ended it."""
        self.watcher.drain()
        self._keep()
        for _ in range(2):
            self.keeping.look()
            time.sleep(_QUIET_SECONDS)
        self._keep()
        self.saves.conclude()
        self.state.update(seconds=self.watcher.recorder.seconds, open=False)
        self.ending = self.ending or self.watcher.ending
        distance = self.watcher.recorder.distance
        ending = ending_of(
            Ended(
                code=self.code if self.code is not None else -signal.SIGKILL,
                asked=None if self.ending is None else str(self.ending),
                progress=distance.share,
                tail=self.output.tail(),
                kernel_killed=self.kills.happened,
            )
        )
        if self.asked is not None:
            self.watcher.ctx.progress.note(f"{self.asked}: {ending.sentence}")
        trained = ending.kind in ("completed", "ended_early")
        if trained:
            self.watcher.missing.at_end(self.watcher.rows.seen)
        write_training(self.ctx, self.state, self.watcher.recorder, ended=trained, notes=self._notes(ending))
        if self.ending is not None:
            raise self.ending
        self._raise(ending)

    def _notes(self, ending: Ending) -> tuple[str, ...]:
        left_out = self.watcher.recorder.left_out
        rows = f"{left_out} rows of steps that were recorded, or came late, were left out" if left_out else ""
        return tuple(filter(None, (ending.sentence, self.watcher.rows.summary(), rows)))

    def _raise(self, ending: Ending) -> None:
        """End the attempt as the script ended by itself."""
        if ending.kind == "completed":
            return
        if ending.kind == "ended_early":
            self.watcher.warn(f"the script {ending.sentence}")
            return
        if ending.kind == "out_of_memory":
            self.state.update(began_from=None)  # which is not the checkpoint's fault
            if (wanted := self._out_of_memory()) is not None:
                raise wanted
        elif self.state.record.began_from is not None:
            died = (*self.state.record.died, self.state.record.began_from)
            self.state.update(died=died, began_from=None)
        raise EnvironmentFailed("\n".join((ending.sentence, *ending.lines)))

    def _out_of_memory(self) -> CardrunnerError | None:
        newest = self.watcher.recorder.newest
        step, epoch = (newest.step, newest.epoch) if newest else (0, 0)
        at = Row("event", epoch, step, self.watcher.recorder.distance.reached or 0.0, self.watcher.recorder.seconds)
        return self.watcher.judge.event("out_of_memory", at)

"""The course of a trial: the script runs, is asked to end, and resumes, each within its part of the time."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cardrunner.card.schema.card import Card
from cardrunner.runs.interrupts import StopRequest
from cardrunner.runs.memory_kills import MemoryKills
from cardrunner.workloads.command.beginning import checkpoint_rules, data_paths
from cardrunner.workloads.command.checkpoints import CheckpointRules, find
from cardrunner.workloads.command.code_copy import program_in
from cardrunner.workloads.command.endings import Ended, Ending, ending_of
from cardrunner.workloads.command.filling import Filling
from cardrunner.workloads.command.keeping import Keeper
from cardrunner.workloads.command.output import OutputLimits, ScriptOutput
from cardrunner.workloads.command.own_modules import write_modules
from cardrunner.workloads.command.process import Command, Patience, Script, ScriptEnd
from cardrunner.workloads.command.quiet import Look, Moment, Quiet, QuietTimes
from cardrunner.workloads.command.reports.script_lines import stop_request
from cardrunner.workloads.command.resuming import Candidate, choose, put_in_place
from cardrunner.workloads.command.script_options import options_of, resume_of
from cardrunner.workloads.command.sections import CheckpointsSection, CommandTraining
from cardrunner.workloads.command.spec import training_of
from cardrunner.workloads.command.steps import ReportedSteps
from cardrunner.workloads.command.trying.checkpoint_files import best_series
from cardrunner.workloads.command.trying.declared_checkpoints import DeclaredCheckpoints
from cardrunner.workloads.command.trying.isolation import inherited, offline
from cardrunner.workloads.command.trying.names import is_score
from cardrunner.workloads.command.trying.observing import Observer
from cardrunner.workloads.command.trying.place import TrialPlace, remove_folder
from cardrunner.workspace import Workspace

_TICK_SECONDS: Final = 0.1
_PROCESS_SECONDS: Final = 1.0
_FIRST_SHARE: Final = 0.55
"""Of the time, what the first run has; it has longer where nothing could be resumed yet."""
_ALONE_SHARE: Final = 0.8
_HALFWAY: Final = 0.5
"""Of the length of a short script: where it is asked to end, so that there is something to resume."""
_STOP_SHARE: Final = 0.15
_RESUME_SHARE: Final = 0.95
_LEAST_GRACE: Final = 2.0
_LOG_BYTES: Final = 16_000_000


@dataclass(frozen=True, kw_only=True)
class StopSeen:
    """What happened when the script was asked to end."""

    signal: str
    moment: Moment | None
    end: ScriptEnd
    grace: float
    """Seconds that it was given."""
    newest: str | None
    """The newest checkpoint afterwards; None without one."""
    flaw: str | None
    """What is wrong with that one; None for a whole one."""


@dataclass(frozen=True, kw_only=True)
class ResumeSeen:
    """What happened when the script was started once more."""

    how: str
    checkpoint: str
    step: int | None
    """Of the checkpoint, where its name or its folder tells it."""
    first_step: int | None
    """Of the first row that came; None for none in the time."""
    went_on: bool
    died: Ending | None
    sentences: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Course:
    """How a trial went."""

    seconds: float
    """Of the first run."""
    ending: Ending | None
    """How the script ended by itself; None where it had to be asked."""
    tail: tuple[str, ...]
    """The last lines of the first run."""
    stop: StopSeen | None
    resume: ResumeSeen | None
    why_no_resume: str | None


class Trial:
    """Runs the script of a card in a place that is thrown away.

    Args:
        card: the card.
        workspace: where its data is.
        place: where it runs.
        seconds: what the whole may take.
        stop: a request to leave, which is checked all the time.
    """

    def __init__(
        self, card: Card, workspace: Workspace, place: TrialPlace, *, seconds: float, stop: StopRequest
    ) -> None:
        self.training, self.place, self._stop = training_of(card), place, stop
        self._ends, self._seconds = time.monotonic() + seconds, seconds
        self.data = data_paths(card, workspace)
        self.rules = checkpoint_rules(self.training, place.folder, self.data)
        self.keeper = Keeper(self.rules, place.folder.kept)
        at = self.training.checkpoints.at if self.training.checkpoints is not None else ()
        self.declared_checkpoints = DeclaredCheckpoints(self.rules, at)
        self.reported = ReportedSteps()
        self.kept, self.withheld = inherited(os.environ)
        self.observer = Observer(self.training, place)
        self.options = options_of(self.training.command, place.code)
        self.known_resume = resume_of(self.options)

    def run(self) -> Course:
        """Run the script, ask it to end, and resume it.

        Raises:
            CardrunnerError: it cannot be started, or this process was asked to leave.
        """
        filling = Filling(self.training, self.place.folder)
        filling.write_files()
        kills, began = MemoryKills(), time.monotonic()
        with _Start(self, filling) as start:
            self._watch(start, self._share(_FIRST_SHARE), until=lambda: self._nearly_done)
            if not self._resumable:
                self._watch(start, self._share(_ALONE_SHARE), until=lambda: self._resumable)
            stopped = self._ask(start)
            seconds, code = time.monotonic() - began, None if stopped is not None else start.script.poll()
        self.observer.tick(ended=True)
        self.declared_checkpoints.look()
        ending, tail = None, start.output.tail()
        if code is not None:
            ending = ending_of(Ended(code=code, asked=None, progress=None, tail=tail, kernel_killed=kills.happened))
            stopped = self._once_more(filling, seconds) if ending.kind == "completed" else None
        resume, why = self._resume(stopped)
        return Course(seconds=seconds, ending=ending, tail=tail, stop=stopped, resume=resume, why_no_resume=why)

    def _once_more(self, filling: Filling, seconds: float) -> StopSeen | None:
        """Start a script anew that was done within seconds, to ask it to end; None where the time is too short."""
        if time.monotonic() + _HALFWAY * seconds > self._share(_ALONE_SHARE):
            return None
        self.observer.checkpoints.remember_flaws()
        remove_folder(self.place.folder.script_out)
        remove_folder(self.place.folder.kept)
        self.place.folder.script_out.mkdir()
        self.keeper = Keeper(self.rules, self.place.folder.kept)
        self.reported = ReportedSteps()
        self.observer.begin_again()
        began = time.monotonic()
        with _Start(self, filling) as start:
            self._watch(start, began + _HALFWAY * seconds)
            stopped = self._ask(start)
        self.observer.tick(ended=True)
        return stopped

    def _share(self, share: float) -> float:
        """The time at which a part of the whole is over."""
        return self._ends - (1 - share) * self._seconds

    @property
    def _resumable(self) -> bool:
        """Whether a checkpoint was kept, and a row has come."""
        if self.observer.first_step is None:
            return False
        if self.rules.at:
            return any(self.keeper.folder.glob("[0-9]*"))
        return self.training.resumes or best_series(tuple(self.observer.checkpoints.series.values())) is not None

    @property
    def _nearly_done(self) -> bool:
        """Whether a script that will be done soon can be resumed: then it is stopped before it is done."""
        reached = None if self.observer.nothing_declared else self.observer.reach.share
        return reached is not None and reached >= _HALFWAY and self._resumable

    def _watch(self, start: _Start, ends: float, *, until: Callable[[], bool] = lambda: False) -> None:
        while start.script.poll() is None and time.monotonic() < ends and not until():
            self._tick(start)

    def _tick(self, start: _Start) -> None:
        self._stop.raise_if_requested()
        start.look()
        self.observer.tick()
        if self.observer.rows.newest >= 0:
            self.reported.note(self.observer.rows.newest)
        self.keeper.look(self.reported)
        time.sleep(_TICK_SECONDS)

    # ------------------------------------------------------------ its end

    def _ask(self, start: _Start) -> StopSeen | None:
        """Wait for a good moment as a run does, then ask; None for a script that had ended by then."""
        window = max(2 * _LEAST_GRACE, _STOP_SHARE * self._seconds)
        times = QuietTimes(still=min(10.0, window / 3), longest=min(30.0, window / 2))
        at = time.monotonic()
        quiet = Quiet(at, self._look(start), times, guarded=bool(self.rules.at or self.observer.checkpoints.series))
        moment = None
        stop_request(self.place.folder.script_metrics).touch()
        while start.script.poll() is None and moment is None:
            self._tick(start)
            moment = quiet.look(time.monotonic(), self._look(start))
        grace = min(self.training.stop.grace, max(_LEAST_GRACE, window - (time.monotonic() - at)))
        name = self.training.stop.signal
        end = start.script.end(signal.Signals[name], Patience(grace=grace, helpers=2.0))
        if end.asked is None:
            return None
        for _ in range(2):
            self.keeper.look()
            self.observer.checkpoints.look()
            time.sleep(_TICK_SECONDS)
        newest, flaw = self._newest()
        return StopSeen(signal=name, moment=moment, end=end, grace=grace, newest=newest, flaw=flaw)

    def _look(self, start: _Start) -> Look:
        found, _ = find(self.rules)
        marks = tuple((str(checkpoint.path), checkpoint.mark) for checkpoint in found)
        others = tuple((at, series.changes) for at, series in self.observer.checkpoints.series.items())
        newest = self.observer.rows.newest
        return Look((marks, () if marks else others), newest if newest >= 0 else start.output.lines)

    def _newest(self) -> tuple[str | None, str | None]:
        """The newest checkpoint, by the card's globs or by its looks, and what is wrong with it."""
        found, _ = find(self.rules)
        if found:
            choice = choose(self.rules, self.place.folder.kept)
            torn = next((sentence for sentence in choice.sentences if str(found[0].path) in sentence), None)
            return found[0].path.name, torn
        there = [one for one in self.observer.checkpoints.series.values() if one.marks and one.newest.exists()]
        last = max(there, key=lambda one: one.modified, default=None)
        return (last.newest.name, last.flaw()) if last is not None else (None, None)

    # ------------------------------------------------------------ once more

    def _resume(self, stopped: StopSeen | None) -> tuple[ResumeSeen | None, str | None]:
        if stopped is None:
            return None, "the script had ended by itself"
        how, training = self._resuming()
        if training is None:
            return None, "no checkpoint was seen in {out}, and the card has no training.resume"
        rules = checkpoint_rules(training, self.place.folder, self.data)
        candidate = choose(rules, self.place.folder.kept).candidate if rules.at else None
        if rules.at and candidate is None:
            return None, "there is no whole checkpoint to resume from"
        if time.monotonic() > self._share(_RESUME_SHARE):
            return None, "the time was over"
        return self._from(candidate, training, rules, how), None

    def _resuming(self) -> tuple[str, CommandTraining | None]:
        """How it is resumed: as the card says, or by an option that it seems to have, or by itself."""
        if self.training.resumes:
            return "as the card says", self.training
        series = best_series(tuple(self.observer.checkpoints.series.values()))
        if series is None:
            return "", None
        section = CheckpointsSection.model_construct(at=(series.at,), complete=series.complete)
        resume, how = self.known_resume or "itself", "as it is"
        if self.known_resume is not None:
            how = f"with {' '.join(self.known_resume)}, an option that it seems to have"
        return how, self.training.model_copy(update={"checkpoints": section, "resume": resume})

    def _from(
        self, candidate: Candidate | None, training: CommandTraining, rules: CheckpointRules, how: str
    ) -> ResumeSeen:
        sentences = put_in_place(candidate, rules, self.place.folder.kept, by_itself=True) if candidate else []
        seen = self.observer.tally.values.values()
        came = [*self.observer.declared.values.values()] or [value for value in seen if is_score(value.name)]
        before = min((value.first_step for value in came), default=0)
        self.observer.begin_again()
        with _Start(self, Filling(training, self.place.folder, candidate.path if candidate else None)) as start:
            self._watch(start, self._share(_RESUME_SHARE), until=lambda: self.observer.first_step is not None)
            code = start.script.poll()
            start.script.end(patience=Patience(grace=_LEAST_GRACE, helpers=1.0))
        self.observer.tick(ended=True)
        first, step = self.observer.first_step, candidate.step if candidate else None
        died = None
        if code not in (None, 0) and first is None:
            died = ending_of(Ended(code=code or 1, asked=None, progress=None, tail=start.output.tail()))
        return ResumeSeen(
            how=how,
            checkpoint=str(candidate) if candidate else "what it finds itself",
            step=step,
            first_step=first,
            went_on=first is not None and first > before and first >= (step or 0),
            died=died,
            sentences=tuple(sentences),
        )


class _Start:
    """One start of the script, whose processes all end with it."""

    def __init__(self, trial: Trial, filling: Filling) -> None:
        place, observer = trial.place, trial.observer
        first, *rest = filling.argv
        stop_request(place.folder.script_metrics).unlink(missing_ok=True)
        own = offline(place.scratch, place.folder.script_out, filling.environment)
        modules = write_modules(filling.training, place.folder)
        program = program_in(place.code, place.origin, first)
        command = Command((program, *rest), observer.workdir, own, modules, inherited=trial.kept)
        self.output = ScriptOutput(place.folder.script_log, observer.line, OutputLimits(file_bytes=_LOG_BYTES))
        self.script = Script.start(command, mark=place.mark)
        self._pump = threading.Thread(target=self.output.pump, args=(self.script.output,), name="output", daemon=True)
        self._looked_at = 0.0

    def look(self) -> None:
        """Notice new processes, now and then."""
        if time.monotonic() - self._looked_at >= _PROCESS_SECONDS:
            self._looked_at = time.monotonic()
            self.script.processes()

    def __enter__(self) -> _Start:
        self._pump.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.script.end(signal.SIGKILL, Patience(grace=0.0, helpers=0.0))
        self._pump.join(timeout=5.0)

"""Where a start of the script begins: from a checkpoint, or anew."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cardrunner.card.schema.card import Card
from cardrunner.common.clock import utc_seconds
from cardrunner.contracts import RunContext
from cardrunner.errors import EnvironmentFailed, IntegrityError
from cardrunner.runs.events import Resumed, WarningGiven
from cardrunner.runs.files import explained
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.lines import examine_lines
from cardrunner.workloads.command.checkpoints import CheckpointRules, find
from cardrunner.workloads.command.filling import Filling
from cardrunner.workloads.command.keeping import Keeper
from cardrunner.workloads.command.resuming import MOST_FALLBACKS, Candidate, choose, put_in_place
from cardrunner.workloads.command.saving import Saves
from cardrunner.workloads.command.sections import CommandTraining
from cardrunner.workloads.command.spec import LOST
from cardrunner.workloads.command.state import ScriptState
from cardrunner.workloads.command.steps import ReportedSteps
from cardrunner.workspace import Workspace

_LOOK_SECONDS: Final = 0.6
"""Between two looks at a checkpoint that no process writes any more."""


@dataclass(frozen=True)
class Beginning:
    """Where a start begins.

    Args:
        checkpoint: what the script resumes from; None to begin anew.
        step: of that checkpoint; None where it does not tell it itself: then the first new row does.
        resumed: whether the script goes on; without a checkpoint of the card's it finds its own.
    """

    checkpoint: Path | None = None
    step: int | None = None
    resumed: bool = False


def rules_of(ctx: RunContext, training: CommandTraining) -> CheckpointRules:
    """What the card says about checkpoints, for this run; a card without any has no glob."""
    return checkpoint_rules(training, ctx.folder, data_paths(ctx.card, ctx.workspace))


def checkpoint_rules(training: CommandTraining, folder: RunFolder, data: Sequence[Path]) -> CheckpointRules:
    """The same for any run folder and the data files that it reads."""
    filling, section = Filling(training, folder), training.checkpoints
    patterns = section.at if section is not None else ()
    return CheckpointRules(
        at=tuple(map(filling.pattern, patterns)),
        root=folder.script_out,
        complete=section.complete if section is not None else (),
        keep=section.keep if section is not None else 1,
        data=frozenset(data),
    )


def data_paths(card: Card, workspace: Workspace) -> list[Path]:
    """Every data file of a card.

    Raises:
        EnvironmentFailed: one is not there.
    """
    entries = () if card.data.is_synthetic else card.data.source
    lists = [workspace.data_named(entry.path, pattern=entry.is_pattern) for entry in entries]
    return [path for found in lists for path in found.values()]


@dataclass
class Beginnings:
    """Decides where the script begins, and makes its folder so.

    Args:
        ctx: the attempt.
        training: the card's section.
        rules: what the card says about checkpoints.
        state: what is known of the script.
        keeper: keeps its checkpoints.
        saves: the manifest.
    """

    ctx: RunContext
    training: CommandTraining
    rules: CheckpointRules
    state: ScriptState
    keeper: Keeper
    saves: Saves

    def prepare(self) -> Beginning:
        """Choose the newest usable checkpoint and put it where the script finds it; without one, begin anew.

        Raises:
            EnvironmentFailed: the disk is full or failing.
            IntegrityError: the history is damaged.
        """
        self._check_history()
        with explained(self.ctx.folder.script_out, "write"):  # a volume keeps no empty folder
            self.ctx.folder.script_out.mkdir(exist_ok=True)
        if not self.state.record.starts and not self._has_begun():
            return Beginning()
        if self.training.resume is None:
            return self._anew(f"{LOST}, and the script begins anew")
        if not self.rules.at:
            return self._by_itself()
        reported = self._reported()
        for _ in range(2):  # what the last look of a killed attempt did not reach
            for kept in self.keeper.look(reported).kept:
                self.saves.kept(kept)
            time.sleep(_LOOK_SECONDS)
        died = self.state.record.died
        if len(died) > MOST_FALLBACKS:
            raise self._given_up(len(died))
        choice = choose(self.rules, self.ctx.folder.kept, died)
        for sentence in choice.sentences:
            self._warn(sentence)
        if choice.candidate is None and died:
            choice = choose(self.rules, self.ctx.folder.kept)
            self._warn("the newest is tried again: what ended the script before may have been something else")
        if choice.candidate is None:
            return self._anew("there is no checkpoint to resume from, and the script begins anew")
        return self._from(choice.candidate)

    def _has_begun(self) -> bool:
        """Whether the script has left something, though its state is lost."""
        out = self.ctx.folder.script_out
        return (
            bool(self.ctx.history.rows())
            or bool(self.rules.at and find(self.rules)[0])
            or (out.is_dir() and any(out.iterdir()))
        )

    def _by_itself(self) -> Beginning:
        """The card names no checkpoints, so that the folder stays as it is and the script looks in it."""
        self.ctx.progress.note("going on; the script finds its checkpoint itself")
        return Beginning(resumed=True)

    def _given_up(self, died: int) -> EnvironmentFailed:
        """Resumes have died again and again: to begin anew would give up what is trained."""
        self.state.update(died=())
        return EnvironmentFailed(
            f"{died} resumes in a row died before a new row, so that no other checkpoint is tried, and nothing was "
            f"begun anew; see {self.ctx.folder.script_log} for what ends the script. The next resume tries the newest "
            "checkpoint again"
        )

    def _reported(self) -> ReportedSteps:
        """By the times at which rows were written, which is up to seconds after they were reported."""
        reported = ReportedSteps()
        for row in self.ctx.history.rows():
            reported.note(row.step, at=utc_seconds(row.clock.at))
        return reported

    def _from(self, candidate: Candidate) -> Beginning:
        # newer ones are out of the way for every script: it writes them again, and may refuse to where one is
        for sentence in put_in_place(candidate, self.rules, self.ctx.folder.kept, by_itself=True):
            self._warn(sentence)
        entry = self.saves.entry_of(candidate.sha256)
        # what had been reported when it was kept is later than what it holds, and rows between would not be replaced
        if candidate.step is not None:
            self._cut(candidate.step)
        step = entry.step if candidate.step is None and entry else candidate.step
        file = entry.file if entry else candidate.path.relative_to(self.ctx.folder.root).as_posix()
        resumed = Resumed(attempt=self.ctx.attempt, file=file, epoch=entry.epoch if entry else 0, step=step or 0)
        self.ctx.ledger.append(resumed)
        self.ctx.progress.note(f"going on from {resumed.point}")
        self.state.update(began_from=candidate.sha256)
        return Beginning(candidate.path, candidate.step, resumed=True)

    def _anew(self, why: str) -> Beginning:
        """Begin from nothing; what was written before is moved aside."""
        folder = self.ctx.folder
        self._warn(why)
        with explained(folder.script_out, "move"):
            aside = folder.kept / "aside"
            aside.mkdir(parents=True, exist_ok=True)
            place = aside / f"{1 + sum(1 for _ in aside.iterdir()):03d}-start"
            place.mkdir()
            if folder.script_out.exists():
                shutil.move(folder.script_out, place / folder.script_out.name)
            for kept in sorted(folder.kept.glob("[0-9]*")):
                shutil.move(kept, place / kept.name)
            folder.script_out.mkdir()
        self.saves.forget()
        self._cut(-1)
        self.state.update(died=(), began_from=None, first_epoch=None)
        return Beginning()

    def _cut(self, step: int) -> None:
        attempt = self.ctx.attempt
        self.ctx.history.truncate_after(
            step, note=lambda cut: self.ctx.ledger.append(cut.model_copy(update={"attempt": attempt}))
        )
        self.saves.rewind()

    def _check_history(self) -> None:
        grave = [damage for damage in examine_lines(self.ctx.folder.history).damage if damage.grave]
        if grave:
            raise IntegrityError(f"{self.ctx.folder.history}: {grave[0].what}; put the run's own history back")

    def _warn(self, message: str) -> None:
        self.ctx.ledger.append(WarningGiven(attempt=self.ctx.attempt, message=message))
        self.ctx.progress.note(f"warning: {message}")

"""What a kill threshold's verdict does to the run.

A verdict is recorded once, also across crashes: the ledger has the row it was given at, and a row that a resume trains
again brings the same verdict. A verdict that ends the attempt is applied again until an attempt has ended with it, or a
person has acknowledged it. From then on the same row does not end the run again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cardrunner.contracts import RunContext, spec_for
from cardrunner.errors import CardrunnerError, RestartWanted, RunPaused, RunStopped
from cardrunner.kill_rules import Row, RuleHistory, Verdict, judge, judge_event
from cardrunner.runs.event_model import Event
from cardrunner.runs.events import Acknowledged, AttemptEnded, Restarted, RuleFired
from cardrunner.runs.history import HistoryRow, RuleRows, baselines_of, verdict_line
from cardrunner.training.budget import Overruns

if TYPE_CHECKING:
    from cardrunner.training.group import GroupOutOfMemory  # needs torch, which judging does not

VerdictKey = tuple[int, str, int]
"""Identifies a verdict: its rule, the kind of row, and the step."""


@dataclass
class Known:
    """The verdicts in the ledger.

    Attributes:
        open: those that have not ended an attempt yet.
        settled: those that have, or never will.
        standing: by rule the step of its newest verdict, until its condition is seen to be false again.
    """

    open: dict[VerdictKey, RuleFired] = field(default_factory=dict)
    settled: set[VerdictKey] = field(default_factory=set)
    standing: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, events: Iterable[Event]) -> Known:
        """The verdicts in a ledger's events, given oldest first."""
        known = cls()
        for event in events:
            match event:
                case RuleFired():
                    known.add(event)
                case Restarted():  # with changed values, so that every later row is a new one
                    known = cls()
                case AttemptEnded(broke=False) | Acknowledged():
                    known.settled |= known.open.keys()
                    known.open.clear()
        return known

    def add(self, event: RuleFired) -> None:
        """Add a verdict; a warning, or one with nothing left to stop, is settled at once."""
        if event.action == "warn" or event.moot:
            self.settled.add(_place(event))
        else:
            self.open[_place(event)] = event
        if event.action != "restart" and event.kind != "event":
            self.standing[event.rule] = event.step


class Judge:
    """Evaluates the card's rules at every row, records verdicts, and decides how the run has to end. Leader only.

    Args:
        ctx: the attempt.
    """

    def __init__(self, ctx: RunContext) -> None:
        self.ctx, self.rules = ctx, ctx.card.kill_thresholds
        metrics = spec_for(ctx.workload.spec, ctx.card).metrics
        self._rows = RuleRows(metrics)
        self._watched = RuleHistory(baselines=baselines_of(ctx.card, metrics))
        self._known = Known.of(ctx.ledger.events(RuleFired, AttemptEnded, Restarted, Acknowledged))
        self._overruns = Overruns(ctx)

    def resume(self, step: int | None, *, at_validation: bool) -> CardrunnerError | None:
        """Take up the history; a verdict that a crash kept from ending the run ends it now.

        Args:
            step: where the training goes on; everything up to there has been judged. None where nothing tells it.
            at_validation: whether the validation of that step is behind it; otherwise it is repeated.
        """
        for row in self._rows.rows(self.ctx.history.rows()):
            self._see(row)
        for event in self._known.open.values():
            saved = event.kind == "train" or at_validation
            if (step is None or event.step <= step) and event.kind != "event" and saved:
                return self._ending(event, can_go_on=False)
        return None

    def row(self, row: HistoryRow, *, events: Sequence[str] = ()) -> CardrunnerError | None:
        """Judge a row that was just written, and what happened there.

        Returns:
            how the run has to end, or None to go on; the caller saves and raises it.
        """
        seen = self._rows.row(row)
        self._see(seen)
        at = seen._replace(kind="event")
        verdicts = (*judge(self.rules, self._watched), *self._on(events, at))
        whole = self.ctx.card.training.whole
        over = whole is not None and seen.progress >= whole
        return self._act(verdicts, trained=over) or self._left_open(row) or self._overruns.row(row)

    def event(self, event: str, at: Row, *, can_go_on: bool = False) -> CardrunnerError | None:
        """Judge something that happened between two rows.

        Args:
            event: its name.
            at: the moment.
            can_go_on: the run can continue even if the restart that a rule asks for has been made already.
        """
        return self._act(self._on([event], at), can_go_on=can_go_on)

    def _see(self, row: Row) -> None:
        self._watched.add(row)
        for number, step in list(self._known.standing.items()):
            seen = self.rules[number].observe_newest(self._watched)
            if seen is not None and not seen.fires and row.step > step:
                del self._known.standing[number]

    def _left_open(self, row: HistoryRow) -> CardrunnerError | None:
        """A verdict recorded at this row before a crash, which counts even if a clock would not give it again."""
        found = [event for place, event in self._known.open.items() if place[1:] == (row.kind, row.step)]
        return self._ending(found[0], can_go_on=False) if found else None

    def _on(self, events: Sequence[str], at: Row) -> Iterator[Verdict]:
        for event in events:
            yield from judge_event(self.rules, event, at)

    def _act(
        self, verdicts: Iterable[Verdict], *, can_go_on: bool = False, trained: bool = False
    ) -> CardrunnerError | None:
        ending: CardrunnerError | None = None
        for verdict in verdicts:  # the gravest comes first
            rule = self.rules[verdict.rule]
            moot = trained and rule.moot_when_trained and verdict.action in ("stop", "restart")
            event = RuleFired(attempt=self.ctx.attempt, **verdict._asdict())
            event = event.model_copy(update={"moot": True}) if moot else event
            if _place(event) not in self._known.open:
                if _place(event) in self._known.settled or verdict.rule in self._known.standing:
                    continue
                self._record(event)
            if not moot:
                ending = ending or self._ending(event, can_go_on=can_go_on)
        return ending

    def _record(self, event: RuleFired) -> None:
        self.ctx.ledger.append(event)
        self.ctx.progress.note(verdict_line(event, self.rules))
        self._known.add(event)

    def _ending(self, event: RuleFired, *, can_go_on: bool) -> CardrunnerError | None:
        sentence = event.finding
        match event.action:
            case "warn":
                return None
            case "stop":
                return RunStopped(f"stopped by the kill threshold {sentence}")
            case "investigate":
                command = f'`cardrunner resume {self.ctx.folder.name} --acknowledge "why it may go on"`'
                return RunPaused(
                    f"paused to investigate, by the kill threshold {sentence}; look into it, then {command}"
                )
        changes = self.rules[event.rule].set or {}
        if not any(earlier.set == changes for earlier in self.ctx.ledger.events(Restarted)):
            return RestartWanted(sentence, changes)
        if can_go_on:  # it has been restarted this way already and still does not fit
            return None
        return RunStopped(f"stopped by the kill threshold {sentence}; the restart it asks for has been made already")


def judge_out_of_memory(ctx: RunContext, error: GroupOutOfMemory) -> CardrunnerError | None:
    """Judge a step that did not fit into memory; None to split the batch."""
    at = Row("event", error.epoch, error.step, error.progress, error.seconds)
    return Judge(ctx).event("out_of_memory", at, can_go_on=True)


def _place(event: RuleFired) -> VerdictKey:
    return event.rule, event.kind, event.step

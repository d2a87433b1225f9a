"""What a kill threshold's verdict does to the run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace

from cardrunner.contracts import MetricNames
from cardrunner.errors import CardrunnerError, RestartWanted, RunPaused, RunStopped
from cardrunner.kill_rules import Verdict, judge, judge_event
from cardrunner.runs.context import RunContext


def judge_validations(ctx: RunContext) -> CardrunnerError | None:
    """Ask every rule about the history so far and record what fired.

    Returns:
        how the run has to end, or None to go on; the caller saves and raises it.
    """
    names = MetricNames(ctx.workload.spec.metrics)
    seen = [replace(row, metrics=names.with_aliases(row.metrics)) for row in ctx.history.validations()]
    return _act(ctx, judge(ctx.card.kill_thresholds, seen))


def judge_out_of_memory(ctx: RunContext, *, epoch: int, step: int) -> CardrunnerError | None:
    """Ask the rules about a step that did not fit; None to split the batch."""
    return _act(ctx, judge_event(ctx.card.kill_thresholds, "out_of_memory", epoch=epoch, step=step), can_go_on=True)


def _act(ctx: RunContext, verdicts: Iterable[Verdict], *, can_go_on: bool = False) -> CardrunnerError | None:
    ending: CardrunnerError | None = None
    for verdict in verdicts:  # the gravest comes first
        ctx.ledger.append("verdict", attempt=ctx.attempt, **asdict(verdict))
        ctx.progress.note(f"{verdict.action}: {verdict.condition}: {verdict.message}")
        ending = ending or _ending(ctx, verdict, can_go_on=can_go_on)
    return ending


def _ending(ctx: RunContext, verdict: Verdict, *, can_go_on: bool) -> CardrunnerError | None:
    told = verdict.message.startswith(verdict.condition)  # an event's message says it all
    sentence = verdict.message if told else f"{verdict.condition}: {verdict.message}"
    match verdict.action:
        case "warn":
            return None
        case "stop":
            return RunStopped(f"stopped by the kill threshold {sentence}")
        case "investigate":
            return RunPaused(
                f"paused to investigate, by the kill threshold {sentence}; "
                f"look, then `cardrunner resume {ctx.folder.name}`"
            )
    changes = ctx.card.kill_thresholds[verdict.rule].set or {}
    if not any(event.get("set") == changes for event in ctx.ledger.events("restarted")):
        return RestartWanted(sentence, changes)
    if can_go_on:  # it was restarted so already and it still does not fit
        return None
    return RunStopped(f"stopped by the kill threshold {sentence}; the restart it asks for has been made already")

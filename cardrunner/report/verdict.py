"""The verdict section: how the run ended, at the top of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cardrunner.common.text import listed, plural
from cardrunner.common.units import format_dollars, format_duration
from cardrunner.report.checkpoints import step_of
from cardrunner.report.notes import PageNote, notes_of
from cardrunner.report.recorded import RecordedRun
from cardrunner.report.scores import MODEL, MetricComparison, comparisons
from cardrunner.report.table import Cell, Code, Table, measured, when
from cardrunner.report.targets import TargetResult, target_results
from cardrunner.report.thresholds import rules_summary
from cardrunner.report.timing import spent_by
from cardrunner.runs.records import BestRecord

_MOST_NAMED = 3
_STATES = {
    "starting": "Starting",
    "running": "Still running",
    "completed": "Completed",
    "stopped": "Stopped",
    "investigate": "Paused for investigation",
    "failed": "Failed",
    "interrupted": "Interrupted",
    "timed_out": "Timed out",
}


@dataclass(frozen=True, kw_only=True)
class VerdictFacts:
    """What `verdict.md.j2` shows."""

    name: str
    state: str
    targets: str
    ending: str
    trivial: str
    thresholds: str
    goal: str
    glance: Table
    notes: tuple[PageNote, ...]


def verdict_facts(run: RecordedRun) -> VerdictFacts:
    """Collect what the verdict section shows."""
    return VerdictFacts(
        name=run.folder.name,
        state=_STATES[run.status.state],
        targets=_targets(target_results(run)),
        ending=_ending(run),
        trivial=_against_trivial(run),
        thresholds=rules_summary(run),
        goal=run.card.goal,
        glance=_glance(run),
        notes=notes_of(run),
    )


def _targets(results: Sequence[TargetResult]) -> str:
    met = sum(result.outcome == "met" for result in results)
    rest = {
        outcome: sum(result.outcome == outcome for result in results)
        for outcome in ("not measured", "to be judged by people")
    }
    more = "".join(f", {number} {outcome}" for outcome, number in rest.items() if number)
    return f"{met} of {plural(len(results), 'target')} met{more}"


def _ending(run: RecordedRun) -> str:
    done = _done(run)
    stage = run.attempts[-1].stages[-1].name if run.attempts and run.attempts[-1].stages else None
    where = f" in the {stage} stage" if stage and run.status.state not in ("completed", "starting", "running") else ""
    why = f": {run.status.reason}" if run.status.reason else ""
    return f"{done}{f'; it ended{where}{why}' if where or why else ''}."


def _done(run: RecordedRun) -> str:
    planned = run.card.training.planned_epochs
    if not run.reported and planned is not None:
        return f"{run.epochs_done} of {plural(planned, 'epoch')} trained and validated"
    newest = max((row.step for row in run.rows), default=0)
    return f"The script reported {plural(len(run.validation_rows), 'validation')} up to step {newest:,}"


def _against_trivial(run: RecordedRun) -> str:
    if run.reported:
        return "Every metric is reported by the script: none of them was measured again."
    contested = [found for found in comparisons(run) if found.winners]
    if not contested:
        return "Nothing was measured that could be compared with the trivial baselines."
    lost = sorted((found for found in contested if not found.model_wins), key=lambda found: _asked(run, found))
    if not lost:
        return f"The model beats every trivial baseline on all {plural(len(contested), 'metric')} that can be compared."
    named = listed(_lost(found) for found in lost[:_MOST_NAMED])
    more = f"; likewise on {len(lost) - _MOST_NAMED} more" if len(lost) > _MOST_NAMED else ""
    share = f"{len(lost)} of {plural(len(contested), 'metric')}"
    return f"The model does not beat the trivial baselines on {share}: {named}{more}."


def _asked(run: RecordedRun, found: MetricComparison) -> bool:
    """False, which sorts first, for metrics that a target names."""
    return found.name not in {run.names.canonical(target.metric) for target in run.card.targets}


def _lost(found: MetricComparison) -> str:
    rivals = [name for name in found.winners if name != MODEL]
    theirs, own = measured(found.trivial[rivals[0]], found.spec), measured(found.model, found.spec)
    how = "as good as" if MODEL in found.winners else "better than"
    verb = "is" if len(rivals) == 1 else "are"
    return f"{listed(rivals)} {verb} {how} the model on {found.name} ({theirs} against {own})"


def _best(run: RecordedRun, best: BestRecord) -> str:
    """Which checkpoint is the best one, and by which value."""
    value = f"{best.metric} {measured(best.value, run.spec(best.metric))}"
    if not run.reported:
        return f"{run.place(best.epoch, best.step)} of {run.card.training.planned_epochs}, {value}"
    entry = run.manifest.find(run.folder.best.name) if run.manifest else None
    if entry is None:
        kept = "none was kept"
    elif entry.metrics_step is None:
        kept = step_of(entry)
    else:
        kept = f"{step_of(entry)}, the one kept nearest to the best value"
    return f"{kept}; {value} at {run.place(best.epoch, best.step)}, reported by the script"


def _no_best(run: RecordedRun) -> str | None:
    unchosen = run.reported and run.card.training.selection is None
    return "not chosen: the card has no training.select" if unchosen else None


def _glance(run: RecordedRun) -> Table:
    spent, best = spent_by(run), run.best
    signed = f"{listed(run.status.signed_by) or 'no reviewer'} (policy {run.card.sign_off.policy})"
    rows: tuple[tuple[Cell, Cell], ...] = (
        ("Workload", Code(run.status.workload)),
        ("Best checkpoint", _best(run, best) if best else _no_best(run)),
        ("Time, all attempts", format_duration(spent.total)),
        ("Cost", None if spent.cost is None else format_dollars(spent.cost)),
        ("Started", when(run.attempts[0].started) if run.attempts else None),
        ("Ended", when(run.attempts[-1].ended) if run.attempts else None),
        ("Signed by", signed),
        ("Card digest", Code(run.loaded.digest)),
    )
    return Table(("Run", run.folder.name), "ll", rows)

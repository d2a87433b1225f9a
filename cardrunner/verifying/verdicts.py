"""Kill thresholds: the verdicts of the ledger against the card, and against the history judged once more."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

from cardrunner.kill_rules import Moment, Verdict, judge_all
from cardrunner.runs.events import Restarted, RuleFired
from cardrunner.runs.frozen import MOST_RESTARTS
from cardrunner.runs.history import RuleRows, baselines_of
from cardrunner.verifying.evidence import Evidence
from cardrunner.verifying.findings import Finding, difference

FILE = "ledger.jsonl"


def name_rules(run: Evidence) -> Iterator[Finding]:
    """A verdict names a kill threshold of the card, with its action."""
    rules = run.loaded.card.kill_thresholds
    for number, event in run.of(RuleFired):
        if not 0 <= event.rule < len(rules):
            what = f"a verdict of kill threshold {event.rule + 1}, and the card has {len(rules)}"
            yield difference(FILE, what, line=number)
        elif event.action != rules[event.rule].action:
            what = f"kill threshold {event.rule + 1} is said to {event.action}, and the card has"
            yield difference(FILE, f"{what} {rules[event.rule].action}", line=number)


def name_rows(run: Evidence) -> Iterator[Finding]:
    """A verdict names a row of the history, unless training went back behind it since."""
    rows = {(row.kind, row.step): row for _, row in run.rows}
    for number, event in run.of(RuleFired):
        if event.kind == "event" or run.went_back(after=number, before=event.step):
            continue
        row = rows.get((event.kind, event.step))
        if row is None or event.epoch not in (None, row.epoch):
            what = f"a verdict on the {event.kind} row of step {event.step} in epoch {event.epoch}"
            yield difference(FILE, f"{what}, which history.jsonl does not have", line=number)


def replayed(run: Evidence) -> Iterator[Finding]:
    """The rules, judged over the history again, give the verdicts of the ledger."""
    rules, metrics = run.loaded.card.kill_thresholds, run.loaded.spec.metrics
    seen = RuleRows(metrics).rows(row for _, row in run.rows)
    moments = tuple(judge_all(rules, seen, baselines=baselines_of(run.loaded.card, metrics)))
    yield from _unfounded(run, {(moment.row.kind, moment.row.step): moment for moment in moments})
    for moment in moments:
        yield from _forgotten(run, moment)


def _unfounded(run: Evidence, moments: dict[tuple[str, int], Moment]) -> Iterator[Finding]:
    """Verdicts of the ledger that the history does not bear out."""
    for number, event in run.of(RuleFired):
        moment = moments.get((event.kind, event.step))
        if moment is None or event.rule >= len(moment.seen) or run.went_back(after=number, before=event.step):
            continue
        found = moment.seen[event.rule]
        if found is None or not found.fires:
            what = f"{event.condition} is said to have fired at step {event.step}; judged again it does not"
            yield difference(FILE, what, line=number)
        elif not (_same(event.value, found.value) and _same(event.limit, found.limit)):
            what = f"{event.condition} fired at step {event.step} on {event.value} against {event.limit}"
            yield difference(FILE, f"{what}; judged again it is {found.value} against {found.limit}", line=number)


def _forgotten(run: Evidence, moment: Moment) -> Iterator[Finding]:
    """Verdicts that the ledger lacks."""
    for verdict in moment.verdicts:
        known = [event for _, event in run.of(RuleFired) if event.rule == verdict.rule]
        here = any((event.kind, event.step) == (verdict.kind, verdict.step) for event in known)
        # one that stood when a resume went back behind it is not given again; a crash may come before the verdict
        standing = any(event.step >= verdict.step for event in known)
        last = bool(run.rows) and run.rows[-1].said.step == verdict.step and not run.settled
        if not (here or standing or last):
            yield _lacking(verdict)


def _lacking(verdict: Verdict) -> Finding:
    what = f"lacks a verdict: judged again, {verdict.condition} fires at the {verdict.kind} row of step {verdict.step}"
    return difference(FILE, f"{what} with {verdict.value} against {verdict.limit}", kind="missing")


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return one == other or (math.isnan(one) and math.isnan(other))


def restarts_registered(run: Evidence) -> Iterator[Finding]:
    """A restart follows a verdict that asks for it, and sets what the card says, at most three times."""
    rules = run.loaded.card.kill_thresholds
    agreed = [json.loads(json.dumps(rule.set)) if rule.action == "restart" else None for rule in rules]
    wanted: list[object] = []
    made: list[object] = []
    for number, event in run.of(RuleFired, Restarted):
        match event:
            case RuleFired():
                wanted += [agreed[event.rule]] if event.rule < len(agreed) else []
            case Restarted():
                made.append(event.set)
                if event.set not in wanted or event.set is None:
                    what = f"a restart with {json.dumps(event.set)[:200]}, which no verdict before it asks for"
                    yield difference(FILE, what, line=number, kind="unexpected")
                elif made.count(event.set) > MOST_RESTARTS:
                    what = f"restart {made.count(event.set)} with the same values; there are at most {MOST_RESTARTS}"
                    yield difference(FILE, what, line=number, kind="unexpected")

"""What every kind of kill rule does, of cardrunner and of other packages; the tests of both hold their kinds to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, get_args

from pydantic import TypeAdapter

from cardrunner.card.load import LoadedCard
from cardrunner.card.page.tables import kill_thresholds
from cardrunner.kill_rules import KillRule, Row, Rule, Verdict, judge_all, judge_event
from cardrunner.kill_rules.event import Event
from cardrunner.kill_rules.table import rule_class

READER: TypeAdapter[Rule] = TypeAdapter(KillRule)
BASELINE = "policy-imitation-4k"
METRICS = ("val_loss/total", "val_accuracy")
SERIES = ((3.0, 2.0, 1.0, 0.5), (0.5, 1.0, 2.0, 3.0), (1.0,) * 6, (0.5, math.nan, math.nan, 0.25))
LONG_AFTER = 20
"""Epochs behind every scope of an example."""


def check_kind(kind: type[Rule], load: Callable[..., LoadedCard]) -> None:
    """Hold a kind of rule to what cards, runs, pages and reports ask of it.

    Args:
        kind: its class; everything is tried with its own example.
        load: loads a toy card with changes, by path.
    """
    rule = READER.validate_python(dict(kind.example))
    assert type(rule) is kind
    assert rule_class(kind.example) is kind
    assert READER.validate_python(rule) is rule
    check_judging(rule)
    check_answers(rule, load(changes(kind.example)))


def changes(example: Mapping[str, Any]) -> dict[str, Any]:
    """A toy card with the rule of an example."""
    metrics = {example.get("metric", "val_loss/total"): 0.5}
    baselines = [{"run": BASELINE, "metrics": metrics}] if example.get("metric") in METRICS else []
    return {"kill_thresholds": [{**example, "action": "warn", "set": None}], "baselines": baselines}


def check_judging(rule: Rule) -> None:
    """It fires somewhere, is silent elsewhere, says what it saw, and does so again from the same rows."""
    histories = [histories_of(rule, values) for values in SERIES]
    verdicts = [list(verdicts_of(rule, rows)) for rows in histories]
    assert any(verdicts), "no history makes it fire"
    assert any(len(found) < len(rows) for found, rows in zip(verdicts, histories, strict=True)), "it always fires"
    assert repr([list(verdicts_of(rule, rows)) for rows in histories]) == repr(verdicts)
    for verdict in (verdict for found in verdicts for verdict in found):
        assert verdict.condition == rule.describe()
        assert verdict.action == rule.action
        assert verdict.message
    out_of_scope = rule.model_copy(update={"within": rule.after or rule.not_before, "after": None, "not_before": None})
    if out_of_scope.within is not None:
        late = [row._replace(progress=1e6, step=10**9, seconds=1e9) for row in histories[1]]
        assert not list(verdicts_of(out_of_scope, late))


def histories_of(rule: Rule, values: tuple[float, ...]) -> list[Row]:
    """Its metric at log points, or at validations with the mean of the epoch, far behind every scope."""
    name = rule.watches or "val_loss/total"
    rows = []
    for number, value in enumerate(values):
        epoch = LONG_AFTER + number
        kind: Literal["validation", "train"] = "validation" if name.startswith("val_") else "train"
        rows.append(Row(kind, epoch, epoch * 1000, epoch / 4, epoch * 600.0, {name: value}, {name: value}))
    return rows


def verdicts_of(rule: Rule, rows: list[Row]) -> Iterator[Verdict]:
    """What it says at rows, and of the events of the training loop."""
    for moment in judge_all([rule], rows, baselines={BASELINE: {rule.watches or "": 0.5}}):
        yield from moment.verdicts
    for event in get_args(Event):
        yield from judge_event([rule], event, rows[0]._replace(kind="event"))


def check_answers(rule: Rule, loaded: LoadedCard) -> None:
    """Cards, pages and reports ask it the same questions as every other kind."""
    fields = type(rule).model_fields
    assert rule.key in fields
    assert rule.describe().startswith(rule.condition())
    remarks = [*rule.check_direction("min"), *rule.check_direction("max")]
    remarks += rule.check_baselines({BASELINE: 0.5})
    assert all(remark.loc[0] in fields and remark.message for remark in remarks)
    assert {*rule.stated_values(), *rule.stated_differences()} <= fields.keys()
    seen = [found for moment in judge_all([rule], histories_of(rule, SERIES[1])) for found in moment.seen if found]
    assert all(math.isfinite(level) for level in rule.plot_levels(seen))
    (row,) = kill_thresholds(loaded).rows
    assert len(row) == 2
    assert all(row)

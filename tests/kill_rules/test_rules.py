"""When each kind of rule fires, and what it says it saw."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, strategies as st
from pydantic import TypeAdapter, ValidationError

from cardrunner.kill_rules import KillRule, Observation, Row, Rule, RuleHistory, judge, judge_all, judge_event

Make = Callable[..., Any]
NAN = math.nan
READER: TypeAdapter[Rule] = TypeAdapter(KillRule)
TO_BEST = {"metric": "m", "relative_to": "best"}


def seen(rule: Rule, rows: list[Row]) -> Observation | None:
    return rule.observe_newest(RuleHistory(rows))


# ------------------------------------------------------------ the table


def test_a_rule_is_recognised_by_the_key_only_it_has(rule: Make) -> None:
    written: dict[str, dict[str, Any]] = {
        "MetricLimit": {"metric": "m", "above": 1},
        "QuantityLimit": {"metric": "cost", "above": "$1"},
        "NotDecreasing": {"metric": "m", "not_decreasing_for": "2 epochs"},
        "NotIncreasing": {"metric": "m", "not_increasing_for": "2 epochs"},
        "NonFinite": {"metric": "m", "non_finite": True},
        "Equals": {"metric": "m", "equals": 0},
        "RelativeLimit": {"metric": "m", "above": "1.1x", "relative_to": "best"},
        "EventRule": {"event": "out_of_memory"},
    }
    assert {kind: type(rule(**fields)).__name__ for kind, fields in written.items()} == {kind: kind for kind in written}


def test_a_rule_that_was_read_can_be_read_again(rule: Make) -> None:
    read = rule(metric="m", equals=0)
    assert READER.validate_python(read) == read


@pytest.mark.parametrize(
    ("fields", "place", "message"),
    [
        ({"metric": "m"}, (), "give exactly one of above and below"),
        ({"metric": "cost", "above": 5}, ("above",), "write a unit, such as $7.50"),
        ({"metric": "cost", "above": "5 min"}, ("above",), "an amount of dollars is written as $7.50"),
        ({"metric": "epoch_time", "above": "$5"}, ("above",), "this is not a duration"),
        ({"metric": "data_wait", "above": 50}, ("above",), "is a share of the training time"),
        ({"metric": "data_wait", "above": True}, ("above",), "write a share, such as 50%"),
        ({"metric": "examples_per_second", "below": "10"}, ("below",), "must be a number"),
        ({**TO_BEST, "above": "10%"}, ("above",), "a percentage is ambiguous"),
        ({**TO_BEST, "above": "much"}, ("above",), "write a factor such as"),
        ({**TO_BEST, "above": math.inf}, ("above",), "write a factor such as"),
        ({"metric": "m", "non_finite": False}, ("non_finite",), "must be true"),
        ({"metric": "m", "above": 1, "after": "0 epochs"}, ("after",), "longer than zero"),
        ({"metric": "m", "above": 1, "after": 1}, ("after",), "write a unit, such as 1 epoch, 0.5 epochs"),
        ({"metric": "m", "above": 1, "within": "0.5 steps"}, ("within",), "steps are counted whole, from 1"),
    ],
)  # fmt: skip
def test_what_is_no_rule_is_told_at_its_key(
    rule: Make, fields: dict[str, Any], place: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        rule(**fields)
    (fault,) = caught.value.errors()
    assert fault["loc"] == place
    assert message in fault["msg"]


# ------------------------------------------------------------ above and below


@pytest.mark.parametrize(
    ("side", "values", "steps"),
    [("above", (0.9, 0.4, 0.6, 0.7), [10, 30]), ("below", (0.4, 0.5, 0.4), [10, 30]), ("above", (0.5,), [])],
)
def test_a_limit_fires_where_its_condition_comes_true(
    rule: Make, validations: Make, fired: Make, side: str, values: tuple[float, ...], steps: list[int]
) -> None:
    assert fired(rule(metric="m", **{side: 0.5}), validations(*values)) == steps


def test_a_restart_fires_as_long_as_its_condition_holds(rule: Make, validations: Make, fired: Make) -> None:
    restart = rule(metric="m", above=0.5, action="restart", set={"training.batch_size": 1})
    assert fired(restart, validations(0.9, 0.4, 0.6, 0.7)) == [10, 30, 40]


def test_a_limit_shows_the_value_and_the_room_that_is_left(rule: Make, validations: Make) -> None:
    found = seen(rule(metric="m", above=0.5), validations(0.9, 0.25))
    assert found is not None
    assert (found.row.epoch, found.value, found.limit, found.room, found.metric) == (2, 0.25, 0.5, 0.25, "m")
    assert found.message == "m is 0.25 after epoch 2"


def test_a_rule_sees_nothing_where_its_metric_was_not_measured(rule: Make, validations: Make, log_points: Make) -> None:
    assert seen(rule(metric="other", above=0.5), validations(0.9)) is None
    assert seen(rule(metric="m", above=0.5), []) is None
    assert seen(rule(metric="m", above=0.5), validations(0.9, name="m") + log_points(1.0, name="other")) is None


def test_a_training_metric_is_judged_at_log_points_and_not_by_the_mean_of_the_epoch(rule: Make, fired: Make) -> None:
    rows = [
        Row("train", 1, 5, 0.5, metrics={"loss": 9.0}),
        Row("validation", 1, 10, 1.0, metrics={"val_loss": 1.0}, epoch_means={"loss": 4.0}),
        Row("train", 2, 15, 1.5, metrics={"loss": 1.0}),
    ]
    assert fired(rule(metric="loss", above=3), rows) == [5]


# ------------------------------------------------------------ no improvement


@pytest.mark.parametrize(
    ("values", "idle"), [((3.0,), 0), ((3.0, 2.0), 0), ((3.0, 3.0), 1), ((3.0, 4.0, 5.0, 6.0), 2), ((3.0, 4.0, 1.0), 0)]
)
def test_validations_without_improvement_are_counted(
    rule: Make, validations: Make, values: tuple[float, ...], idle: int
) -> None:
    for key, sign in (("not_decreasing_for", 1), ("not_increasing_for", -1)):
        found = seen(rule(metric="m", **{key: "2 epochs"}), validations(*(sign * value for value in values)))
        assert found is not None
        assert (found.idle, found.room, found.fires) == ((idle, 2), 2 - idle, idle == 2)


def test_an_improvement_by_no_more_than_min_delta_does_not_count(rule: Make, validations: Make, fired: Make) -> None:
    patient = {"metric": "m", "not_decreasing_for": "2 epochs", "min_delta": 0.25}
    assert fired(rule(**patient), validations(3.0, 2.875, 2.75)) == [30]
    assert fired(rule(**patient), validations(3.0, 2.875, 2.5)) == []


def test_a_metric_that_is_never_a_number_does_not_improve(rule: Make, validations: Make, fired: Make) -> None:
    stalled = rule(metric="m", not_decreasing_for="2 epochs")
    assert fired(stalled, validations(NAN, NAN, NAN, 1.0)) == [30]
    assert fired(stalled, validations(NAN, math.inf, 1.0)) == []


def test_a_training_metric_can_stall_by_the_means_of_its_epochs(rule: Make, fired: Make) -> None:
    rows = [Row("validation", n, n * 10, float(n), epoch_means={"loss": loss}) for n, loss in enumerate((3, 3, 3), 1)]
    assert fired(rule(metric="loss", not_decreasing_for="2 epochs"), rows) == [30]


def test_epochs_before_after_are_no_part_of_the_best_and_not_before_only_waits(
    rule: Make, validations: Make, fired: Make
) -> None:
    rows = validations(1.0, 5.0, 5.0, 5.0, 5.0)  # the first epoch was lucky
    patient = {"metric": "m", "not_decreasing_for": "2 epochs"}
    assert fired(rule(**patient), rows) == [30]
    assert fired(rule(**patient, not_before="4 epochs"), rows) == [40]
    assert fired(rule(**patient, after="3 epochs"), rows) == [50]


# ------------------------------------------------------------ suspicious values


@pytest.mark.parametrize("value", [NAN, math.inf, -math.inf])
def test_what_is_no_finite_number_fires(rule: Make, log_points: Make, fired: Make, value: float) -> None:
    assert fired(rule(metric="m", non_finite=True), log_points(1.0, value, value, 1.0, value)) == [2, 5]


def test_exactly_the_suspicious_value_fires(rule: Make, validations: Make, fired: Make) -> None:
    perfect = rule(metric="m", equals="100%")
    assert fired(perfect, validations(0.99, 1.0, math.nextafter(1.0, 0.0), NAN)) == [20, 40]
    assert perfect.describe() == "m is exactly 1"


# ------------------------------------------------------------ relative to something


def test_a_metric_is_held_against_the_best_so_far(rule: Make, validations: Make, fired: Make) -> None:
    worse = rule(metric="m", above="1.5x", relative_to="best")
    assert fired(worse, validations(4.0, 2.0, 3.0, 3.5)) == [40]
    assert fired(rule(metric="m", below=-0.25, relative_to="best"), validations(0.5, 1.0, 0.75, 0.5)) == [40]
    assert worse.describe() == "m > 1.5x the best so far"
    found = seen(worse, validations(4.0, 2.0, 3.5))
    assert found is not None
    assert (found.limit, found.message) == (3.0, "m is 3.5 after epoch 3; the best before has 2")


def test_a_factor_makes_a_negative_reference_worse_too(rule: Make, validations: Make, fired: Make) -> None:
    assert fired(rule(metric="m", above="1.5x", relative_to="best"), validations(-2.0, -1.5, -0.5)) == [30]


def test_a_metric_is_held_against_a_baseline(rule: Make, validations: Make, fired: Make) -> None:
    against = rule(metric="m", above=0.5, relative_to="old-run")
    assert fired(against, validations(3.0, 2.5, 2.6), {"old-run": {"m": 2.0}}) == [10, 30]
    assert fired(against, validations(3.0), {"old-run": {}}) == []
    assert against.describe() == "m > old-run + 0.5"


def test_nan_fires_also_where_there_is_nothing_to_compare_with(rule: Make, validations: Make, fired: Make) -> None:
    assert fired(rule(metric="m", above="1.5x", relative_to="best"), validations(NAN, 1.0)) == [10]
    assert fired(rule(metric="m", above="1.5x", relative_to="best"), validations(1.0, NAN)) == [20]


# ------------------------------------------------------------ quantities


def test_quantities_are_written_and_told_in_their_unit(rule: Make, log_points: Make) -> None:
    for fields, value, condition, message in (
        ({"metric": "epoch_time", "above": "45 min"}, 3000.0, "epoch_time > 45 min", "epoch_time is 50 min"),
        ({"metric": "examples_per_second", "below": 1000}, 12.5, "examples_per_second < 1000", "is 12.5"),
        ({"metric": "data_wait", "above": "50%"}, 0.75, "data_wait > 50.0%", "data_wait is 75.0%"),
        ({"metric": "wall_time", "above": "6h"}, 25200.0, "wall_time > 6h", "wall_time is 7h"),
        ({"metric": "cost", "above": "$5"}, 5.01, "cost > $5.00", "cost is $5.01"),
    ):
        (verdict,) = judge([rule(**fields)], RuleHistory(log_points(value, name=fields["metric"])))
        assert verdict.condition == condition
        assert message in verdict.message


def test_throughput_can_be_held_against_the_best_so_far(rule: Make, log_points: Make, fired: Make) -> None:
    slower = rule(metric="examples_per_second", below="0.5x", relative_to="best")
    assert fired(slower, log_points(900.0, 1000.0, 600.0, 499.0, name="examples_per_second")) == [4]


# ------------------------------------------------------------ events


def test_an_event_fires_each_time_in_its_scope(rule: Make) -> None:
    restart = rule(event="out_of_memory", within="1 epoch", action="restart", set={"a": 1})
    assert seen(restart, [Row("train", 1, 1, 0.1, metrics={"m": 1.0})]) is None
    for _ in range(2):
        (verdict,) = judge_event([restart], "out_of_memory", Row("event", 1, 3, 0.5))
        assert (verdict.kind, verdict.step, verdict.message) == ("event", 3, "out of memory at step 3")
    assert judge_event([restart], "non_finite_loss", Row("event", 1, 3, 0.5)) == ()
    assert judge_event([restart], "out_of_memory", Row("event", 2, 9, 1.5)) == ()


# ------------------------------------------------------------ scopes

ALWAYS = {"metric": "m", "above": 0}


@pytest.mark.parametrize(
    ("scope", "steps"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7, 8]),
        ({"after": "1 epoch"}, [4, 5, 6, 7, 8]),
        ({"after": "1.25 epochs"}, [5, 6, 7, 8]),
        ({"not_before": "3 steps"}, [3, 4, 5, 6, 7, 8]),
        ({"within": "0.5 epochs"}, [1, 2]),
        ({"after": "2 min", "within": "4 min"}, [2, 3, 4]),
        ({"after": "1 epoch", "not_before": "6 steps", "within": "7 min"}, [6, 7]),
    ],
)
def test_a_scope_counts_epochs_steps_or_time(
    rule: Make, log_points: Make, fired: Make, scope: dict[str, str], steps: list[int]
) -> None:
    each = rule(**ALWAYS, **scope, action="restart", set={"a": 1})  # which fires at every row
    assert fired(each, log_points(*[1.0] * 8)) == steps


def test_a_scope_in_time_needs_a_history_with_times(rule: Make, validations: Make, fired: Make) -> None:
    timeless = [row._replace(seconds=None) for row in validations(1.0, 1.0)]
    assert fired(rule(**ALWAYS, after="1 min"), timeless) == []
    assert fired(rule(**ALWAYS, within="1 min"), timeless) == []


def test_a_scope_reads_as_part_of_the_condition(rule: Make) -> None:
    scoped = rule(**ALWAYS, after="1 epoch", not_before="500 steps", within="90 min")
    assert scoped.describe() == "m > 0 after epoch 1, not before 500 steps, within 1.5h"
    assert rule(**ALWAYS, after="0.1 epochs").describe() == "m > 0 after 0.1 epochs"


def test_a_rule_that_was_out_of_scope_fires_where_its_scope_begins(rule: Make, validations: Make, fired: Make) -> None:
    assert fired(rule(**ALWAYS, after="3 epochs"), validations(1.0, 1.0, 1.0, 1.0)) == [30]
    assert fired(rule(**ALWAYS, not_before="3 epochs"), validations(1.0, 1.0, 1.0, 1.0)) == [30]


# ------------------------------------------------------------ for all of them

NUMBERS = st.one_of(st.floats(-4, 4), st.sampled_from([0.0, 2.0, NAN, math.inf]))
RULES = [
    {"metric": "m", "above": 2.0},
    {"metric": "m", "below": 2.0},
    {"metric": "m", "not_decreasing_for": "2 epochs"},
    {"metric": "m", "not_increasing_for": "1 epoch", "min_delta": 0.5},
    {"metric": "m", "non_finite": True},
    {"metric": "m", "equals": 0},
    {"metric": "m", "above": "1.5x", "relative_to": "best"},
    {"metric": "m", "below": -0.5, "relative_to": "old"},
]
SCOPES = [{}, {"after": "2 epochs"}, {"not_before": "3 epochs"}, {"within": "30 steps"}, {"after": "1 min"}]
HISTORIES = st.lists(NUMBERS, min_size=1, max_size=8)
EACH = st.builds(lambda fields, scope: READER.validate_python({"action": "stop", **fields, **scope}),
                 st.sampled_from(RULES), st.sampled_from(SCOPES))  # fmt: skip


def rows_of(values: list[float]) -> list[Row]:
    return [Row("validation", n, n * 10, float(n), n * 60.0, {"m": value}) for n, value in enumerate(values, 1)]


@given(HISTORIES, EACH)
def test_a_rule_fires_exactly_where_no_room_is_left_and_there_was_some_before(values: list[float], rule: Rule) -> None:
    before = False
    for moment in judge_all([rule], rows_of(values), baselines={"old": {"m": 1.0}}):
        (found,) = moment.seen
        holds = found is not None and found.fires
        assert bool(moment.verdicts) == (holds and not before)
        if found is not None and holds and (found.idle or not math.isnan(found.value)):
            assert not found.room > 0
        before = holds


@given(HISTORIES, EACH)
def test_nan_never_passes_a_threshold(values: list[float], rule: Rule) -> None:
    found = rule.observe_newest(RuleHistory(rows_of([*values, NAN]), baselines={"old": {"m": 1.0}}))
    late = rule.not_before is not None and len(values) + 1 < 3
    if found is not None and found.idle is None and not late:  # those that count validations have their own test
        assert found.fires


@given(HISTORIES, EACH, st.integers(0, 8))
def test_a_row_that_comes_again_is_judged_as_it_was(values: list[float], rule: Rule, again: int) -> None:
    """What a resume does: the last row is written again, the rest is taken up from the file."""
    rows = rows_of(values)[: again + 1]
    once, twice = RuleHistory(rows), RuleHistory(rows)
    twice.add(rows[-1])
    assert repr(rule.observe_newest(once)) == repr(rule.observe_newest(twice))  # as text: NaN equals nothing
    assert repr(judge([rule], once)) == repr(judge([rule], twice))


def test_the_gravest_verdict_comes_first(rule: Make, validations: Make) -> None:
    actions = ["warn", "restart", "stop", "investigate", "stop"]
    rules = [rule(**ALWAYS, action=action) for action in actions]
    verdicts = judge(rules, RuleHistory(validations(1.0)))
    assert [(verdict.action, verdict.rule) for verdict in verdicts] == [
        ("stop", 2), ("stop", 4), ("investigate", 3), ("restart", 1), ("warn", 0),
    ]  # fmt: skip


def test_the_epochs_of_a_training_metric_are_counted_by_validations_not_by_log_points() -> None:
    rule = TypeAdapter(KillRule).validate_python(
        {"metric": "loss/total", "not_decreasing_for": "2 epochs", "action": "stop"}
    )
    rows = [
        row
        for epoch in (1, 2, 3)
        for row in (
            Row("train", epoch, epoch * 2 - 1, epoch - 0.5, None, {"loss/total": 1.0}),
            Row("validation", epoch, epoch * 2, float(epoch), None, {"val_loss": 1.0}, {"loss/total": 1.0}),
        )
    ]
    fired = [verdict.step for moment in judge_all([rule], rows) for verdict in moment.verdicts]
    assert fired == [6]

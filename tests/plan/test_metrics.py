from __future__ import annotations

from pathlib import Path

from cardrunner import registry
from cardrunner.card.load import load_card
from cardrunner.plan.data import planned_metrics, planned_rules

ROOT = Path(__file__).parents[2]
POLICY = load_card(ROOT / "runcards" / "policy-22k.yaml", registry.workload_spec)
FULL = load_card(ROOT / "tests" / "cards" / "valid" / "everything.yaml", registry.workload_spec)


def test_every_alias_stands_under_the_name_that_is_computed() -> None:
    metrics = {metric.name: metric for metric in planned_metrics(POLICY)}
    assert list(metrics) == ["val_loss/total", "val_metric/stick_mae", "val_metric/button_pressed_acc"]
    stick = metrics["val_metric/stick_mae"]
    assert (stick.computed, stick.direction, {use.written for use in stick.uses}) == (True, "min", {"val_stick_mae"})
    assert [(use.where, use.role, use.condition) for use in stick.uses] == [
        ("targets[0]", "target", "< 0.015"),
        ("kill_thresholds[1]", "kill threshold", "> 0.03 after epoch 1: investigate"),
        ("baselines[0].metrics", "baseline", "policy-p0-test 0.037"),
        ("baselines[1].metrics", "baseline", "policy-imitation-4k 0.02"),
    ]


def test_a_metric_that_people_read_is_told_apart() -> None:
    metrics = {metric.name: metric for metric in planned_metrics(FULL)}
    looks = metrics["looks_human"]
    assert (looks.computed, looks.direction, looks.unit) == (False, "max", "1 to 5")


def test_rules_say_condition_action_and_what_they_set() -> None:
    rules = list(planned_rules(POLICY.card))
    assert (rules[0].condition, rules[0].action) == ("val_loss/total not decreasing for 2 epochs", "stop")
    assert (rules[3].condition, rules[3].set) == ("out of memory", {"training.batch_size": 512})

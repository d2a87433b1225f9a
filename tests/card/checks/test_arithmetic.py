# ruff: noqa: E501 - one row of a table is one line
from __future__ import annotations

from collections.abc import Callable

import pytest

from cardrunner.card.load import LoadedCard
from cardrunner.errors import CardError

Edit = Callable[..., LoadedCard]
Change = tuple[str, str]
SHIPPED = {
    "timing.budget: $7.50 is counted as GPU time alone; about $11.41 is billed by then, CPU and memory included",
    "infra.timeout: 12h covers 1x and 3x; 5x takes 12.7h: it would need a resume, which the 3 retries do from the last checkpoint",
    "kill_thresholds[1].above: 0.03 is tighter than policy-p0-test, which has 0.037: that run would not pass",
}


def said(edited: Edit, *changes: Change) -> set[str]:
    """What is said of the changed card beyond what is said of the shipped one."""
    try:
        faults = edited(*changes).warnings
    except CardError as error:
        faults = error.faults  # type: ignore[assignment]
    lines = {f"{'' if fault.severity == 'error' else 'warning: '}{fault.path}: {fault.message}" for fault in faults}
    return lines - {f"warning: {line}" for line in SHIPPED}


def test_the_shipped_card_has_the_warnings_it_should_have(policy_card: LoadedCard) -> None:
    assert {f"{fault.path}: {fault.message}" for fault in policy_card.warnings} == SHIPPED


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("parameters: 1153781", "parameters: 1153780", "model.parameters: states 1153780 parameters, but PolicyMLP with context_len 10 x 196 inputs, hidden_dim 512, trunk_dim 256 = 1153781 parameters"),
        ("games: 22000\n", "games: 21000\n", "data.train_examples: states 185648963 examples, but 206754081 frames - 21000 games x 10 - 20885118 val_examples = 185658963 examples"),
        ("log_every: 1000 steps", "log_every: 10000 steps", "warning: training.log_every: every 10000 steps is a line every 8.27 min at 5x, more than 5 min; log more often"),
        ("log_every: 1000 steps", "log_every: 1 epoch", "warning: training.log_every: every 1 epoch is a line every 2.5h at 5x, more than 5 min; log more often"),
        ("budget: $7.50", "budget: $5", "warning: timing.budget: $5.00 ends the run before 5x, which costs $7.47"),
        ("total: [2.5h, 7.5h, 12.5h]", "total: [2.5h, 7.5h, 15h]", "timing.stated.total[2]: states 15h at 5x, but 12.5h of training + 10 min of loading = 12.7h"),
        ("training: [2.5h, 7.5h, 12.5h]", "training: [3h, 7.5h, 12.5h]", "timing.stated.training[0]: states 3h at 1x, but 5 epochs x 30 min = 2.5h"),
        ("batch_size: 1024", "batch_size: 999999999", "training.batch_size: 999999999 is more than the 185648963 training examples; no batch is left"),
        ("mode: min", "mode: max", "warning: training.select.mode: is max, but val_loss/total is better when smaller: best would be the worst"),
        ("below: 0.015", "below: 0.025", "warning: targets[0].below: asks for val_stick_mae < 0.025, which policy-imitation-4k has already with 0.02"),
        ("below: 0.015", "above: 0.015", 'warning: targets[0].above: val_stick_mae is better when smaller; did you mean "below"?'),
        ("after: 1 epoch\n    baseline", "after: 6 epochs\n    baseline", "warning: kill_thresholds[1].after: never fires: the run has 5 epochs"),
        ("kill_thresholds:\n", "kill_thresholds:\n  - {metric: cost, above: $7.50, action: warn}\n", "warning: kill_thresholds[0].above: never fires: the run ends at the budget of $7.50"),
        ("kill_thresholds:\n", "kill_thresholds:\n  - {metric: wall_time, above: 48h, action: warn}\n", "warning: kill_thresholds[0].above: never fires: 4 attempts of at most 12h, and only a resume adds to that"),
        ("kill_thresholds:\n", "kill_thresholds:\n  - {metric: wall_time, above: 0s, action: warn}\n", "warning: kill_thresholds[0].above: fires at once: every value is beyond that"),
        ("kill_thresholds:\n", "kill_thresholds:\n  - {metric: data_wait, above: 100%, action: warn}\n", "warning: kill_thresholds[0].above: never fires: it is a share, from 0% to 100%"),
        ("kill_thresholds:\n", "kill_thresholds:\n  - {metric: val_button_pressed_acc, below: 110%, action: warn}\n", "kill_thresholds[0].below: is 1.1, but val_button_pressed_acc is a share, from 0% to 100%"),
        ("kill_thresholds:\n", "kill_thresholds:\n  - {metric: cost, below: $9, action: warn}\n", "warning: kill_thresholds[0].below: fires at once: every value is beyond that"),
        ("kill_thresholds:\n", "kill_thresholds:\n  - {metric: val_button_pressed_acc, below: 0%, action: warn}\n", "warning: kill_thresholds[0].below: never fires: it is a share, from 0% to 100%"),
        ("not_decreasing_for: 2 epochs", "not_decreasing_for: 5 epochs", "warning: kill_thresholds[0].not_decreasing_for: never fires: it needs 6 epochs and the run has 5"),
        ("above: 0.030\n    after: 1 epoch\n    baseline: policy-p0-test", "above: 0.014\n    after: 1 epoch", None),
        ("    action: investigate\n    why: regression from baseline", "    action: investigate\n    set: {training.epochs: 3}", "kill_thresholds[2].set: is only for action: restart, and this is investigate"),
        ("run: policy-imitation-4k", "run: policy-p0-test", "baselines[1].run: policy-p0-test is listed twice"),
        ("fallbacks:", "metrics:\n  - {name: stick_mae, direction: min, unit: u}\nfallbacks:", "metrics[0].name: stick_mae is computed by melee-policy; leave it out here"),
        ("fallbacks:", "readings:\n  - {if: it rises, then: stop}\n  - {if: It rises, then: go on}\nfallbacks:", "readings[1].if: the same result is read differently in readings[0]"),
    ],
)  # fmt: skip
def test_numbers_and_names_that_disagree(edited: Edit, old: str, new: str, line: str | None) -> None:
    found = said(edited, (old, new))
    assert line in found if line else found == set()


@pytest.mark.parametrize(
    "change",
    [
        ("74.4 GB", "74.43 GB"),
        ("total: [2.5h, 7.5h, 12.5h]", "total: [2.4h, 7.9h, 13h]"),
        ("log_every: 1000 steps", "log_every: 5 min"),
        ("val_stick_mae: 0.020", "stick_mae: 0.020"),
        ("  data_load_measured: 90s\n", ""),
        ("  train_examples: 185648963\n", ""),
    ],
)
def test_roundings_aliases_and_gaps_are_let_pass(edited: Edit, change: Change) -> None:
    assert said(edited, change) == set()


def test_a_timeout_leaves_time(toy_card: Callable[..., LoadedCard]) -> None:
    with pytest.raises(CardError, match=r"infra\.timeout: 0s ends every attempt at once; say how long one may take"):
        toy_card({"infra.timeout": "0s"})


def test_a_budget_needs_a_price(edited: Edit) -> None:
    found = said(edited, ("  price: $0.59/h\n", ""))
    assert "timing.budget: cannot be kept without infra.price; state the price per hour" in found
    assert "warning: timing.stated.cost: cannot be checked: infra.price is missing" in found


def test_a_section_with_a_fault_leaves_the_other_checks_running(edited: Edit) -> None:
    found = said(
        edited,
        ("parameters: 1153781", "parameters: 1"),
        ("max_frames: 20000", "max_frames: many"),
        ("epochs: 5\n", "epochs: five\n"),
    )
    assert {line.partition(":")[0] for line in found} == {
        "model.parameters",
        "after_training.demo.max_frames",
        "training.epochs",
    }


def test_a_restart_changes_the_card_as_it_says(edited: Edit, policy_card: LoadedCard) -> None:
    changed = policy_card.changed({"training.batch_size": 512, "training.select.mode": "max", "infra.timeout": "6h"})
    assert (changed.training.batch_size, changed.training.select.mode, changed.infra.timeout) == (512, "max", 21600)
    assert changed.training.epochs == policy_card.card.training.epochs

"""Patterns are guessed from lines with numbers."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given, settings, strategies as st

from cardrunner.workloads.command.reports.patterns import pattern_fault
from cardrunner.workloads.command.reports.values import number, step_number
from cardrunner.workloads.command.trying.guessing import Guesser, pattern_of

LINES = [
    ("step 100: train loss 1.23, val loss 1.5", 100, {"train_loss": 1.23, "val_loss": 1.5}),
    ("iter 10: loss 0.1, time 3ms, mfu 5.12%", 10, {"loss": 0.1}),
    ("{'loss': '0.69', 'grad_norm': 1.2, 'epoch': 3}", 3, {"loss": 0.69}),
    ("[5]\ttrain-mlogloss:0.1\tval-merror:0.2", 5, {"train_mlogloss": 0.1, "val_merror": 0.2}),
    ("epoch 3 | loss=0.5", 3, {"loss": 0.5}),
    ("Epoch [3/10], Step [100/938], Loss: 0.5123", 100, {"Loss": 0.5123}),
    ("2026-01-01 10:00:00,123 INFO step=5 loss=0.25 acc=91.2%", 5, {"loss": 0.25, "acc": 91.2}),
    ("Validation: epoch 3 loss 0.31 acc 0.9", 3, {"val_loss": 0.31, "val_acc": 0.9}),
    ("Epoch 3: train_loss 0.4 val_acc 0.87 (12.3s)", 3, {"train_loss": 0.4, "val_acc": 0.87}),
    ("| epoch   3 |   200/ 2928 batches | lr 20.00 | loss  5.1 | ppl   164.2", 3, {"loss": 5.1, "ppl": 164.2}),
    ("step:5/100 train_loss:10.8 train_time:12ms", 5, {"train_loss": 10.8}),
    ("Step 10, Minibatch Loss= 1.8, Training Accuracy= 0.31", 10, {"Minibatch_Loss": 1.8, "Training_Accuracy": 0.31}),
    ("Train Epoch: 1 [640/60000 (1%)]\tLoss: 2.29", 1, {"Loss": 2.29}),
    ("loss 0.5 at step 30", 30, {"loss": 0.5}),
    ("iter 7: loss 1e-05", 7, {"loss": 1e-05}),
    ("iter 7 widgets 3.5", 7, {"widgets": 3.5}),
]
NO_ROWS = [
    "",
    "loading 12 files",
    "number of parameters: 10.65M",
    "{'loss': '0.69', 'epoch': 0.1}",
    "100%|####| 16/200 [00:05<00:05, 92.6it/s, loss=0.5]",
    "Epoch 1/5",
    "step 5 took 3ms",
]


@pytest.mark.parametrize(("line", "step", "values"), LINES)
def test_a_line_gives_a_pattern_that_reads_it(line: str, step: int, values: dict[str, float]) -> None:
    found = pattern_of(line)
    assert found is not None
    assert (found.step, found.values) == (step, values)
    assert pattern_fault(found.pattern) is None


@pytest.mark.parametrize("line", NO_ROWS)
def test_a_line_without_a_step_or_a_value_gives_none(line: str) -> None:
    assert pattern_of(line) is None


def test_a_value_that_is_no_number_is_one_by_the_same_pattern() -> None:
    found = pattern_of("iter 7: loss nan")
    assert found is not None
    assert math.isnan(found.values["loss"])


def test_lines_that_differ_in_their_numbers_have_one_pattern() -> None:
    guesser = Guesser()
    for step in range(0, 2_000, 100):
        guesser.line(f"iter {step}: loss {5 - step / 1_000:.4f}, time {step % 7}.2ms", float(step))
    assert [(shape.count, shape.names) for shape in guesser.best()] == [(20, ("loss",))]


def test_a_pattern_of_one_line_reads_the_others_as_they_are_padded() -> None:
    guesser = Guesser()
    for step in (1, 10, 100, 1_000):
        guesser.line(f"step {step:>5} | loss: {step / 3:>9.3f}", 0.0)
    assert len(guesser.shapes) == 1


def test_a_step_that_never_changes_gives_way_to_the_epoch() -> None:
    guesser = Guesser()
    for epoch in range(4):
        guesser.line(f"[GPU0] Epoch {epoch} | Batchsize: 32 | Steps: 64 | loss 0.{epoch}1", 0.0)
    (shape,) = guesser.best()
    found = re.search(shape.pattern, "[GPU0] Epoch 9 | Batchsize: 32 | Steps: 64 | loss 0.41")
    assert found is not None
    assert found.groupdict() == {"epoch": "9", "loss": "0.41"}
    assert pattern_fault(shape.pattern) is None


def test_only_the_first_of_a_group_of_processes_counts() -> None:
    guesser = Guesser()
    for epoch in range(4):
        for rank in (1, 0):
            guesser.line(f"[GPU{rank}] Epoch {epoch} | Batchsize: 32 | Steps: 64 | Loss: 0.{epoch}1", 0.0)
    guesser.line("[GPU0] Epoch 4 | Loss: 0.1[GPU1] Epoch 4 | Loss: 0.2", 0.0)
    (shape,) = guesser.best()
    assert (shape.names, guesser.uncounted.count) == (("Loss",), 0)
    assert shape.pattern.startswith(r"\[GPU0\] Epoch")
    assert re.search(shape.pattern, "[GPU1] Epoch 9 | Batchsize: 32 | Steps: 64 | Loss: 0.41") is None


def test_a_step_that_begins_anew_in_each_epoch_gives_way_to_the_epoch() -> None:
    guesser = Guesser()
    lines = [f"Epoch {epoch} step {step}: loss 0.5" for epoch in (1, 2) for step in (10, 20, 30)]
    steps = [reading.step for line in lines if (reading := guesser.line(line, 0.0)) is not None]
    assert steps == [10, 20, 30, 2, 2, 2]
    again = Guesser(by_epochs=guesser.by_epochs)
    reading = again.line("Epoch 2 step 10: loss 0.5", 0.0)
    assert reading is not None
    assert reading.step == 2


def test_values_without_a_step_are_counted_with_an_example() -> None:
    guesser = Guesser()
    for _ in range(3):
        guesser.line("{'loss': '0.69', 'epoch': 0.1}", 0.0)
    assert (guesser.uncounted.count, guesser.uncounted.example) == (3, "{'loss': '0.69', 'epoch': 0.1}")


def test_a_flood_is_looked_at_within_a_bound() -> None:
    guesser = Guesser()
    for step in range(5_000):
        guesser.line(f"iter {step}: loss 0.1", 3.5)
    assert guesser.left_out == 3_000
    assert sum(shape.count for shape in guesser.shapes.values()) == 2_000


COUNTERS = st.sampled_from(["step", "iter", "Iteration", "global_step", "epoch", "Step"])
NAMES = st.sampled_from(["loss", "val_loss", "train loss", "acc", "eval/loss", "val-error", "test accuracy", "f1"])
VALUES = st.one_of(
    st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: f"{value:.4g}"),
    st.sampled_from(["nan", "inf", "0", "1e-05"]),
)
JOINS = st.sampled_from([" ", ": ", "=", " = ", ":"])
BETWEEN = st.sampled_from([", ", " | ", "\t", " - ", "; "])


@given(COUNTERS, st.integers(0, 10**9), st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=4), JOINS, BETWEEN)
def test_lines_as_people_print_them_are_read(
    counter: str, step: int, values: list[tuple[str, str]], join: str, between: str
) -> None:
    line = between.join([f"{counter} {step}", *(f"{name}{join}{value}" for name, value in values)])
    found = pattern_of(line)
    assert found is not None, line
    assert pattern_fault(found.pattern) is None
    assert found.step == step
    assert list(map(str, found.values.values())) == [str(number(value)) for _, value in values]


@settings(deadline=None, max_examples=100)
@given(st.one_of(st.text(max_size=200), st.from_regex(r"(?:[a-z ]{1,8}[:= \[/']{1,2}\d{1,4}\.?\d{0,3}[,\]%s ]?){1,6}")))
def test_whatever_is_printed_a_guess_reads_its_own_line_or_is_not_made(line: str) -> None:
    found = pattern_of(line)
    if found is not None:
        match = re.search(found.pattern, line)
        assert match is not None
        assert step_number(match["step"]) == found.step
        assert pattern_fault(found.pattern) is None


@pytest.mark.parametrize(
    ("line", "later", "groups"),
    [
        ("epoch 3/30 | train rmse 0.83", "epoch 12/30 | train rmse 0.5", {"epoch": "12", "train_rmse": "0.5"}),
        ("Ep: 3 loss 0.5", "Ep: 4 loss 0.4", {"epoch": "4", "loss": "0.4"}),
        (
            "Epoch [3/10], Step [100/938], Loss: 0.51",
            "Epoch [4/10], Step [200/938], Loss: 0.4",
            {"epoch": "4", "step": "200", "Loss": "0.4"},
        ),
        (
            "step 100 epoch 0.5 loss 0.3",
            "step 200 epoch 1.25 loss 0.2",
            {"step": "200", "epoch": "1.25", "loss": "0.2"},
        ),
    ],
)
def test_a_number_after_the_word_epoch_is_an_epoch(line: str, later: str, groups: dict[str, str]) -> None:
    found = pattern_of(line)
    assert found is not None
    match = re.search(found.pattern, later)
    assert match is not None
    assert match.groupdict() == groups

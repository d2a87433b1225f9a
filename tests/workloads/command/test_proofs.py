"""What a card asks for to prove a script's word: facts, patterns without a step, and their faults."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from pydantic import ValidationError

from cardrunner import registry
from cardrunner.card.digest import signed_content
from cardrunner.card.load import load_card
from cardrunner.workloads.command.evaluating import _Values
from cardrunner.workloads.command.proof_sections import CommandDemo, EvaluateSection, StatedFact
from cardrunner.workloads.command.sections import ReportedMetric
from cardrunner.workloads.command.spec import training_of
from cardrunner.workloads.command.stated import StatedFacts
from tests.workloads.command.test_card import faults, read

BEFORE = "33c0e6d0bc250eac8905f8787b6a74f696e1e089cc6bdbbf1dedc732958320aa"
"""The digest of the card beside this file when the format had no such fields."""


@pytest.mark.parametrize(
    ("stated", "tolerance", "said", "holds"),
    [
        (108224, 0, 108224, True),
        (108224, 0, 108224.0, True),
        (108224, 0, 108225, False),
        (65, 2, 67, True),
        (65, 2, 67.5, False),
        (1, 0, True, False),
        (True, 0, True, True),
        (True, 0, 1, False),
        ("nanoGPT", 0, "nanoGPT", True),
        ("nanoGPT", 0, None, False),
        (1.0, 5, math.nan, False),
        (1.0, 5, math.inf, False),
        (3, 0, [3], False),
    ],
)
def test_a_fact_holds_within_its_tolerance_and_a_value_of_another_kind_never(
    stated: float | str, tolerance: float, said: object, holds: bool
) -> None:
    assert StatedFact(value=stated, tolerance=tolerance).holds(said) is holds


@given(st.integers(-(2**53) + 1, 2**53 - 1) | st.text("abc 1.", min_size=1, max_size=20).filter(str.strip))
def test_what_is_said_as_it_is_stated_always_holds(value: int | str) -> None:
    stated = StatedFact(value=value)
    assert stated.holds(stated.value)


def test_a_difference_names_expected_and_actual_and_hides_nothing_else() -> None:
    facts = StatedFacts.of(read().card)
    fault = facts.fault({"parameters": 108225, "vocabulary": 66})
    assert str(fault) == "the script does not match the card: fact parameters is 108225, expected 108224"
    assert facts.fault({"parameters": 108224}) is None


def test_the_parameters_of_the_model_are_compared_and_never_missed() -> None:
    card = read(("facts: {parameters: 108224, vocabulary: {value: 65, tolerance: 2}}", "facts: {vocabulary: 65}")).card
    facts = StatedFacts.of(card)
    assert facts.fault({"parameters": 5}) is not None
    said = facts.missing({}, trains=True, ended=True)
    assert said is not None
    assert "vocabulary" in said
    assert "parameters" not in said


def test_a_fact_is_due_at_the_end_and_not_at_the_first_row() -> None:
    facts = StatedFacts.of(read().card)
    assert facts.missing({}, trains=True) is None
    assert facts.missing({}, trains=False, ended=True) is not None
    assert facts.missing({"parameters": 1, "vocabulary": 2}, trains=True, ended=True) is None


def test_facts_that_the_card_does_not_state_are_shown_after_the_others() -> None:
    rows = StatedFacts.of(read().card).rows({"seed": 7, "parameters": 108224})
    assert [(row.name, row.expected, row.actual, row.ok) for row in rows] == [
        ("fact parameters", "108224", "108224", True),
        ("fact vocabulary", "65 ± 2", "not said", False),
        ("fact seed", None, "7", True),
    ]


def test_a_pattern_of_the_evaluation_needs_no_step_and_the_last_value_counts() -> None:
    section = EvaluateSection(command=("python", "e.py"), stdout=(r"val_loss (?P<val_loss>\S+)",))
    values = _Values(tuple((re.compile(text), 1000) for text in section.stdout))
    for line in ("val_loss 0.5", "nothing", "val_loss 0.25,", "val_loss soon"):
        values.line(line)
    metric = ReportedMetric(name="val_loss", read=("val/loss",), direction="min")
    assert values.of(metric) == 0.25


@pytest.mark.parametrize("pattern", ["val_loss", "(?P<step>\\d+)", "(a+)+(?P<loss>x)", "(?P<loss>"])
def test_a_pattern_that_can_give_no_value_is_a_fault(pattern: str) -> None:
    with pytest.raises(ValidationError):
        EvaluateSection(command=("python", "e.py"), stdout=(pattern,))


def test_the_metric_of_the_choice_is_measured_unless_others_are_named() -> None:
    training = training_of(read(("    metrics: [val_loss, val_acc]\n", "")).card)
    assert [metric.key for metric in training.evaluated] == ["val_loss"]
    assert [metric.key for metric in training_of(read().card).evaluated] == ["val_loss", "val_acc"]


def test_a_command_line_may_stand_alone() -> None:
    short = read(('{command: [python, preflight.py, --room, "{out}"], timeout: 4 min}', "[python, preflight.py]"))
    preflight = training_of(short.card).preflight
    assert preflight is not None
    assert (preflight.command, preflight.timeout) == (("python", "preflight.py"), 600)


def test_an_unknown_name_in_a_command_beside_the_training_has_a_place() -> None:
    said = faults(('evaluate.py, "{checkpoint}"', 'evaluate.py, "{chekpoint}"'))
    assert "training.evaluate.command[2]: {chekpoint} is neither" in said
    said = faults(('"{out}"], timeout: 13', '"{outt}"], timeout: 13'))
    assert "after_training.demo.command[3]: {outt} is neither" in said
    said = faults(('--room, "{out}"', '--room, "{checkpoint}"'))
    assert "{checkpoint} stands for something only in resume, evaluate and demo" in said


def test_a_card_without_any_of_it_keeps_its_digest() -> None:
    loaded = load_card(Path(__file__).with_name("before.yaml"), registry.workload_spec)
    assert not {"facts", "preflight", "evaluate"} & signed_content(loaded.card)["training"].keys()
    assert loaded.digest == BEFORE


def test_the_demo_of_a_script_is_a_command() -> None:
    demo = read().card.after_training.demo
    assert isinstance(demo, CommandDemo)
    assert demo.sentence == "python show.py '{checkpoint}' '{out}'"

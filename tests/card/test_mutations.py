"""Hundreds of mutated cards, a thousand in `nox -s mutations`, thousands in `nox -s long`.

`python -m benchmarks.mutated_cards` tries 100,000.
"""

from __future__ import annotations

import statistics

import pytest
import yaml12

from benchmarks import small_documents
from benchmarks.card_mutations import OTHER, SAME
from benchmarks.mutated_cards import MAX_LIMIT, MEDIAN_LIMIT, make_case, run, seeds
from cardrunner.card.reading.reader import read_document
from cardrunner.errors import CardError

COUNTS = [
    250,
    pytest.param(1000, marks=pytest.mark.mutations),
    pytest.param(4000, marks=[pytest.mark.mutations, pytest.mark.long]),
]


@pytest.mark.parametrize("count", COUNTS)
def test_no_mutated_card_breaks_the_reader_or_is_read_otherwise_by_others(count: int) -> None:
    tally = run(1, count)
    assert tally.problems == []
    assert set(tally.controls) == {*SAME, *OTHER}
    assert tally.accepted > count / 20
    assert tally.refused > count / 2
    assert statistics.median(tally.seconds) < MEDIAN_LIMIT
    assert max(tally.seconds) < MAX_LIMIT


def test_small_yaml_in_any_layout_is_read_as_others_read_it() -> None:
    tally = small_documents.run(1, 4000)
    assert tally.problems == []
    assert tally.accepted > 1000


def test_a_card_of_the_harness_is_the_same_every_time() -> None:
    assert [make_case(3, number).data for number in range(40)] == [make_case(3, number).data for number in range(40)]
    assert len({make_case(3, number).seed.name for number in range(40)}) == len(seeds())


@pytest.mark.parametrize(
    ("refused", "control"),
    [
        ("a: 1\na: 2", "a: 1\nb: 2"),
        ("a: &x 1\nb: *x", "a: '&x 1'\nb: '*x'"),
        ("a: {b: 1}\n<<: {c: 2}", "a: {b: 1}\n'<<': {c: 2}"),
        ("a: !!str 1", "a: '!!str 1'"),
        ("%YAML 1.2\n---\na: 1", "---\na: 1"),
        ("a: 1\n---\nb: 2", "a: 1\n# ---\nb: 2"),
        ("1: a", "'1': a"),
        ("[a]: b", "'[a]': b"),
        ("a: .inf", "a: '.inf'"),
        ("a: .nan", "a: nan"),
        ("a: 010", "a: 0o10"),
        ("a: 9007199254740993", "a: 9007199254740991"),
        ("a: 1e-400", "a: 1e-300"),
        ("a: 22_000", "a: 22000"),
        ('a: "\\u202e"', 'a: "\\u00e9"'),
        ("a: x\u200by", "a: می‌خواهم"),
        ("a: e\u0301", "a: \u00e9"),
        ("a: 1\rb: 2", "a: 1\r\nb: 2"),
        ("a: x\u2028y", "a: x y"),
        ("a: [1,\t2]", "a: [1, 2] # \t"),
        ("a: " + "[" * 33 + "]" * 33, "a: " + "[" * 30 + "]" * 30),
        ("a: '" + "x" * 66_000 + "'", "a: '" + "x" * 65_000 + "'"),
        ("a: [" + "1, " * 10_001 + "]", "a: [" + "1, " * 9_000 + "]"),
    ],
)
def test_what_is_refused_on_purpose_has_a_neighbour_that_both_read_alike(refused: str, control: str) -> None:
    yaml12.parse_yaml(refused)  # the other parser takes both
    with pytest.raises(CardError):
        read_document(refused.encode(), file="card.yaml")
    theirs = repr(yaml12.parse_yaml(control))
    assert repr(read_document(control.encode(), file="card.yaml").value()).replace("(", "[").replace(",)", "]").replace(
        ")", "]"
    ) == theirs.replace("(", "[").replace(")", "]")

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given, strategies as st

from cardrunner import registry
from cardrunner.card.digest import card_digest, content_changes, signed_content
from cardrunner.card.load import LoadedCard, load_card, load_card_bytes
from tests.examples import examples

Edit = Callable[..., LoadedCard]

VALID = Path(__file__).parents[1] / "cards" / "valid"
SAME = (
    "policy-22k-short",
    "windows-line-ends",
    "byte-order-mark",
    "keys-in-another-order",
    "same-content-written-otherwise",
)
SHORT_DIGEST = "81122049e96f8fdbef4a9d6627ae29798fea4822b45dacb50d0dd14a91b9d657"


def digest_of(name: str) -> str:
    return load_card(VALID / f"{name}.yaml", registry.workload_spec).digest


def test_the_digest_of_a_card_never_changes() -> None:
    """Signed cards stay signed: if this fails, a default or a field of `card: 1` was changed."""
    assert digest_of("policy-22k-short") == SHORT_DIGEST


@pytest.mark.parametrize("name", SAME)
def test_the_digest_is_of_the_content_not_of_its_writing(name: str) -> None:
    assert digest_of(name) == SHORT_DIGEST


def test_signatures_and_check_marks_are_not_part_of_it(edited: Edit, policy_card: LoadedCard) -> None:
    signature = "{digest: " + "a" * 64 + ", verdict: block, at: 2026-02-27T09:00:00Z, note: no, conditions: [wait]}"
    signed = edited(("name: Scav, signed: null", f"name: Scav, signed: {signature}"))
    ticked = edited(
        (
            "  - item: Perspective swap in PolicyAgent\n",
            "  - item: Perspective swap in PolicyAgent\n    by: scav\n    evidence: seen\n    at: now\n",
        )
    )
    assert signed.digest == ticked.digest == policy_card.digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("id: mattie, name: Mattie", "id: marta, name: Mattie"),
        ("id: mattie, name: Mattie", "id: mattie, name: Mattie, required: false"),
        ("\n    - {id: mattie, name: Mattie, signed: null}", ""),
        ("policy: digest", "policy: boxes"),
        ("created: 2026-02-26", "created: 2026-02-27"),
        ("weight_decay: 1e-5", "weight_decay: 1e-4"),
        ("Diminishing returns expected", "Diminishing returns expected!"),
        ("check: [python, -m, pytest, -q, tests/workloads/melee]", "check: [\"true\"]"),
        ("budget: $7.50", "budget: $7.51"),
    ],
)  # fmt: skip
def test_everything_else_is_part_of_it(edited: Edit, policy_card: LoadedCard, old: str, new: str) -> None:
    with_change = edited((old, new))
    assert with_change.digest != policy_card.digest
    assert content_changes(signed_content(policy_card.card), signed_content(with_change.card))


def test_the_content_is_json_and_gives_the_card_back(full_card: LoadedCard) -> None:
    content = signed_content(full_card.card)
    assert json.loads(json.dumps(content)) == content
    assert "if" in content["readings"][0]


def test_a_default_that_is_written_out_changes_nothing(edited: Edit, policy_card: LoadedCard) -> None:
    assert edited(("  seed: 0\n", "  seed: 0\n  keep: 2\n  workers: 0\n")).digest == policy_card.digest


def test_a_field_that_came_later_counts_only_where_it_says_something(edited: Edit, policy_card: LoadedCard) -> None:
    silent = edited(("  seed: 0\n", "  seed: 0\n  processes: 1\n  keep_best: []\n"))
    assert silent.digest == policy_card.digest
    telling = edited(("  seed: 0\n", "  seed: 0\n  processes: 2\n"))
    lines = [str(change) for change in content_changes(signed_content(policy_card.card), signed_content(telling.card))]
    assert lines == ["training.processes: added 2"]


def test_extra_stages_are_signed_where_a_card_lists_some(edited: Edit, policy_card: LoadedCard) -> None:
    silent = edited(("goal: >\n", "extra_stages: []\ngoal: >\n"))
    assert silent.digest == policy_card.digest
    telling = edited(("goal: >\n", "extra_stages: [archive]\ngoal: >\n"))
    lines = [str(change) for change in content_changes(signed_content(policy_card.card), signed_content(telling.card))]
    assert lines == ['extra_stages: added ["archive"]']


def test_changes_read_as_one_line_each(edited: Edit, policy_card: LoadedCard) -> None:
    other = edited(
        ("budget: $7.50", "budget: $10"),
        ("goal: >\n", "author: ana\ngoal: >\n"),
        ("tags: [policy, imitation]", "tags: [policy]"),
    )
    lines = [str(change) for change in content_changes(signed_content(policy_card.card), signed_content(other.card))]
    assert lines == [
        'author: null → "ana"',
        'infra.tracking.wandb.tags[1]: removed "imitation"',
        "timing.budget: 7.5 → 10",
    ]


def test_a_change_does_nothing_to_the_terminal() -> None:
    (change,) = content_changes({"goal": "\x9b2J\u202e"}, {"goal": "x"})
    assert str(change) == 'goal: "\\x9b2J\\u202e" → "x"'


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-5, 5), st.sampled_from([0.5, 1.0, 2.5]), st.text("ab", max_size=2)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("ab", min_size=1, max_size=1), inner, max_size=2)
    ),
    max_leaves=8,
)


@examples(150)
@given(before=st.dictionaries(st.sampled_from("abc"), JSON), after=st.dictionaries(st.sampled_from("abc"), JSON))
def test_there_are_changes_exactly_when_the_canonical_json_differs(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    assert bool(content_changes(before, after)) == (rfc8785.dumps(before) != rfc8785.dumps(after))


def test_the_bytes_of_a_file_load_as_the_file_does(policy_card: LoadedCard) -> None:
    again = load_card_bytes(policy_card.data, file="card.yaml", resolve=registry.workload_spec)
    assert (again.card, again.digest) == (policy_card.card, policy_card.digest)
    assert card_digest(again.card) == again.digest

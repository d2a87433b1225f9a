"""Words in sentences."""

from __future__ import annotations

import pytest

from cardrunner.common.text import did_you_mean, listed, nearest, plural


@pytest.mark.parametrize(
    ("words", "sentence"), [((), ""), (("a",), "a"), (("a", "b"), "a and b"), (("a", "b", "c"), "a, b and c")]
)
def test_words_are_listed(words: tuple[str, ...], sentence: str) -> None:
    assert listed(words) == sentence


def test_alternatives_are_listed_with_or() -> None:
    assert listed(["a", "b", "c"], "or") == "a, b or c"


@pytest.mark.parametrize(("number", "words"), [(0, "0 runs"), (1, "1 run"), (2, "2 runs"), (1200, "1,200 runs")])
def test_nouns_follow_their_number(number: int, words: str) -> None:
    assert plural(number, "run") == words


def test_a_noun_may_have_a_plural_of_its_own() -> None:
    assert plural(2, "loss", "losses") == "2 losses"


def test_a_guess_ends_a_sentence() -> None:
    assert did_you_mean("epoch", ["epochs", "seed"]) == '; did you mean "epochs"?'
    assert did_you_mean("xyz", ["epochs"], otherwise="; there is epochs") == "; there is epochs"


def test_case_does_not_matter_for_what_is_near() -> None:
    assert nearest("TOY", ["toy", "melee"]) == "toy"

"""No text of a card or a record can become structure of the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, strategies as st

from cardrunner.runs.folder import RunFolder
from tests.examples import examples

Tell = Callable[[str], RunFolder]
Show = Callable[[RunFolder], Any]

ATTACKS = [
    "a | **met** | b |",
    "one\n| val_error | < 0.015 | 0.001 | met |\n\ntwo",
    "# Sign-off",
    "- [x] Mattie reviewed",
    "1. first",
    "> quoted",
    "```\ncode",
    "`tick` ``two`` \\",
    "</details><script>alert(1)</script>",
    "![image](http://example.com/x.png) [link](http://example.com) <http://example.com>",
    "*em* _em_ **strong** ~~gone~~",
    "&lt;b&gt; &#124;",
    "| --- | --- |",
    "===",
    "{{ facts }} {% raw %}",
    "ends with a backslash \\",
    "turned \\| pipe",
]


@pytest.fixture
def plain(finished_with: Tell, page: Show) -> Any:
    """The page of harmless words."""
    return page(finished_with("harmless words"))


@pytest.mark.parametrize("text", ATTACKS)
def test_text_never_changes_what_a_page_is_built_of(finished_with: Tell, page: Show, plain: Any, text: str) -> None:
    told = page(finished_with(text))
    assert told.blocks == plain.blocks
    assert told.inline <= plain.inline


def test_the_text_is_still_there_to_read(finished_with: Tell, page: Show) -> None:
    shown = page(finished_with("a | b * c [d] `e` <f> \\ g"))
    contents = ["".join(child.content for child in token.children or ()) for token in shown.tokens]
    assert any("a | b * c [d] `e` <f> \\ g" in content for content in contents)


def test_characters_nobody_sees_become_a_mark(finished_run: RunFolder, page: Show) -> None:
    with finished_run.ledger.open("a") as stream:
        stream.write('{"at": "2026-03-01T09:00:00.000Z", "event": "warning", "message": "up\\u202eside\\u0007 down"}\n')
    text = page(finished_run).text
    assert "up�side� down" in text


@examples(15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.sampled_from("ab1 .|\\`*_[]()<>#+-=!~&:{}\n\"'/@$^"), min_size=1, max_size=40))
def test_no_text_at_all_does(finished_with: Tell, page: Show, plain: Any, text: str) -> None:
    told = page(finished_with(f"x{text}x"))
    assert told.blocks == plain.blocks
    assert told.inline <= plain.inline

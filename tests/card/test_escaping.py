# ruff: noqa: E501 - one row of a table is one line
from __future__ import annotations

import pytest
from hypothesis import example, given, strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from cardrunner.card.markdown import Markdown, as_one_line, code, escape, paragraphs
from tests.examples import examples

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
NASTY = [
    "\\",
    "`",
    "*",
    "_",
    "[",
    "]",
    "(",
    ")",
    "<",
    ">",
    "|",
    "~",
    "&",
    "#",
    "-",
    "+",
    "=",
    "!",
    ":",
    "1.",
    "\n",
    " ",
    "a",
    "é",
    "[x]",
    "- [x] Mattie reviewed",
    "&lt;",
    "![i](u)",
    "<b>",
    "~~",
]
VALUES = st.one_of(st.text(max_size=30), st.lists(st.sampled_from(NASTY), max_size=12).map("".join))


def words(tokens: list[Token]) -> list[str]:
    """The text of every inline piece; anything but plain text fails the test."""
    found = []
    for token in tokens:
        if token.type != "inline":
            continue
        kinds = {child.type for child in token.children or ()}
        assert kinds <= {"text", "text_special"}, f"{token.content!r} became {kinds}"
        found.append("".join(child.content for child in token.children or ()))
    return found


@examples(300)
@given(VALUES)
@example("- [x] Mattie reviewed")
@example("1) one")
@example("a~b ~c~")
@example("&#91;x&#93;")
def test_a_value_reads_as_itself_in_a_table_cell(value: str) -> None:
    tokens = READER.parse(f"| a | b |\n|---|---|\n| {escape(value)} | end |\n")
    assert words(tokens) == ["a", "b", as_one_line(value), "end"]


@examples(300)
@given(VALUES.filter(as_one_line))
@example("===")
@example("---")
@example("# title #")
@example("[a]: http://example.org")
def test_a_value_reads_as_itself_in_a_list_a_heading_and_a_paragraph(value: str) -> None:
    shown = escape(value)
    tokens = READER.parse(f"- {shown}\n\n### {shown}\n\ntext\n\n{shown}\n\nend\n")
    assert words(tokens) == [as_one_line(value), as_one_line(value), "text", as_one_line(value), "end"]
    assert [token.type for token in tokens if token.nesting == 1] == [
        "bullet_list_open", "list_item_open", "paragraph_open", "heading_open", "paragraph_open", "paragraph_open", "paragraph_open",
    ]  # fmt: skip


@examples(200)
@given(VALUES)
def test_a_code_span_stays_in_its_cell(value: str) -> None:
    tokens = READER.parse(f"| a |\n|---|\n| {code(value)} |\n")
    inline = [token for token in tokens if token.type == "inline"]
    assert len(inline) == 2
    assert "".join(child.content for child in inline[1].children or ()).strip() == as_one_line(value)


@pytest.mark.parametrize(
    "plain",
    [
        "val_stick_mae",
        "~30 min",
        "ep ~26, 22K",
        "$1.50",
        "R&D",
        "< 0.015",
        "shinewave/melee-worldmodel",
        "c = a + b",
        "(90%)",
        "5.5x",
    ],
)
def test_ordinary_text_stays_as_it_is(plain: str) -> None:
    assert escape(plain) == plain


def test_what_cannot_be_seen_is_marked() -> None:
    assert escape("a\u202eb\u200bc") == "a\ufffdb\ufffdc"


def test_joiners_of_living_scripts_stay() -> None:
    assert escape("می\u200cخواهم") == "می\u200cخواهم"


def test_markdown_is_left_alone() -> None:
    assert escape(Markdown("| a |")) == "| a |"


def test_paragraphs_split_at_blank_lines() -> None:
    assert paragraphs("a\nb\n \n\nc\n") == ["a\nb", "c\n"]

from __future__ import annotations

import itertools
import math
import re
import unicodedata
from typing import Any

import pytest
from hypothesis import assume, given, strategies as st

from cardrunner.card.reading import characters
from cardrunner.card.reading.document import Loc
from cardrunner.card.reading.edit import Edit, Removal, edit_document
from cardrunner.card.reading.one_line import one_line
from cardrunner.card.reading.reader import read_document
from cardrunner.errors import CardError, UsageError
from tests.examples import examples


def edited(text: str, *edits: Edit | Removal) -> str:
    return edit_document(read_document(text.encode(), file="x.yaml"), edits).decode()


# ---------------------------------------------------------------- the layouts people write


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("r:\n  - {id: scav, signed: null}\n", "r:\n  - {id: scav, signed: {ok: true}}\n"),
        ("r:\n  - {id: scav, signed: }\n", "r:\n  - {id: scav, signed: {ok: true} }\n"),
        ("r:\n  - {id: scav, signed}\n", "r:\n  - {id: scav, signed: {ok: true}}\n"),
        ("r:\n  - {id: scav}\n", "r:\n  - {id: scav, signed: {ok: true}}\n"),
        ("r:\n  - { id: scav, }  # he\n", "r:\n  - { id: scav, signed: {ok: true}, }  # he\n"),
        ("r:\n  - {}\n", "r:\n  - {signed: {ok: true}}\n"),
        ("r: [{id: scav, 'signed': ~, x: 1}]", "r: [{id: scav, 'signed': {ok: true}, x: 1}]"),
        ('r:\n- "signed":   null   # not yet\n', 'r:\n- "signed":   {ok: true}   # not yet\n'),
        ("r:\n  - id: scav\n    signed:\n  - id: b\n", "r:\n  - id: scav\n    signed: {ok: true}\n  - id: b\n"),
        ("r:\n  - id: scav\n    signed:  # when?\n", "r:\n  - id: scav\n    signed: {ok: true}  # when?\n"),
        ("r:\n  - id: scav\n  # end", "r:\n  - id: scav\n    signed: {ok: true}\n  # end"),
        ("r:\n  - id: scav", "r:\n  - id: scav\n    signed: {ok: true}"),
        (
            "r:\r\n  - id: scav  # a\r\n\r\nz: 1\r\n",
            "r:\r\n  - id: scav  # a\r\n    signed: {ok: true}\r\n\r\nz: 1\r\n",
        ),
        ("r:\r\n  - id: scav", "r:\r\n  - id: scav\r\n    signed: {ok: true}"),
        (
            "r:\n  - id: scav\n    signed:  # old\n      ok: false # a\n      by: x\n    # note\n  - id: b\n",
            "r:\n  - id: scav\n    signed:  # old\n      {ok: true}\n    # note\n  - id: b\n",
        ),
        (
            "r:\n  - signed: {ok: false,\n      # why\n      by: x}\n    id: scav\n",
            "r:\n  - signed: {ok: true}\n    id: scav\n",
        ),
        ("r:\n  - signed: 'a\n\n      b'  # c\n", "r:\n  - signed: {ok: true}  # c\n"),
        ("r:\n  - signed: a\n      b\n    id: x\n", "r:\n  - signed: {ok: true}\n    id: x\n"),
        (
            "r:\n  - signed: |\n      a\n      b\n\n  # c\n  - id: x\n",
            "r:\n  - signed: {ok: true}\n\n  # c\n  - id: x\n",
        ),
        (
            "r:\n  - id: >-\n      a\n      b\n\nz: 1\n",
            "r:\n  - id: >-\n      a\n      b\n    signed: {ok: true}\n\nz: 1\n",
        ),
        ("r:\n  - id: |+\n      a\n\n\nz: 1\n", "r:\n  - id: |+\n      a\n\n\n    signed: {ok: true}\nz: 1\n"),
        ("\ufeffr:\n  - id: é日本👍\n", "\ufeffr:\n  - id: é日本👍\n    signed: {ok: true}\n"),
        ("r:\n- - id: a\n- id: b\n", None),
    ],
)
def test_setting_touches_only_its_own_value(before: str, after: str | None) -> None:
    if after is None:
        with pytest.raises(UsageError, match="the card has no such place"):
            edited(before, Edit(("r", 0, "signed"), {"ok": True}))
    else:
        assert edited(before, Edit(("r", 0, "signed"), {"ok": True})) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "c:\n  - item: a\n    done: true\n    by: me  # x\n  - item: b\n",
            "c:\n  - item: a\n    done: true\n  - item: b\n",
        ),
        ("c:\n  - item: a\n    by: me", "c:\n  - item: a"),
        ("c:\r\n  - item: a\r\n    by: me", "c:\r\n  - item: a"),
        ("c:\n  - item: a\n    by: |\n      me\n      too\n\n  # x\n", "c:\n  - item: a\n\n  # x\n"),
        ("c: [{item: a, by: me, at: now}]\n", "c: [{item: a, at: now}]\n"),
        ("c: [{item: a, by: me}]\n", "c: [{item: a}]\n"),
        ("c: [{by: me, at: now}]\n", "c: [{at: now}]\n"),
        ("c: [{by: me}]\n", "c: [{}]\n"),
        ("c:\n  - {item: a,  # x\n     by: me,\n     at: now}\n", "c:\n  - {item: a,  # x\n     \n     at: now}\n"),
        ("c:\n  - item: a\n", "c:\n  - item: a\n"),
    ],
)
def test_removing_touches_only_its_own_entry(before: str, after: str) -> None:
    assert edited(before, Removal(("c", 0, "by"))) == after


def test_several_edits_are_made_in_order() -> None:
    before = "c:\n  - item: a\n    done: false  # todo\n  - {item: b, done: false}\n"
    ticks = [
        Edit(("c", 0, "done"), True),
        Edit(("c", 0, "by"), "me"),
        Edit(("c", 0, "at"), "2026-01-01T00:00:00Z"),
        Edit(("c", 1, "done"), True),
    ]
    after = (
        'c:\n  - item: a\n    done: true  # todo\n    by: me\n    at: "2026-01-01T00:00:00Z"\n'
        "  - {item: b, done: true}\n"
    )
    assert edited(before, *ticks) == after
    back: list[Edit | Removal] = [
        Edit(("c", 0, "done"), False),
        Removal(("c", 0, "by")),
        Removal(("c", 0, "at")),
        Edit(("c", 1, "done"), False),
    ]
    assert edited(after, *back) == before


def test_an_item_of_a_list_can_be_set() -> None:
    assert edited("a: [1, 2, {b: 3}]  # c\n", Edit(("a", 2), "x y")) == 'a: [1, 2, "x y"]  # c\n'
    assert edited("a:\n- b: 3\n  c: 4\n-\n- 5\n", Edit(("a", 0), 1), Edit(("a", 1), 2)) == "a:\n- 1\n- 2\n- 5\n"


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("text", "edit", "sentence"),
    [
        ("a: 1\n", Edit((), 2), "x.yaml:1:1: : cannot be edited: the card has no such place"),
        ("a: 1\n", Edit(("b", "c"), 2), "b.c: cannot be edited: the card has no such place"),
        ("a: 1\n", Edit(("a", "c"), 2), "a.c: cannot be edited: the card has no such place"),
        ("a: [1]\n", Edit(("a", 1), 2), "a[1]: cannot be edited: the card has no such place"),
        ("a: [1]\n", Removal(("a", 0)), "a[0]: cannot be edited: the card has no such place"),
        ("a: 1\n", Edit(("a",), math.nan), "a card needs finite numbers"),
        ("a: 1\n", Edit(("a",), "\u202e"), "the card would not be valid"),
        ("a: 1\n", Edit(("a",), "\udcff"), "the card would not be valid"),
        ("a: 1\n", Edit(("a",), "e\u0301"), "the card would not be valid"),
        ("a: 1\n", Edit(("a",), 2**60), "the card would not be valid"),
        ("- a: 1\n", Edit(("a",), 1), "is a list"),
        ("a:\n  - b: 1\n    c: 2\n", Removal(("a", 0, "b")), "it is the first key of its list item"),
        ("a: 1\n", Removal(("a",)), "the card would not be valid"),
    ],
)
def test_what_cannot_be_edited_in_place_is_refused(text: str, edit: Edit | Removal, sentence: str) -> None:
    with pytest.raises((UsageError, CardError)) as caught:
        edited(text, edit)
    assert sentence in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


# ---------------------------------------------------------------- values


def is_allowed(text: str) -> bool:
    """Whether a card may hold this text at all."""
    return unicodedata.is_normalized("NFC", text) and characters.forbidden_value(text) is None


texts = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Z")), max_size=40).filter(is_allowed)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | texts
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.from_regex(r"[a-z ]{1,8}", fullmatch=True), inner, max_size=3)
    ),
    max_leaves=6,
)


@examples(150)
@given(values)
def test_a_value_on_one_line_reads_back_as_itself(value: Any) -> None:
    line = one_line(value)
    assert "\n" not in line
    for text, around in (
        (f"a: {line}\n", as_read(value)),
        (f"a: [{line}]\n", (as_read(value),)),
        (f"a: {{b: {line}}}\n", {"b": as_read(value)}),
    ):
        assert repr(read_document(text.encode(), file="x.yaml").value()) == repr({"a": around})


def as_read(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: as_read(inner) for key, inner in value.items()}
    return tuple(map(as_read, value)) if isinstance(value, list) else value


@pytest.mark.parametrize(
    "text",
    [
        "NO",
        "null",
        "~",
        "",
        " a ",
        "1e3",
        "12e4567",
        "0x1f",
        "a: b",
        "a #b",
        "- a",
        "[a]",
        "{a}",
        "'",
        '"',
        "\\",
        "\n\t",
        "yes",
        "2026-01-01",
        "%",
        "@",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "?",
    ],
)
def test_texts_that_look_like_something_else_stay_texts(text: str) -> None:
    assert read_document(f"a: {one_line(text)}\n".encode(), file="x").value() == {"a": text}


# ---------------------------------------------------------------- any layout


class Layout:
    """Renders list items in layouts drawn by hypothesis, and remembers the lines of each."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.comments = (f"# comment {number}" for number in itertools.count())
        self.lines: list[str] = []

    def maybe(self) -> bool:
        return bool(self.draw(st.booleans()))

    def remark(self) -> str:
        return f"  {next(self.comments)}" if self.maybe() else ""

    def item(self, fields: dict[str, Any]) -> range:
        """Write one list item; returns the range of its lines."""
        start = len(self.lines)
        if self.maybe():
            self.flow(fields)
        else:
            self.block(fields)
        end = len(self.lines)
        self.lines += ["", f"  {next(self.comments)}"] if self.maybe() else []
        return range(start, end)

    def flow(self, fields: dict[str, Any]) -> None:
        gap = f",{self.remark()}\n       " if self.maybe() else ", "
        inner = gap.join(f"{self.key(key)}: {one_line(value)}" for key, value in fields.items())
        self.lines += f"  - {{{inner}{', ' if self.maybe() else ''}}}{self.remark()}".split("\n")

    def block(self, fields: dict[str, Any]) -> None:
        dash = "  -   " if self.maybe() else "  - "
        for number, (key, value) in enumerate(fields.items()):
            lead = " " * len(dash) if number else dash
            self.lines += [f"{lead}{self.key(key)}:{line}" for line in [self.value(value, len(dash))]]
            self.lines = [line for block in self.lines for line in block.split("\n")]

    def key(self, key: str) -> str:
        return f'"{key}"' if self.maybe() else key

    def value(self, value: Any, indent: int) -> str:
        pad = "\n" + " " * (indent + 2)
        if value is None and self.maybe():
            return self.remark()
        if isinstance(value, dict) and self.maybe():
            return self.remark() + "".join(
                f"{pad}{key}: {one_line(inner)}{self.remark()}" for key, inner in value.items()
            )
        if isinstance(value, str) and value.isascii() and value.isalpha() and self.maybe():
            return f" {self.draw(st.sampled_from(['|', '>-', '>']))}{pad}{value}"
        return f" {one_line(value)}{self.remark()}"


FIELDS = {
    "signed": st.sampled_from([None, True, {"digest": "0" * 64, "verdict": "approve", "note": "a, b: {c} # d"}]),
    "done": st.booleans(),
    "note": st.sampled_from(["short", "a: b", 'it\'s "quoted" # so', "日本"]),
}
COMMENT = re.compile(r"# \w+(?: \d+)?")
BLOCK_AT_THE_END = re.compile(r"[|>]-?\r?\n[^\n]*\Z")
NEW = st.sampled_from(
    [None, True, "word", "two words: # [x]", {"digest": "1" * 64, "conditions": ["a, b", "c"]}, "l1\nl2\n"]
)


@examples(250)
@given(st.data())
def test_in_any_layout_only_the_addressed_item_changes(data: st.DataObject) -> None:
    layout = Layout(data.draw)
    layout.lines = ["name: x  # first", "items:"]
    count = data.draw(st.integers(1, 3))
    present = [data.draw(st.permutations(list(FIELDS))) for _ in range(count)]
    items = [
        {"id": "a", **{key: data.draw(FIELDS[key]) for key in keys[: data.draw(st.integers(0, 3))]}} for keys in present
    ]
    spans = [layout.item(fields) for fields in items]
    if data.draw(st.booleans()):
        layout.lines += ["after: {z: 1}  # last"]
    newline = data.draw(st.sampled_from(["\n", "\r\n"]))
    text = newline.join(layout.lines) + data.draw(st.sampled_from(["", newline]))
    assume(text.endswith("\n") or not BLOCK_AT_THE_END.search(text))  # without its line end no line can follow it

    index, key = data.draw(st.integers(0, count - 1)), data.draw(st.sampled_from(list(FIELDS)))
    loc: Loc = ("items", index, key)
    document = read_document(text.encode(), file="x.yaml")
    change: Edit | Removal = Edit(loc, data.draw(NEW)) if data.draw(st.integers(0, 3)) else Removal(loc)
    after = edit_document(document, [change]).decode()

    span = spans[index]
    before_lines, after_lines = text.split(newline), after.split(newline)
    assert after_lines[: span.start] == before_lines[: span.start]
    tail = before_lines[span.stop :]
    assert after_lines[len(after_lines) - len(tail) :] == tail
    assert ("\r\n" in after) == ("\r\n" in text) or len(after_lines) == 1
    assert "\n" not in after.replace("\r\n", "") or newline == "\n"
    node = document.find(loc)
    kept = text if node is None else text[: node.start] + text[node.end :]
    assert set(COMMENT.findall(kept)) <= set(COMMENT.findall(after)) or isinstance(change, Removal)

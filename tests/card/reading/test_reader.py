from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
import yaml
from hypothesis import given, strategies as st

from cardrunner.card.reading import characters, reader
from cardrunner.card.reading.document import locate
from cardrunner.card.reading.reader import (
    Document,
    Fault,
    Mapping,
    Mark,
    Node,
    Scalar,
    Sequence,
    format_path,
    read_bytes,
    read_document,
)
from cardrunner.errors import CardError
from tests.examples import examples

GOOD = """\
# Does more data help?
card: 1
name: small-run          # a comment
created: 2026-02-26
author: null
goal: >
  Train on more data,
  then look again.

data:
  size: 74.4 GB
  split: {train: 90%, by: game}
  parts: ["a b.pt", 'c''d.pt', e.pt]
training:
  epochs: 5
  learning_rate: 1e-3
  country: NO
  loss: {analog: {kind: mse, weight: 1}, buttons: {kind: bce, weight: 0.5}}
targets:
- {metric: val_loss/total, below: 0.025, notes: "see: plan"}
- metric: mae
  below: 15e-3
notes: |
  kept
    as written # also this

empty:
sign_off: {reviewers: [{id: scav, signed: }]}
"""


def faults_of(data: bytes | str) -> list[Fault]:
    with pytest.raises(CardError) as caught:
        read_document(data.encode() if isinstance(data, str) else data, file="x.yaml")
    faults = [fault for fault in caught.value.faults if isinstance(fault, Fault)]
    assert len(faults) == len(caught.value.faults) > 0
    return faults


def placed(error: CardError) -> None:
    assert error.faults
    for fault in error.faults:
        assert isinstance(fault, Fault)
        assert min(fault.line, fault.column) > 0
        assert str(fault).isprintable()


def only_fault(data: bytes | str) -> str:
    faults = faults_of(data)
    assert len(faults) == 1, [str(fault) for fault in faults]
    return str(faults[0])


def good() -> Document:
    return read_document(GOOD.encode(), file="x.yaml")


def scalars_of(node: Node) -> list[Scalar]:
    if isinstance(node, Mapping):
        return [scalar for entry in node.entries for scalar in [entry.key, *scalars_of(entry.value)]]
    return [scalar for item in node.items for scalar in scalars_of(item)] if isinstance(node, Sequence) else [node]


def test_a_good_card_reads_as_plain_values() -> None:
    assert good().value() == {
        "card": 1,
        "name": "small-run",
        "created": "2026-02-26",
        "author": None,
        "goal": "Train on more data, then look again.\n",
        "data": {"size": "74.4 GB", "split": {"train": "90%", "by": "game"}, "parts": ("a b.pt", "c'd.pt", "e.pt")},
        "training": {
            "epochs": 5,
            "learning_rate": 0.001,
            "country": "NO",
            "loss": {"analog": {"kind": "mse", "weight": 1}, "buttons": {"kind": "bce", "weight": 0.5}},
        },
        "targets": (
            {"metric": "val_loss/total", "below": 0.025, "notes": "see: plan"},
            {"metric": "mae", "below": 0.015},
        ),
        "notes": "kept\n  as written # also this\n",
        "empty": None,
        "sign_off": {"reviewers": ({"id": "scav", "signed": None},)},
    }


@pytest.mark.parametrize("text", [GOOD, GOOD.replace("\n", "\r\n"), "\ufeff" + GOOD, GOOD.replace("small", "s😀é")])
def test_offsets_span_exactly_the_source_of_every_value(text: str) -> None:
    document = read_document(text.encode(), file="x.yaml")
    for scalar in scalars_of(document.root):
        source = document.source(scalar)
        assert yaml.safe_load(source) is None or str(scalar.value).rstrip("\n") in (
            str(yaml.load(source, Loader=yaml.BaseLoader)).rstrip("\n"),
            str(yaml.safe_load(source)),
            str(float(source)) if source.startswith(("1e", "15e")) else None,
        )
        before = document.text[: scalar.start]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        assert (scalar.mark.line, scalar.mark.column) == (line, column)


def test_collections_end_with_their_last_child_or_bracket() -> None:
    document = good()
    data, loss, notes = (document.find(loc) for loc in (("data",), ("training", "loss"), ("notes",)))
    assert data is not None
    assert loss is not None
    assert notes is not None
    assert document.source(data).endswith("e.pt]")
    assert document.source(loss).startswith("{analog")
    assert document.source(loss).endswith("0.5}}")
    assert document.source(notes) == "|\n  kept\n    as written # also this"


def test_places_are_found_by_path() -> None:
    document = good()
    assert document.mark(("targets", 1, "below")) == Mark(22, 10)
    assert document.mark(("targets", 1, "below"), key=True) == Mark(22, 3)
    assert document.mark(("targets", 1, "above")) == Mark(21, 3)
    assert document.mark(("targets", 1, "above", "deeper"), key=True) == Mark(21, 3)
    assert document.mark(("nothing",)) == Mark(2, 1)
    assert document.mark(("empty",)) == Mark(27, 7)
    assert document.mark(("sign_off", "reviewers", 0, "signed")) == Mark(28, 42)
    assert document.find(("targets", 2)) is None
    assert document.find(("card", "x")) is None
    assert locate(document.root, GOOD.index("mse")) == ("training", "loss", "analog", "kind")


def test_paths_read_like_code_and_never_break_a_line() -> None:
    assert format_path(("targets", 0, "metric")) == "targets[0].metric"
    assert format_path(("metrics", "val_loss/total")) == "metrics.val_loss/total"
    assert format_path(("a.b", "c d", "\x1b[31m\n", "")) == '["a.b"]["c d"]["\\x1b[31m\\n"][""]'


def test_faults_print_in_one_line() -> None:
    assert str(Fault("x.yaml", 3, 5, "a.b", "wrong")) == "x.yaml:3:5: a.b: wrong"
    assert str(Fault("x.yaml", 3, 5, "", "wrong")) == "x.yaml:3:5: wrong"
    assert str(Fault("x.yaml", 3, 5, "a", "odd", "warning")) == "x.yaml:3:5: warning: a: odd"
    assert str(Fault("x\n.yaml", 1, 1, "", "wrong")) == "x\\n.yaml:1:1: wrong"


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("1e-3", 0.001),
        ("-1", -1),
        ("+1", 1),
        ("1.", 1.0),
        (".5", 0.5),
        ("0x1F", 31),
        ("0o17", 15),
        ("0", 0),
        ("0.5", 0.5),
        ("9007199254740992", 2**53),
        ("TRUE", True),
        ("False", False),
        ("~", None),
        ("Null", None),
        ("", None),
        *(
            (text, text)
            for text in ("NO", "yes", "on", "2026-02-26", "2026-13-45", "12h", "1:30", "0b1", ".", "tRue", "1e")
        ),
        ("'010'", "010"),
        ('"22_000"', "22_000"),
        ('"\\t\\x41"', "\tA"),
        ("1_0_x", "1_0_x"),
        ("b#c", "b#c"),
    ],
)
def test_unquoted_values_follow_yaml_1_2(source: str, value: object) -> None:
    read = read_document(f"a: {source}\n".encode(), file="x").value()["a"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "日本語のメモ",
        "مرحبا بالعالم",
        "می\u200cخواهم",
        "क्\u200dष",
        "ക്\u200d",
        "👩\u200d💻 ❤\ufe0f",
        "Ελληνικά",
        "한국어",
        "שלום",
        "葛\U000e0100",
    ],
)
def test_free_text_in_any_script_passes(text: str) -> None:
    assert read_document(f"a: {text}\n".encode(), file="x").value() == {"a": text}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "1:1: the card is empty; start one with: cardrunner new NAME"),
        ("# only a comment\n", "1:1: the card is empty; start one with: cardrunner new NAME"),
        ("- a\n", '1:1: a card is a mapping of "key: value" lines, and this is a list'),
        ("text\n", '1:1: a card is a mapping of "key: value" lines, and this is a single value'),
        ("a: 1\n---\nb: 2\n", "2:1: a second document begins here; a card is one document, delete the line"),
        ("%YAML 1.2\n---\na: 1", '1:1: directives ("%YAML", "%TAG") are not used in cards; delete the line'),
        ("a: &x 1", '1:4: a: anchors are not used in cards; delete it, or quote text that begins with "&"'),
        ("a: *x", '1:4: a: aliases are not used in cards; write the value out, or quote text that begins with "*"'),
        ("a: !!int 5", '1:4: a: tags are not used in cards; delete it, or quote text that begins with "!"'),
        ("a: ! 5", '1:4: a: tags are not used in cards; delete it, or quote text that begins with "!"'),
        ("a: {<<: {b: 1}}", "1:5: a: merge keys are not used in cards; write the values out"),
        ("a: 1\nb: 2\na: 3\n", '3:1: a: "a" is already set on line 1; keep one of the two'),
        ('t: {"a": 1, a: 3}', '1:13: t.a: "a" is already set on line 1; keep one of the two'),
        ("a: {5: 1}", "1:5: a: this key reads as a number; write a name, or quote the key"),
        ("true: 1", "1:1: this key reads as true or false; write a name, or quote the key"),
        ("~: 1", "1:1: this key reads as nothing; write a name, or quote the key"),
        ("? [a]\n: b", "1:3: a key is text, not a list or mapping; write a plain key"),
        ("a: 22_000", "1:4: a: a number has no underscores; write 22000, or quote it if it is text"),
        ("a: [010]", "1:5: a[0]: a number has no leading zero; write 10, or quote it if it is text"),
        ("a: -.inf", "1:4: a: a card needs finite numbers; write a number, or null for no value"),
        ("a: .NaN", "1:4: a: a card needs finite numbers; write a number, or null for no value"),
        ("a: 1e999", "1:4: a: this number is too large to be held; write a smaller one, or quote it if it is text"),
        ("a: 1e-999", "1:4: a: this number is so small that it would read as 0; write 0, or quote it if it is text"),
        (
            "a: 9007199254740993",
            "1:4: a: a whole number beyond 2^53 is not exact everywhere; write an exponent, or quote it if it is text",
        ),
        ("a: " + "1" * 5000, "1:4: a: this number has too many digits; round it, or quote it if it is text"),
        (
            "a: e\u0301",
            "1:4: a: this text is not in Unicode form NFC; retype its accents, or convert the file to NFC",
        ),
        ("a:\n\tb: 1", "2:1: a: a tab is used where spaces are needed; indent with spaces"),
        ("a:\t1", "1:3: a: there is a tab here; use spaces, or quote text that holds it"),
        ("a: b\tc", "1:5: a: there is a tab here; use spaces, or quote text that holds it"),
        ("a: b: c", '1:5: ": " cannot stand here; quote text with a colon, or check the indentation'),
        (
            "a: [1, 2\nb: 3\n",
            '2:2: a[2]: the "[" opened on line 1 is not closed here; close it, or separate the items with commas',
        ),
        (
            "a:\n  b: {c: 1\n",
            '3:1: a.b: the "{" opened on line 2 is not closed here; close it, or separate the items with commas',
        ),
        ('a: 1\nb: "x\n', "2:4: b: the quote opened here is never closed; close it"),
        ("a: 1\nb\nc: 2", '2:1: this line is not "key: value"; write a colon and a space after the key'),
        ("a: @x", "1:4: a: text cannot begin with this character; put it in quotes"),
        (
            'a: "b" c',
            "1:8: this does not continue the mapping begun on line 1; check the indentation and the quotes",
        ),
        ("a: - b", '1:4: a: "- " cannot begin a list here; put it on its own line, or quote the text'),
        (
            "a: \u202eb",
            "1:4: a: U+202E RIGHT-TO-LEFT OVERRIDE can make text read differently than it is; delete it",
        ),
        ("a: x\u200by", "1:5: a: U+200B ZERO WIDTH SPACE cannot be seen here; delete it"),
        ("a: x\u200dy", "1:5: a: U+200D ZERO WIDTH JOINER cannot be seen here; delete it"),
        ("a: x\ufe0f\ufe0fy", "1:6: a: U+FE0F VARIATION SELECTOR-16 cannot be seen here; delete it"),
        ("a: x\ufeffy", "1:5: a: U+FEFF ZERO WIDTH NO-BREAK SPACE cannot be seen here; delete it"),
        ("कष\u200d: 1", "1:1: this key holds a joiner, which cannot be seen; retype the key"),
        ("a: 1 # \x1b[31m", "1:8: U+001B is a control character; delete it"),
        (
            "a: x\u2028y",
            "1:5: a: U+2028 LINE SEPARATOR breaks the line in some programs only; use a plain line feed",
        ),
        ("a: x\x85y", "1:5: a: U+0085 breaks the line in some programs only; use a plain line feed"),
        ("a: x\ry", "1:5: a: U+000D breaks the line in some programs only; use a plain line feed"),
        (
            'a: "\\u202e"',
            "1:4: a: the escape for U+202E RIGHT-TO-LEFT OVERRIDE can make text read differently than it is; delete it",
        ),
        ('a: "\\0"', "1:4: a: the escape for U+0000 is a control character; delete it"),
    ],
)
def test_a_fault_gets_its_place_and_its_sentence(text: str, fault: str) -> None:
    assert only_fault(text) == f"x.yaml:{fault}"


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"a: 1\nb: \xff", "2:4: byte 9 of the file (0xff) is not UTF-8 text; save the file as UTF-8"),
        (b"\xef\xbb\xbfa: \xff", "1:4: byte 7 of the file (0xff) is not UTF-8 text; save the file as UTF-8"),
        (b"a: \xed\xa0\x80", "1:4: byte 4 of the file (0xed) is not UTF-8 text; save the file as UTF-8"),
        ("a: 1".encode("utf-16"), "1:1: the file is UTF-16; save it as UTF-8"),
    ],
)
def test_bytes_that_are_not_utf8_are_placed(data: bytes, fault: str) -> None:
    assert only_fault(data) == f"x.yaml:{fault}"


def test_all_faults_of_one_reading_come_together_in_the_order_of_the_file() -> None:
    text = "a: &x 1\nb: *x\nc: !y z\nd: 1_0\nd: NO\n5: \u202ex\n"
    assert [(fault.line, fault.column, fault.path) for fault in faults_of(text)] == [
        (1, 4, "a"),
        (2, 4, "b"),
        (3, 4, "c"),
        (4, 4, "d"),
        (5, 1, "d"),
        (6, 1, ""),
        (6, 4, "5"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: " + "[" * 32, "nested more than 32 deep"),
        ("[" * 200_000, "nested more than 32 deep"),
        ("a: " + "{b: " * 50_000, "nested more than 32 deep"),
        ("".join(f"{' ' * depth}- \n" for depth in range(600)), "nested more than 32 deep"),
        ("a: [" + "1," * 10_001 + "]", "more than 10000 values"),
        ("a: '" + "x" * 65_537 + "'", "longer than 64 KB"),
        ("a: '" + "é" * 32_769 + "'", "longer than 64 KB"),
        ("#" * 262_145, "larger than 256 KB"),
    ],
)
def test_limits_hold_before_anything_is_built(text: str, message: str) -> None:
    assert message in only_fault(text)


def test_what_is_just_within_the_limits_passes() -> None:
    assert read_document(("a: " + "[" * 31 + "]" * 31).encode(), file="x").value()
    assert len(str(read_document(("a: '" + "x" * 65_536 + "'").encode(), file="x").value()["a"])) == 65_536
    padded = b"a: 1\n" + b"#" * (reader.MAX_BYTES - 5)
    assert read_document(padded, file="x").value() == {"a": 1}


def test_thousands_of_control_characters_give_a_hundred_faults() -> None:
    assert len(faults_of("\x01" * 5000)) == reader.MAX_FAULTS


@given(st.binary(max_size=300))
@examples(300, deadline=200)
def test_no_bytes_escape_with_anything_but_faults(data: bytes) -> None:
    try:
        read_document(data, file="x")
    except CardError as error:
        placed(error)


@given(st.text(alphabet=st.sampled_from("ab1:-?[]{},\"'|>#&*!%@~ \n\t\\ux0"), max_size=60))
@examples(500, deadline=200)
def test_no_text_of_yaml_signs_escapes_with_anything_but_faults(text: str) -> None:
    try:
        read_document(text.encode(), file="x")
    except CardError as error:
        placed(error)


FRAGMENTS = (
    *(b"\t", b"&a ", b"*a", b"!t ", b"<<: ", b"---\n", b"...\n", b"%YAML 1.2\n", b'"', b"'", b"{", b"}", b"[", b"]"),
    *(b": ", b"- ", b"? ", b"|\n", b">-\n", b"#", b"\r", b"\xe2\x80\xa8", b"\x00", b"\xff", b"\\u202e", b"\n", b" "),
    *(b",", b"1_0", b"0x1f", b"\xef\xbb\xbf", b'"\\ud800"', b'"\\UFFFFFFFF"', b"`", b"~", b"\xc2\x85", b"010"),
)


def mutated(chance: random.Random) -> bytes:
    data = bytearray(GOOD.encode())
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(data) + 1)
        size = chance.choice((0, 0, 1, 3, 9))
        source = chance.randrange(len(data) + 1)
        data[at : at + size] = chance.choice(
            (
                chance.choice(FRAGMENTS),
                b"",
                bytes([chance.randrange(256)]),
                data[source : source + chance.randrange(40)],
            )
        )
    return bytes(data)


def outcome(data: bytes) -> Document | CardError:
    try:
        return read_document(data, file="x")
    except CardError as error:
        return error


def test_thousands_of_broken_cards_give_a_document_or_faults_with_places() -> None:
    chance = random.Random(7)
    accepted = 0
    for _ in range(2500):
        read = outcome(mutated(chance))
        accepted += isinstance(read, Document)
        if isinstance(read, CardError):
            placed(read)
    assert accepted > 100


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML was built without libyaml: there is only one parser")
def test_both_parsers_of_pyyaml_read_the_same_values(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(11)
    for _ in range(300):
        data = mutated(chance)
        fast = outcome(data)
        with monkeypatch.context() as patch:
            patch.setattr(reader, "_LOADER", yaml.SafeLoader)
            slow = outcome(data)
        if isinstance(fast, Document) and isinstance(slow, Document):
            assert repr(fast.root) == repr(slow.root)


def test_a_card_file_is_read_once_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "card.yaml"
    path.write_bytes(b"a: 1\r\n")
    (tmp_path / "link.yaml").symlink_to(path)
    assert read_bytes(path) == read_bytes(tmp_path / "link.yaml") == b"a: 1\r\n"


def refused(path: Path) -> str:
    with pytest.raises(CardError) as caught:
        read_bytes(path)
    return str(caught.value)


def test_what_is_not_a_readable_file_is_refused_with_a_sentence(tmp_path: Path) -> None:
    missing = tmp_path / "no.yaml"
    sentence = "there is no such file; check the path, or start a card with: cardrunner new NAME"
    assert refused(missing) == f"{missing}:1:1: {sentence}"
    assert "this is not a regular file" in refused(tmp_path)
    assert "this is not a path" in refused(Path("a\0b"))
    assert "a folder above it is not UTF-8 text; rename it" in refused(tmp_path / "a\udcff" / "card.yaml")
    assert "the file cannot be read (File name too long)" in refused(Path("x" * 5000))
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "the file cannot be read" in refused(tmp_path / "loop")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_fifos_and_devices_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "card.yaml")
    assert "this is not a regular file" in refused(tmp_path / "card.yaml")
    assert "this is not a regular file" in refused(Path("/dev/zero"))


def test_a_file_of_100_megabytes_is_refused_after_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    with path.open("wb") as stream:
        stream.truncate(100_000_000)
    assert "larger than 256 KB" in refused(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_refused_with_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "card.yaml"
    path.write_text("a: 1")
    path.chmod(0)
    assert "the file cannot be read (Permission denied)" in refused(path)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('a: "x\ny"', 2),
        ('a:\n  b: "x\n  y"', 3),
        ("a:\n  b: 'x\n\n y'", 4),
        ('a:\n  - "x\n  y"', 3),
        ("a: [1,\n2]", 2),
        ("a: {b: 1,\nc: 2}", 2),
        ("a:\n  b: [\n    1\n]", 4),
        ('a: ["x\n# y"]', 2),
    ],
)
def test_a_line_that_goes_on_is_deeper_than_its_key(text: str, line: int) -> None:
    (fault,) = faults_of(text)
    assert (fault.line, "has to be indented deeper than its key" in fault.message) == (line, True)


@pytest.mark.parametrize("text", ["a:\n|\n  x\n", "a:\n  b:\n  >-\n    x\n", "a:\n  - b\n  -\n  |\n   c\n"])
def test_block_text_begins_behind_its_key_or_deeper(text: str) -> None:
    (fault,) = faults_of(text)
    assert text.split("\n")[fault.line - 1].strip()[0] in "|>"
    assert "has to be on the line of its key, or be indented deeper than it" in fault.message
    deeper = text.split("\n")
    deeper[fault.line - 1] = f" {deeper[fault.line - 1]}"
    assert read_document("\n".join(deeper).encode(), file="card.yaml").root.entries


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('a: "x\n y"', "x y"),
        ("a: [\n  1,\n# why\n  2\n]", (1, 2)),
        ("a: {\n b: 1\n}", {"b": 1}),
        ("a:\n- 'x\n y'", ("x y",)),
        ("a: [{\n b: 1\n}]", ({"b": 1},)),
    ],
)
def test_a_closing_bracket_may_stand_under_its_key(text: str, value: object) -> None:
    assert read_document(text.encode(), file="card.yaml").value() == {"a": value}


def test_the_quick_look_at_characters_lets_nothing_pass_that_the_close_one_refuses() -> None:
    for number in range(0x110000):
        character = chr(number)
        if number not in (9, 10) and characters.plain(character):
            assert not list(characters._forbidden().finditer(f"x{character}")), hex(number)


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("a: [x]#b", 7, "a comment begins with a space"),
        ('a: "x"#b', 7, "a comment begins with a space"),
        ("a: [x,#b\n y]", 7, "a comment begins with a space"),
        ("a: |#b\n  x\n", 5, "a comment begins with a space"),
        ("a: {?b: c}", 6, 'there is a "?" right before this key'),
        ("a: [?b]", 6, 'there is a "?" right before this key'),
        ("a: [-]", 5, '"-" alone is a mark of YAML'),
        ("a: [b -]", 5, 'text in brackets that ends with "-"'),
        ("a: [b\n   -, c]", 5, 'text in brackets that ends with "-"'),
        ("a: |\n", 4, 'no text follows "|" or ">"'),
        ("a: |\t\n  x\n", 5, "there is a tab here"),
        ("a: >+\n\n\n", 4, 'no text follows "|" or ">"'),
        ("a: 0x-1F", 4, "a number to some readers"),
        ("a: 0o+7", 4, "a number to some readers"),
    ],
)
def test_what_other_readers_take_for_something_else_is_refused(text: str, column: int, said: str) -> None:
    (fault,) = faults_of(text)
    assert (fault.line, fault.column) == (1, column)
    assert said in fault.message


@pytest.mark.parametrize(
    "text",
    [
        "a: x#b # c#d",
        "a: x]#b",
        "## a\n#b#c\na: 1",
        'a: "b#c"',
        "a: [b] #c",
        "a: |\n  x]#y\n",
        "a: ?b",
        "a: [-b, '-']",
        "a: {? b: c}",
        "a: b -",
        "a: ['b -', b-]",
        "a: |\n  -\n",
        "a: | # \t\n  x\ty\t\n",
        "a: |+\n\n  x\n\n",
        "a: '0x-1F'",
        "a: 0x-",
    ],
)
def test_hashes_and_marks_in_text_and_comments_are_left_alone(text: str) -> None:
    assert read_document(text.encode(), file="card.yaml").root.entries[0].key.value == "a"

"""What closes the gate again and what does not: every leaf of a signed card, and two hundred other layouts of it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from cardrunner.card.reading.document import Loc, format_path
from cardrunner.card.reading.edit import Edit, Removal, edit_document
from cardrunner.errors import CardError, UsageError

if TYPE_CHECKING:
    from tests.gate.conftest import Desk

MARKS = {"done", "by", "at", "evidence", "signed"}
# values that fit where the present one does, tried in turn until the card is valid
OTHERS = (
    "small", "tell", "2026-02-25", "3 epochs", "7 min", "11h", "9 GB", "$31", "$0.61/h", "80%", "max", "warn",
    "val_loss/other", "medium", "latest", "boxes", "hyperparameter", 3, 0.4, 2.5, True, False, None,
)  # fmt: skip


def leaves(value: object, loc: Loc = ()) -> Iterator[Loc]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*loc, key))
    elif isinstance(value, tuple):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*loc, index))
    elif not MARKS & set(loc):
        yield loc


def test_every_leaf_that_changes_closes_the_gate(desk: Desk, signed_card: str) -> None:
    document = desk.load(signed_card).document
    changed: list[str] = []
    invalid_only: list[str] = []
    for loc in leaves(document.value()):
        present = document.find(loc)
        accepted = 0
        for other in OTHERS:
            if other == getattr(present, "value", None):
                continue
            try:
                report = desk.gate(edit_document(document, [Edit(loc, other)]).decode())
            except CardError:
                continue
            named = any(format_path(loc) in finding.why for finding in report.findings)
            assert not report.open, f"{format_path(loc)} = {other!r} kept the gate open"
            assert named or loc[0] == "sign_off" or accepted, f"{format_path(loc)} is not named"
            accepted += 1
            if accepted == 3:
                break
        (changed if accepted else invalid_only).append(format_path(loc))
    # the format, the one workload there is, and the run that a target is compared with
    assert set(invalid_only) <= {"card", "workload", "infra.platform", "baselines[0].run"}
    assert len(changed) > 60


def test_every_key_that_is_taken_out_closes_the_gate(desk: Desk, signed_card: str) -> None:
    """Unless what it said is what the card means without it."""
    document = desk.load(signed_card).document
    closed = 0
    for loc in leaves(document.value()):
        if not isinstance(loc[-1], str):
            continue
        try:
            data = edit_document(document, [Removal(loc)])
            report = desk.gate(data.decode())
        except (CardError, UsageError):
            continue
        same = desk.load(data.decode()).digest == desk.load(signed_card).digest
        assert report.open == same, format_path(loc)
        closed += not same
    assert closed > 15


# ---------------------------------------------------------------- formatting


def with_comments(text: str, chance: random.Random) -> str:
    lines = [f"{line}  # {chance.random()}" if line and chance.random() < 0.3 else line for line in text.split("\n")]
    return "\n".join(["# a card: with [odd} 'comment\"", *lines])


def with_blank_lines(text: str, chance: random.Random) -> str:
    return "\n".join(line if chance.random() < 0.8 else f"{line}\n\n  # here\n" for line in text.split("\n"))


def in_another_order(text: str, chance: random.Random) -> str:
    sections = re.split(r"(?m)^(?=[a-z])", text)[1:]
    chance.shuffle(sections)
    return "".join(section if section.endswith("\n") else f"{section}\n" for section in sections)


def with_other_units(text: str, chance: random.Random) -> str:
    same = {
        "12h": "720 min", "30 min": "0.5h", "2 min": "120 s", "8 GB": "8000 MB", "90%": "0.9",
        "$30": "$30.00", "1e-3": "0.001", "1.5": "15e-1",
    }  # fmt: skip
    for old, new in same.items():
        if chance.random() < 0.7:
            text = re.sub(rf"(?<=: ){re.escape(old)}(?=[,}}\n])", new, text)
    return text


def with_quotes(text: str, chance: random.Random) -> str:
    def quoted(found: re.Match[str]) -> str:
        return chance.choice([f"'{found[0]}'", f'"{found[0]}"', found[0]])

    return re.sub(r"(?<=: )(?!true|false|null)[a-z][a-z ]*(?=[,}\n])", quoted, text)


def in_block_style(text: str, chance: random.Random) -> str:
    return text.replace(
        "  - {risk: the disk fills up, likelihood: low, mitigation: look at it}",
        "  -   mitigation: >-\n        look\n        at it\n"
        "      risk: the disk\n        fills up\n      likelihood: low",
    )


def in_flow_style(text: str, chance: random.Random) -> str:
    return text.replace("model:\n  architecture: Tiny\n", "model: {\n    architecture:\n  Tiny, }\n").replace(
        "  built_on: [older-run]\n", "  built_on:\n    - older-run\n"
    )


def with_windows_line_ends(text: str, chance: random.Random) -> str:
    return text.replace("\n", "\r\n")


def with_a_byte_order_mark(text: str, chance: random.Random) -> str:
    return f"\ufeff{text}"


LAYOUTS: tuple[Callable[[str, random.Random], str], ...] = (
    with_other_units, with_quotes, in_another_order, with_comments, with_blank_lines, in_block_style, in_flow_style,
    with_windows_line_ends, with_a_byte_order_mark,
)  # fmt: skip


@pytest.mark.parametrize("seed", range(200))
def test_another_layout_keeps_the_gate_open(desk: Desk, signed_card: str, seed: int) -> None:
    chance = random.Random(seed)
    chosen = [layout for layout in LAYOUTS if chance.random() < 0.5] or [LAYOUTS[seed % len(LAYOUTS)]]
    text = signed_card
    for layout in chosen:
        text = layout(text, chance)
    assert text != signed_card
    assert desk.gate(text).open, [layout.__name__ for layout in chosen]

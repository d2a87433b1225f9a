"""Expected against actual: what a card says of its games beside what the files hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from cardrunner.card.schema.card import Card
from cardrunner.contracts import Fact, Severity
from cardrunner.workloads.melee.demo.section import demo_of
from cardrunner.workloads.melee.encoding.encoded_data import EncodedData
from cardrunner.workloads.melee.encoding.frame_dataset import split_games
from cardrunner.workloads.melee.encoding.layout import FLOATS, INTS
from cardrunner.workloads.melee.encoding.scan import DataFinding, ScanReport
from cardrunner.workloads.melee.policy.sections import EncodingExpectations, GamesData

_NAMED: Final = 6
_FAULTS: Final = (
    ("non-finite values", "non_finite"),
    ("categories outside their vocabulary", "vocabulary"),
    ("binary and controller values outside 0..1", "range"),
)


def written_facts(card: Card, section: GamesData, data: EncodedData, *, context_len: int) -> Iterator[Fact]:
    """Facts from the files' metadata, without reading their values."""
    widths = f"{FLOATS} floats + {INTS} ints per frame"
    yield Fact(
        name="layout", expected=widths, actual=widths, ok=True
    )  # files of another layout are refused when opened
    yield _count("games", section.games, data.games)
    yield _count("frames", section.frames, data.frames)
    yield from _encoding(section.encoding, data)
    yield from _rules(section.encoding, data)
    yield from _sides(card, data)
    yield _too_short(data, context_len)


def _too_short(data: EncodedData, context_len: int) -> Fact:
    """Games too short for an example: a warning for some, an error for all."""
    short = int((data.offsets.diff() <= context_len).sum())
    none_left = short == data.games
    return Fact(
        name="games too short",
        expected="none",
        actual=f"all {short}" if none_left else str(short) if short else "none",
        ok=not short,
        severity="error" if none_left else "warning",
        note=f"{context_len} frames or fewer give no example" if short else None,
    )


def value_facts(card: Card, report: ScanReport) -> Iterator[Fact]:
    """What reading every value found."""
    for name, kind in _FAULTS:
        found = [finding for finding in report.findings if finding.kind == kind]
        yield _finding_fact(name, found)
    severity: Severity = "error" if card.data.on_constant_columns == "fail" else "warning"
    constant = [
        f"{column.name} (always {column.minimum:g})" for column in (*report.floats, *report.ints) if column.constant
    ]
    shown = ", ".join(constant) or "none"
    yield Fact(name="constant columns", expected="none", actual=shown, ok=not constant, severity=severity)


def _count(name: str, expected: int | None, actual: int) -> Fact:
    shown = None if expected is None else str(expected)
    return Fact(name=name, expected=shown, actual=str(actual), ok=expected in (None, actual))


def _encoding(expectations: EncodingExpectations, data: EncodedData) -> Iterator[Fact]:
    """Every stated field, and whether the rest matches the model's encoding."""
    actual = data.encoding.model_dump()
    for name, value in expectations.stated().items():
        yield Fact(
            name=f"encoding: {name}", expected=_word(value), actual=_word(actual[name]), ok=actual[name] == value
        )
    differences = expectations.resolved().differences(data.encoding)
    yield Fact(
        name="encoding",
        expected="the one the model is built for",
        actual="; ".join(f"{each} in the file" for each in differences) or "the same",
        ok=not differences,
    )


def _rules(expectations: EncodingExpectations, data: EncodedData) -> Iterator[Fact]:
    """Encoder rules; a file without them cannot be compared with the card, which is only a warning."""
    for name, expected in expectations.rules.model_dump(exclude_none=True).items():
        found = sorted({str(getattr(rules, name)) if rules else "not recorded" for rules in data.rules})
        wrong = any(rules is not None and getattr(rules, name) != expected for rules in data.rules)
        yield Fact(
            name=f"encoder rule: {name}",
            expected=expected,
            actual=", ".join(found),
            ok=found == [expected],
            severity="error" if wrong else "warning",
        )
    if len(data.rules) > 1:
        yield Fact(
            name="encoder rules",
            expected="the same in every file",
            actual=f"{len(data.rules)} different ones",
            ok=False,
            severity="warning",
            note="files of one shape can follow different rules",
        )


def _sides(card: Card, data: EncodedData) -> Iterator[Fact]:
    """Whether each side of the split has games, and whether the demo's seed game exists."""
    train, validation = split_games(data.games, card.data.split.train)
    for name, games in (("training games", train), ("validation games", validation)):
        yield Fact(name=name, expected=None, actual=str(len(games)), ok=len(games) > 0)
    demo = demo_of(card)
    if demo is not None and isinstance(demo.seed_game, int):
        known = demo.seed_game < len(validation)
        actual = "there" if known else f"there are {len(validation)} validation games, counted from 0"
        yield Fact(name="demo.seed_game", expected=f"validation game {demo.seed_game}", actual=actual, ok=known)


def _finding_fact(name: str, findings: Sequence[DataFinding]) -> Fact:
    named = "; ".join(finding.message for finding in findings[:_NAMED])
    more = f"; and {len(findings) - _NAMED} more columns" if len(findings) > _NAMED else ""
    return Fact(name=name, expected="none", actual=f"{named}{more}" or "none", ok=not findings)


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

"""Patterns for the lines that a script prints, guessed from lines such as ``step 100: train loss 1.23, val loss 1.5``.

A line is taken apart into its numbers and the words before each. One number has to be counted by a word such as step,
iter or epoch; the others are values by their names. Lines that differ only in their numbers give one pattern.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from cardrunner.workloads.command.reports.base import Reading
from cardrunner.workloads.command.reports.patterns import LONGEST_LINE, pattern_fault
from cardrunner.workloads.command.reports.values import number, step_number
from cardrunner.workloads.command.trying.names import is_score, is_timing, is_validation

STDOUT: Final = "stdout, by a guess"
MOST_PATTERNS: Final = 5
"""Offered."""
_SURE: Final = 3
"""Lines after which a number that never changes counts nothing."""
_MOST_SHAPES: Final = 500
"""Different patterns that are counted."""
_MOST_NUMBERS: Final = 60
"""Of a line; one with more is a table or an array."""
_LINES_A_SECOND: Final = 2_000
"""Lines that are taken apart; a script may print a million."""
_NUMBER: Final = re.compile(
    r"(?<![A-Za-z0-9_.])[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?|(?<![\w.])[-+]?(?:nan|inf)(?!\w)", re.IGNORECASE
)
_AGAIN: Final = "_again"
_RANK: Final = re.compile(r"(?i)\[?\b(?:local_?)?(?:gpu|rank|worker|proc(?:ess)?)[ :=_#]?(\d{1,4})\b")
"""Which of a group of processes prints it."""
_UNIT: Final = re.compile(r"[A-Za-z/]+")
_NAME: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9_./@-]*(?:[ \t]+[A-Za-z][A-Za-z0-9_./@-]*){0,2})[\"']?\s*(?:[:=]|->)?\s*[\"'(\[]*\s*$"
)
_COUNTERS: Final = {
    **dict.fromkeys(("step", "steps", "global_step", "global-step"), 0),
    **dict.fromkeys(("iter", "iters", "iteration", "iterations", "it"), 1),
    **dict.fromkeys(("update", "updates"), 2),
    **dict.fromkeys(("round", "tree", "boosting"), 3),
    **dict.fromkeys(("batch",), 4),
}
"""Words that count steps, the best first."""
_PLURALS: Final = frozenset({"steps", "iters", "iterations", "updates"})
_BRACKETED: Final = re.compile(r"\s*\[\d+\]")
"""How xgboost counts."""
_EPOCHS: Final = frozenset({"epoch", "epochs", "ep"})
_FILLERS: Final = frozenset({"with", "and", "the", "at", "in", "is", "for", "of", "after", "a", "by", "to", "info"})


@dataclass(frozen=True)
class _Token:
    """A number of a line."""

    start: int
    end: int
    text: str
    name: str
    """The words before it; empty for none."""
    named_at: int
    """Where these words begin."""
    unit: str
    total: bool
    """It follows a number and a stroke, as in 3/10."""


@dataclass
class Shape:
    """Lines that differ in their numbers only."""

    pattern: str
    names: tuple[str, ...]
    count: int = 0
    went_back: int = 0
    first: int = -1
    newest: int = -1

    def by_epoch(self) -> Shape:
        """The same counted by epochs, where the step begins anew in each epoch or never changes."""
        counts = self.went_back == 0 and (self.count < _SURE or self.newest > self.first)
        if counts or not all(group in self.pattern for group in ("(?P<step>", "(?P<epoch>")):
            return self
        pattern = re.sub(r"\(\?P<epoch>[^)]*\)", r"(?P<epoch>\\d+)", self.pattern.replace(r"(?P<step>\d+)", r"\d+"))
        return replace(self, pattern=pattern, went_back=0)


@dataclass
class Uncounted:
    """Lines with values and without a step."""

    count: int = 0
    example: str = ""


@dataclass
class Guesser:
    """Takes the lines of a script and keeps what they could be read by."""

    shapes: dict[str, Shape] = field(default_factory=dict)
    uncounted: Uncounted = field(default_factory=Uncounted)
    left_out: int = 0
    """Lines that came faster than they are taken apart."""
    by_epochs: set[str] = field(default_factory=set)
    """Patterns whose lines are counted by epochs; those of an earlier start of the same script may be given."""
    _second: int = 0
    _taken: int = 0

    def line(self, text: str, at: float) -> Reading | None:
        """The values of a line by a guessed pattern.

        Args:
            text: without its end.
            at: seconds at which it came.
        """
        if int(at) != self._second:
            self._second, self._taken = int(at), 0
        self._taken += 1
        if self._taken > _LINES_A_SECOND:
            self.left_out += 1
            return None
        if not any(character.isdigit() for character in text[:LONGEST_LINE]):
            return None
        return self._read(text[:LONGEST_LINE])

    def _read(self, text: str) -> Reading | None:
        guessed = pattern_of(text)
        if guessed is None:
            if _RANK.search(text) is None and any(is_score(token.name) for token in _tokens(text)):
                self.uncounted.count += 1
                self.uncounted.example = self.uncounted.example or text.strip()[:160]
            return None
        shape = self.shapes.get(guessed.pattern)
        if shape is None:
            if len(self.shapes) >= _MOST_SHAPES:
                self.left_out += 1
                return None
            shape = self.shapes[guessed.pattern] = Shape(guessed.pattern, tuple(guessed.values))
        shape.first = guessed.step if shape.count == 0 else shape.first
        shape.count += 1
        shape.went_back += guessed.step < shape.newest
        shape.newest = max(shape.newest, guessed.step)
        if guessed.epoch is not None and shape.by_epoch() is not shape:
            self.by_epochs.add(shape.pattern)
        epoch = guessed.epoch
        by_epoch = epoch is not None and epoch.is_integer() and shape.pattern in self.by_epochs
        step = int(epoch) if epoch is not None and by_epoch else guessed.step
        return Reading(step, guessed.values, STDOUT, epoch)

    def best(self) -> list[Shape]:
        """The patterns to offer: those with scores before others, the most frequent first, none twice for its names."""
        taken: set[str] = set()
        found: list[Shape] = []
        shapes = [shape.by_epoch() for shape in self.shapes.values()]
        torn = [shape for shape in shapes if shape.count == 1 and any(_AGAIN in name for name in shape.names)]
        whole = [shape for shape in shapes if shape not in torn] or shapes
        ordered = sorted(whole, key=lambda shape: (-any(map(is_score, shape.names)), -shape.count, shape.pattern))
        for shape in ordered:
            if len(found) < MOST_PATTERNS and not taken.issuperset(shape.names):
                taken.update(shape.names)
                found.append(shape)
        return found


@dataclass(frozen=True)
class Guessed:
    """A pattern that reads a line, and what it reads there."""

    pattern: str
    step: int
    values: dict[str, float]
    epoch: float | None = None
    """Which counts the step as well where the line has no other."""


def pattern_of(line: str) -> Guessed | None:
    """A pattern for a line; None where no number is counted, or none is a value, and for a rank that leads no group."""
    tokens = list(_tokens(line))
    counter = _counter(line, tokens)
    if counter is None or ((rank := _RANK.search(line, 0, counter.start)) is not None and int(rank[1])):
        return None
    named = [token for token in tokens if token is not counter and _is_value(token)]
    scores = [token for token in named if is_score(token.name)] or [
        token for token in named if not is_timing(token.name)
    ]
    epoch = next((token for token in tokens if token is not counter and _last_word(token) in _EPOCHS), None)
    captured = sorted([counter, *scores, *([epoch] if epoch is not None else [])], key=lambda token: token.start)
    groups = _groups(line, captured, counter, epoch)
    pattern = _pattern(line, captured, groups)
    return _checked(pattern, line, len(scores)) if scores else None


def _checked(pattern: str, line: str, values: int) -> Guessed | None:
    """The pattern, if it has no fault and reads the line as it was meant."""
    if len(pattern) > 500 or not _is_usable(pattern) or (match := re.search(pattern, line)) is None:
        return None
    found = match.groupdict()
    epoch = found.pop("epoch", None)
    step = step_number(found.pop("step", epoch))
    read = {name: value for name, text in found.items() if (value := number(text)) is not None}
    return None if step is None or len(read) != values else Guessed(pattern, step, read, number(epoch))


@lru_cache(maxsize=1_024)
def _is_usable(pattern: str) -> bool:
    return pattern_fault(pattern) is None


def _tokens(line: str) -> Iterator[_Token]:
    end = 0
    for count, found in enumerate(_NUMBER.finditer(line)):
        if count >= _MOST_NUMBERS:
            return
        label = line[end : found.start()]
        named = _NAME.search(label)
        unit = _UNIT.match(line, found.end())
        total = label.strip() == "/" or (not label.strip(" /") and "/" in label)
        yield _Token(
            found.start(),
            found.end(),
            found[0],
            _without_fillers(named[1]) if named else "",
            end + named.end(1) - len(_without_fillers(named[1])) if named else found.start(),
            unit[0] if unit else "",
            total and count > 0,
        )
        end = unit.end() if unit else found.end()


def _without_fillers(name: str) -> str:
    words = name.split()
    while len(words) > 1 and words[0].lower() in _FILLERS:
        name = name[len(words[0]) :].lstrip()
        words = words[1:]
    return name


def _last_word(token: _Token) -> str:
    return re.split(r"[\s./]", token.name)[-1].lower() if token.name else ""


def _counter(line: str, tokens: Sequence[_Token]) -> _Token | None:
    """The number that is the step."""
    whole = [token for token in tokens if token.text.isdigit() and not token.total]
    counted = [token for token in whole if _last_word(token) in _COUNTERS]
    epochs = [token for token in whole if _last_word(token) in _EPOCHS]
    # "Epoch 3 | Steps: 64" says how many steps an epoch has
    if counted and not (epochs and all(_last_word(token) in _PLURALS for token in counted)):
        return min(counted, key=lambda token: _COUNTERS[_last_word(token)])
    return whole[0] if _BRACKETED.match(line) and whole else next(iter(epochs), None)


def _is_value(token: _Token) -> bool:
    counts = _last_word(token) in _COUNTERS or _last_word(token) in _EPOCHS
    return bool(token.name) and not token.total and not counts and not token.unit


def _groups(line: str, captured: Sequence[_Token], counter: _Token, epoch: _Token | None) -> list[str]:
    """The name of each number's group; one of a line about validation says so."""
    outside = "".join(line[a:b] for a, b in _gaps(captured))
    about = is_validation(re.sub(r"[^A-Za-z_]+", " ", outside))
    own = any(is_validation(token.name) for token in captured if token is not counter)
    groups: list[str] = []
    for token in captured:
        if token is counter or token is epoch:
            groups.append("epoch" if _last_word(token) in _EPOCHS else "step")
            continue
        name = re.sub(r"\W+", "_", token.name).strip("_")
        name = f"val_{name}" if about and not own and not name.startswith("val_") else name
        twice = sum(group == name or group.startswith(f"{name}{_AGAIN}") for group in groups)
        groups.append(f"{name}{_AGAIN}{twice}" if twice else name)
    return groups


def _gaps(captured: Sequence[_Token]) -> Iterator[tuple[int, int]]:
    """The places between the numbers and their names, from the beginning of the line."""
    end = 0
    for token in captured:
        yield end, token.named_at
        end = token.end


def _pattern(line: str, captured: Sequence[_Token], groups: Sequence[str]) -> str:
    about = re.search(
        r"(?i)\b(?:val|valid|validation|eval|evaluation|test|train|training)\b", line[: captured[0].start]
    )
    named_at = captured[0].named_at - (
        captured[0].named_at == captured[0].start and line[: captured[0].start][-1:] == "["
    )
    rank = _RANK.search(line, 0, captured[0].start)
    start = min([named_at, *(found.start() for found in (about, rank) if found is not None)])
    alone = rank is None and not line[:start].strip() and line[start : start + 1] == "["
    parts = ["^" if alone else ""]
    if rank is not None:  # whole: another rank's lines are no rows
        parts.append(_words(line[start : rank.end()]))
        start = rank.end()
    for token, group in zip(captured, groups, strict=True):
        counts = group == "step" or (group == "epoch" and "step" not in groups)
        number = r"\d+" if counts else _class(line, token.end)
        parts += [_literal(line[start : token.start]), f"(?P<{group}>{number})"]
        start = token.end
    return "".join(parts)


def _class(line: str, end: int) -> str:
    following = line[end : end + 1]
    if following.isalnum():
        return r"[-+.\d]+"
    return (
        rf"[^\s,{re.escape(following)}]+" if following and not following.isspace() and following != "," else r"[^\s,]+"
    )


def _literal(text: str) -> str:
    """Text between two groups: numbers may be others, and so may be the amount of space."""
    parts, end = [], 0
    for found in _NUMBER.finditer(text):
        parts += [_words(text[end : found.start()]), _class(text, found.end())]
        end = found.end()
    return "".join((*parts, _words(text[end:])))


def _words(text: str) -> str:
    """Text without numbers: space beside a number may be more or less, as numbers are padded."""
    words = [word for word in re.split(r"(\s+)", text) if word]
    last = len(words) - 1
    escaped = "".join(
        (" " if word == " " and 0 < at < last else r"\s+") if word.isspace() else re.escape(word).replace(r"\-", "-")
        for at, word in enumerate(words)
    )
    return re.sub(r"([:=])(?:\\s\+)?$", r"\1\\s*", escaped)

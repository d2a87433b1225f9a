"""Which regular expressions can read metrics, and how long the lines may be that they search."""

from __future__ import annotations

import re
import re._compiler as sre_compiler  # type: ignore[import-not-found]
import re._constants as sre  # type: ignore[import-not-found]
import re._parser as sre_parser  # type: ignore[import-not-found]
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from cardrunner.workloads.command.reports.base import MOST_NAMES
from cardrunner.workloads.command.reports.values import LONGEST_NAME

STEP, EPOCH = "step", "epoch"
LONGEST_LINE = 2_000
"""Characters of a line that any pattern searches."""
_LENGTHS = (LONGEST_LINE, LONGEST_LINE, LONGEST_LINE, 1_000, 300)
"""The same by the power of the length with which the time of a search grows at worst."""
_MANY = 8
"""A repeat of at least as many times counts as one without an end."""
_CHARACTERS = [chr(code) for code in range(9, 128)] + ["é"]


def pattern_fault(pattern: str) -> str | None:
    """Why a pattern cannot read metrics, with what to write; None if it can."""
    try:
        compiled, parsed = re.compile(pattern), sre_parser.parse(pattern)
    except re.error as error:
        at = "" if error.pos is None else f" at character {error.pos + 1}"
        return f"is no regular expression: {error.msg}{at}"
    except (RecursionError, OverflowError):
        return "is no regular expression that can be used: it is nested too deep, or repeats too often"
    return _fault_of_names(compiled) or _fault_of_time(compiled, parsed)


def value_names(pattern: str) -> tuple[str, ...]:
    """The names of the values that a pattern without a fault reads."""
    return tuple(name for name in re.compile(pattern).groupindex if name not in (STEP, EPOCH))


def searched_length(pattern: str) -> int:
    """Characters of a line that a pattern without a fault searches, so that a search takes about a second at worst."""
    return _LENGTHS[min(_power(sre_parser.parse(pattern)), len(_LENGTHS) - 1)]


def _fault_of_names(compiled: re.Pattern[str]) -> str | None:
    names = [name for name in compiled.groupindex if name not in (STEP, EPOCH)]
    if not compiled.groupindex:
        return r"has no named group; write (?P<step>\d+) for the step and (?P<loss>\S+) for a value"
    if not names:
        return r"names no value beside the step; write a group such as (?P<loss>\S+)"
    if not {STEP, EPOCH} & compiled.groupindex.keys():
        return r"names no step; write a group (?P<step>\d+), or (?P<epoch>\d+) where only epochs are printed"
    if len(names) > MOST_NAMES or any(len(name) > LONGEST_NAME for name in names):
        return "names too many groups, or has a name that is too long"
    return None


def _fault_of_time(compiled: re.Pattern[str], parsed: Iterable[Any]) -> str | None:
    if _nested_repeat(parsed):
        return "repeats what itself repeats or has alternatives, such as (a+)+, and may take forever; write one repeat"
    if (power := _power(parsed)) >= len(_LENGTHS):
        return (
            f"has {power - 1} repeats such as .* that can end in many places, and may take forever; write the words"
            r" between the numbers, and \d+ or [^,]* in place of .*"
        )
    if compiled.search("") is not None:
        return "matches an empty line, and so every line; write some of the words that stand around the numbers"
    return None


def _nested_repeat(parsed: Iterable[Any], *, inside: bool = False) -> bool:
    """Whether a repeat of many times holds a choice, whatever groups are between: exponential time at worst."""
    for code, argument in parsed:
        if code in _REPEATS:
            least, most, body = argument
            if (inside and least != most) or _nested_repeat(body, inside=inside or most >= _MANY):
                return True
        elif (code is sre.BRANCH and inside) or any(_nested_repeat(body, inside=inside) for body in _bodies(argument)):
            return True
    return False


_REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT)
_SINGLE = (sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN)


class _Item(NamedTuple):
    """A part of a pattern in the order of the text that it matches."""

    characters: frozenset[str]
    repeats: bool = False
    optional: bool = False


def _power(parsed: Iterable[Any]) -> int:
    """The power of a line's length with which the time of a search grows at worst: one for the place where it begins,
    and one for each repeat that can end in more than one place, because what follows may be one of its characters."""
    power, following = 1, frozenset[str]()
    for item in reversed(list(_items(parsed))):
        power += item.repeats and bool(item.characters & following)
        following = item.characters | (following if item.optional else frozenset())
    return power


def _items(parsed: Iterable[Any]) -> Iterator[_Item]:
    for code, argument in parsed:
        if code in _SINGLE:
            yield _Item(_characters(code, argument))
        elif code in _REPEATS:
            least, most, body = argument
            inner = list(_items(body))
            if most < _MANY:
                yield from (item._replace(optional=item.optional or least == 0) for item in inner)
            else:
                every = frozenset[str]().union(*(item.characters for item in inner))
                yield _Item(every, repeats=least != most, optional=least == 0)
        else:
            for body in _bodies(argument):
                yield from _items(body)


def _bodies(argument: Any) -> Iterator[Iterable[Any]]:
    """The parts of a pattern inside the argument of an operation: of groups, branches and look-arounds."""
    if isinstance(argument, sre_parser.SubPattern):
        yield argument
    elif isinstance(argument, tuple | list):
        for part in argument:
            yield from _bodies(part)


def _characters(code: Any, argument: Any) -> frozenset[str]:
    """Which of the usual characters an item of one character may be."""
    return _matching(code, tuple(argument) if isinstance(argument, list) else argument)


@lru_cache(maxsize=256)
def _matching(code: Any, argument: Any) -> frozenset[str]:
    single = sre_parser.SubPattern(sre_parser.State(), [(code, list(argument) if code is sre.IN else argument)])
    compiled = sre_compiler.compile(single)
    return frozenset(character for character in _CHARACTERS if compiled.fullmatch(character))

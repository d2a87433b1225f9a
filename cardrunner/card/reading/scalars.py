"""Unquoted scalars by the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema).

Narrower on purpose: a number is refused if it cannot be held exactly, is not finite, or is written in a way that other
YAML versions read differently.
"""

from __future__ import annotations

import math
import re

from cardrunner.card.reading.document import Value

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o([0-7]+)|0x([0-9a-fA-F]+)")
_SIGN_INSIDE = re.compile(r"0[ox][-+][0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_SEPARATED = re.compile(r"[-+]?(?:0[ox][0-9a-fA-F_]*|[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9_]+)?)")
_PADDED = re.compile(r"([-+]?)0+([0-9].*)")
_LARGEST = 2**53
_MOST_DIGITS = 1000


def resolve(text: str) -> Value:
    """An unquoted scalar as null, bool, int, float or, failing these, the text itself.

    Raises:
        ValueError: a number that is not plain, exact or finite; the text is one sentence.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("a card needs finite numbers; write a number, or null for no value")
    if "_" in text and _SEPARATED.fullmatch(text):
        bare = _short(text.replace("_", ""))
        raise ValueError(f"a number has no underscores; write {bare}, or quote it if it is text")
    if _SIGN_INSIDE.fullmatch(text):
        raise ValueError("this is text, but a number to some readers; write the number in digits, or quote the text")
    based = _BASED.fullmatch(text)
    if based or _FLOAT.fullmatch(text):
        return _number(text, based)
    return text


def _number(text: str, based: re.Match[str] | None) -> int | float:
    if len(text) > _MOST_DIGITS:
        raise ValueError("this number has too many digits; round it, or quote it if it is text")
    if based:
        return _exact(int(based[1], 8) if based[1] else int(based[2], 16))
    padded = _PADDED.fullmatch(text)
    if padded:
        raise ValueError(
            f"a number has no leading zero; write {_short(padded[1] + padded[2])}, or quote it if it is text"
        )
    return _exact(int(text)) if _INTEGER.fullmatch(text) else _finite(text)


def _exact(number: int) -> int:
    if abs(number) > _LARGEST:
        raise ValueError(
            "a whole number beyond 2^53 is not exact everywhere; write an exponent, or quote it if it is text"
        )
    return number


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("this number is too large to be held; write a smaller one, or quote it if it is text")
    if number == 0 and re.search(r"[1-9]", re.split("[eE]", text)[0]):
        raise ValueError("this number is so small that it would read as 0; write 0, or quote it if it is text")
    return number


def _short(text: str) -> str:
    return text if len(text) <= 30 else f"{text[:30]}…"

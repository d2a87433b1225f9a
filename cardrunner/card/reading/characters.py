"""Bytes to text: UTF-8 only, and no character that reviewers cannot see or that reads differently from what it is.

Scripts and emoji pass: joiners (U+200C, U+200D) may follow a letter, mark or symbol that is not Latin, where writing
needs them, and one variation selector may follow a visible character.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

_BREAKS = "\u0085\u2028\u2029"
_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_CONTROL = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff"
_INVISIBLE = (
    r"\u00ad\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    r"\U0001d173-\U0001d17a\U000e0000-\U000e00ff"
)
_JOINERS = "\u200c\u200d"
_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"

_PRINTABLE_ALL_THE_SAME = frozenset("\u3164\uffa0").union(
    map(chr, range(0xFE00, 0xFE10)), map(chr, range(0xE0100, 0xE01F0))
)
"""What Python calls printable and a card may not hold, or only behind something visible."""


@lru_cache(maxsize=1)
def _forbidden() -> re.Pattern[str]:
    # compiled only for a text with unusual characters: compiling takes longer than reading most cards
    return re.compile(
        rf"\r(?!\n)|[{_BREAKS}{_BIDI}{_CONTROL}{_INVISIBLE}]"
        # the second class is everything a joiner may follow, negated: Latin, general punctuation, the start of the text
        rf"|(?<![^\x00-\u02ff\u2000-\u206f])[{_JOINERS}]"
        rf"|(?<![^\s{_SELECTORS}])[{_SELECTORS}]"
    )


@lru_cache(maxsize=1)
def _in_escapes() -> re.Pattern[str]:
    return re.compile(rf"\r|{_forbidden().pattern}")


_KINDS = (
    (rf"[\r{_BREAKS}]", "breaks the line in some programs only; use a plain line feed"),
    (rf"[{_BIDI}]", "can make text read differently than it is; delete it"),
    (rf"[{_CONTROL}]", "is a control character; delete it"),
    (".", "cannot be seen here; delete it"),
)


class NotUtf8Error(ValueError):
    """The bytes are not UTF-8.

    Args:
        offset: of the first byte that is not.
        message: one sentence.
    """

    def __init__(self, offset: int, message: str) -> None:
        self.offset = offset
        super().__init__(message)


def decode(data: bytes) -> str:
    """UTF-8 bytes as text, without one leading byte order mark, which some editors write.

    Raises:
        NotUtf8Error: naming the first byte that is wrong.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # the codec counts from behind a byte order mark
        start = error.start + (len(data) - len(error.object))
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise NotUtf8Error(0, "the file is UTF-16; save it as UTF-8") from None
        message = f"byte {start + 1} of the file (0x{data[start]:02x}) is not UTF-8 text; save the file as UTF-8"
        raise NotUtf8Error(start, message) from None


def plain(text: str) -> bool:
    """Whether every character is visible to every reader; False asks for a closer look, with `forbidden`."""
    seen = text.replace("\r\n", "").replace("\n", "").replace("\t", "")
    return seen.isprintable() and (seen.isascii() or _PRINTABLE_ALL_THE_SAME.isdisjoint(seen))


def forbidden(text: str) -> Iterator[tuple[int, str]]:
    """Offset and sentence of every character that a card may not hold."""
    for found in () if plain(text) else _forbidden().finditer(text):
        yield found.start(), _sentence(found[0])


def forbidden_value(value: str) -> str | None:
    """The sentence for a character that an escape such as ``\\u202e`` smuggled into a value, or None."""
    found = None if plain(value) and "\r" not in value else _in_escapes().search(value)
    return f"the escape for {_sentence(found[0])}" if found else None


def blanked(text: str) -> str:
    """The same text with U+FFFD for every forbidden character: parsing goes on and offsets stay."""
    return text if plain(text) else _forbidden().sub("\ufffd", text)


def has_joiner(text: str) -> bool:
    """Whether the text holds a joiner: fine in prose, not in a key."""
    return not text.isascii() and any(joiner in text for joiner in _JOINERS)


def _sentence(character: str) -> str:
    name = unicodedata.name(character, "")
    reason = next(reason for pattern, reason in _KINDS if re.match(pattern, character))
    return f"U+{ord(character):04X}{' ' if name else ''}{name} {reason}"

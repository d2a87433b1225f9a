"""Text as markdown that shows exactly that text, on one line.

Only characters with a meaning in GitHub's markdown at their place are escaped, so that a page also reads well as plain
text.
"""

from __future__ import annotations

import re
import unicodedata

_ALWAYS = re.compile(r"[\\`*\[\]|]|<(?=[A-Za-z/!?])")
_ENTITY = re.compile(r"&(?=#?\w+;)")
_EDGE_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_CLOSING_TILDE = re.compile(r"(?<=\S)~|~(?![0-9])")
_BLOCK_START = re.compile(r"[#+\-=:>]|\d{1,9}(?=[.)](?:\s|$))")
_HEADING_END = re.compile(r"(?<=\s)#+$")
_JOINERS = "\u200c\u200d"  # several scripts use these
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


class Markdown(str):
    """Text that is markdown already; `escape` returns it unchanged."""

    __slots__ = ()


def escape(value: object) -> str:
    """One value for any inline place of a page, a table cell included.

    Runs of white space, line breaks too, become one space; invisible characters and those that change the direction of
    the text become a replacement mark.
    """
    if isinstance(value, Markdown):
        return str(value)
    text = as_one_line(value)
    text = _ALWAYS.sub(r"\\\g<0>", text)
    text = _ENTITY.sub(r"\\&", text)
    text = _EDGE_UNDERSCORE.sub(r"\\_", text)
    text = _CLOSING_TILDE.sub(r"\\~", text)
    text = _BLOCK_START.sub(_start, text, count=1) if _BLOCK_START.match(text) else text
    return _HEADING_END.sub(r"\\\g<0>", text)


def code(value: object) -> Markdown:
    """A value as a code span, or as escaped text if a code span cannot hold it."""
    text = as_one_line(value)
    return Markdown(f"`{text}`" if text and not re.search(r"[`|\\]", text) else escape(text))


def paragraphs(text: str) -> list[str]:
    """Free text split at its blank lines."""
    return [part for part in re.split(r"\n\s*\n", text) if part.strip()]


def as_one_line(value: object) -> str:
    """A value's text with single spaces and without invisible characters."""
    return " ".join("".join(map(_visible, str(value))).split())


def _start(found: re.Match[str]) -> str:
    return f"{found[0]}\\" if found[0].isdigit() else f"\\{found[0]}"


def _visible(character: str) -> str:
    if character.isspace():
        return " "
    unseen = unicodedata.category(character) in _UNSEEN and character not in _JOINERS
    return "\N{REPLACEMENT CHARACTER}" if unseen else character

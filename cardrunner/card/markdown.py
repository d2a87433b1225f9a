"""The review page: a card as markdown.

Card text enters the template only as values, and every value goes through `escape`, which keeps it readable and removes
its markdown meaning: no text of a card can become a table row, a heading or a ticked box. Only characters with a
meaning in GitHub's markdown at their place are escaped, so that the page also reads well as plain text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from cardrunner.card.load import LoadedCard
from cardrunner.card.page import Page

if TYPE_CHECKING:
    from jinja2 import Environment


TEMPLATE = "card.md.j2"


def render_card(loaded: LoadedCard, *, floors: Sequence[str] = ()) -> str:
    """The page that reviewers read, ending with the sign-off boxes.

    Args:
        loaded: the card.
        floors: the files whose rules its sign-off has to fulfil, the workspace's own first.
    """
    page = _environment().get_template(TEMPLATE).render(page=Page(loaded), card=loaded.card, floors=floors)
    return page.rstrip("\n") + "\n"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # needed only for rendering

    environment = Environment(
        loader=PackageLoader("cardrunner.card"),
        undefined=StrictUndefined,
        finalize=escape,  # for every value; HTML escaping would not cover pipes, links and boxes
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(code=code, paragraphs=paragraphs, markdown=Markdown)
    return environment


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

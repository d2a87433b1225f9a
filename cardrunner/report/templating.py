"""Templates whose every value is escaped for markdown: no text of a card or a record can forge a row or a heading."""

from __future__ import annotations

from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cardrunner.card.escaping import code, escape
from cardrunner.report.table import Code, Strong

ABSENT = "–"


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The Jinja environment of the results card."""
    return Environment(
        loader=PackageLoader("cardrunner.report"),
        undefined=StrictUndefined,
        autoescape=True,  # `finalize` escapes first and marks its result; what it did not see would still be escaped
        finalize=to_markdown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def to_markdown(value: object) -> Markup:
    """A value as markdown on one line: None is a dash, `Code` a code span, `Strong` bold, text is only ever text."""
    if isinstance(value, Markup):  # the output of a macro, whose own values came through here
        return value
    if value is None:
        return Markup(ABSENT)
    if isinstance(value, Code):
        return Markup(code(value.text))
    if isinstance(value, Strong):
        return Markup(f"**{escape(value.text)}**")
    return Markup(escape(value))

"""The review page: a card as markdown.

Card text enters the template only as values, and every value goes through `escape`, which keeps it readable and removes
its markdown meaning: no text of a card can become a table row, a heading or a ticked box.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from cardrunner.card.escaping import Markdown, code, escape, paragraphs
from cardrunner.card.load import LoadedCard
from cardrunner.card.page import Page

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATE = "card.md.j2"


def render_card(loaded: LoadedCard) -> str:
    """The page that reviewers read, ending with the sign-off boxes."""
    page = _environment().get_template(TEMPLATE).render(page=Page(loaded), card=loaded.card)
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

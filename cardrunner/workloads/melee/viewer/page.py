"""The viewer's page: HTML, style, script and matches in one file that needs nothing else and asks nothing of a network.

The sources are the files in ``assets``, plain HTML, CSS and JavaScript; nothing is built but this joining of them. A
content security policy names the digests of exactly this style and this script, so nothing that a match file says can
run, whatever it says.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cardrunner.runs.files import write_text
from cardrunner.workloads.melee.action_words import action_words
from cardrunner.workloads.melee.names import ACTION_NAMES, CHARACTER_NAMES

PAGE_NAME: Final = "match.html"
_SCRIPTS: Final = (
    *("base", "match", "events", "read"),
    *("fighter", "stage", "pad", "card", "view", "timeline"),
    *("playback", "about", "hands", "app"),
)
"""In the order in which they are joined: what is read, what is drawn, what is done."""
_STYLES: Final = ("theme", "controls", "page", "stage", "player", "deck", "more", "small")
"""Likewise; what has little room to spare comes last and overrules."""
_TEMPLATE: Final = "page.html.j2"


def write_page(path: Path, matches: Sequence[Mapping[str, Any]], *, title: str) -> None:
    """Write the page, whole or not at all.

    Args:
        path: the HTML file.
        matches: from ``pack_match``; the first is shown, the others can be chosen to compare with it. None: the page
            asks for a file.
        title: of the browser's window.

    Raises:
        EnvironmentFailed: the disk refuses.
    """
    write_text(path, page_text(matches, title=title))


def page_text(matches: Sequence[Mapping[str, Any]], *, title: str) -> str:
    """The page as text; arguments as `write_page`."""
    style, script = _style(), _script()
    return (
        _environment()
        .get_template(_TEMPLATE)
        .render(
            title=title,
            style=Markup(style),
            style_hash=_digest(style),
            script=Markup(script),
            script_hash=_digest(script),
            payload=json_for_html({"names": _names(), "matches": matches}),
        )
    )


def json_for_html(value: object) -> Markup:
    """Strict JSON that may stand inside a script element: no character in it can end the element or a line of code."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # json.dumps has escaped U+2028, U+2029 and everything else beyond ASCII


def _names() -> dict[str, Any]:
    labels = [action_words(action) for action in range(len(ACTION_NAMES))]
    return {"actions": ACTION_NAMES, "labels": labels, "characters": CHARACTER_NAMES}


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(loader=PackageLoader(__package__, "assets"), undefined=StrictUndefined, autoescape=True)


@lru_cache(maxsize=1)
def _script() -> str:
    parts = "\n".join(_asset(f"{name}.js") for name in _SCRIPTS)
    return f'\n(() => {{\n"use strict";\n{parts}}})();\n'


@lru_cache(maxsize=1)
def _style() -> str:
    return "\n" + "\n".join(_asset(f"{name}.css") for name in _STYLES)


def _asset(name: str) -> str:
    return (resources.files(__package__) / "assets" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """A source expression of a content security policy."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"

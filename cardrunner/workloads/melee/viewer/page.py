"""The viewer's page: HTML, style, script and matches in one self-contained file that works offline.

The sources are the files in ``assets``, plain HTML, CSS and JavaScript; the only build step is joining them. A content
security policy lists the digests of this style and this script, so text in a match file can never run as code.
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

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cardrunner.runs.files import write_text
from cardrunner.workloads.melee.arena.match_columns import PLAYER_COLUMNS, Column, MatchColumns
from cardrunner.workloads.melee.encoding.layout import BUTTONS, STICK_STEP, STICKS, TRIGGER_STEP
from cardrunner.workloads.melee.game.names import ACTION_NAMES, CHARACTER_NAMES, action_words

PAGE_NAME: Final = "match.html"
_SCRIPTS: Final = (
    *("base", "match", "events", "read"),
    *("fighter", "stage", "pad", "card", "view", "timeline"),
    *("playback", "about", "hands", "app"),
)
"""In the order in which they are joined: reading, drawing, controls."""
_STYLES: Final = ("theme", "controls", "page", "stage", "player", "deck", "more", "small")
"""Likewise; rules for small screens come last and override."""
_TEMPLATE: Final = "page.html.j2"


def write_page(path: Path, matches: Sequence[Mapping[str, Any]], *, title: str) -> None:
    """Write the page, completely or not at all.

    Args:
        path: the HTML file.
        matches: from ``pack_match``; the first is shown, the others can be chosen to compare with it. Without any the
            page asks for a file.
        title: of the browser window.

    Raises:
        EnvironmentFailed: the disk is full, read-only or failing.
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
    """Strict JSON that is safe inside a script element: no character in it can end the element or a line of code."""
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


_HUNDREDTH: Final = 0.01
_YES: Final = ("u8", 1.0)
_PLACE: Final = ("i16", _HUNDREDTH)
_AMOUNT: Final = ("u16", _HUNDREDTH)
_FORMS: Final = {
    **dict.fromkeys(("x", "y", "ghost_x", "ghost_y"), _PLACE),
    **dict.fromkeys(("percent", "speed", "position_error"), _AMOUNT),
    "shield": _AMOUNT,
    "entropy": ("u16", 0.001),
    **dict.fromkeys(("action", "likely_0", "likely_1", "likely_2"), ("u16", 1.0)),
    **dict.fromkeys(("chance_0", "chance_1", "chance_2"), ("u8", 1 / 200)),
    **dict.fromkeys(STICKS, ("u8", STICK_STEP)),
    "shoulder": ("u8", TRIGGER_STEP),
    **dict.fromkeys(BUTTONS, _YES),
}
"""Kind and scale of columns; the others are whole numbers from 0 to 254."""
_TYPES: Final[dict[str, np.dtype[Any]]] = {
    "u8": np.dtype("u1"),
    "u16": np.dtype("<u2"),
    "i16": np.dtype("<i2"),
    "f32": np.dtype("<f4"),
}


def pack_match(match: MatchColumns, *, label: str, note: str = "") -> dict[str, Any]:
    """A match for the page.

    Args:
        match: the match.
        label: its name on the page, such as ``agents``.
        note: a sentence about it.
    """
    return {
        "label": label,
        "note": note,
        "meta": match.meta,
        "stage_geometry": match.stage_geometry,
        "summary": match.summary,
        "length": len(match),
        "sources": match.sources,
        "source": pack_column(match.source),
        "columns": {
            name: [pack_column(player[name], *_FORMS.get(name, _YES)) for player in match.players]
            for name in PLAYER_COLUMNS
        },
    }


def pack_column(values: Column, kind: str = "u8", scale: float = 1.0) -> dict[str, Any]:
    """One column, float32 (N,); values that do not fit into the kind are kept as f32."""
    known = np.isfinite(values)
    if not known.any():
        return {"constant": None}
    if known.all() and (values == values[0]).all():
        return {"constant": float(values[0])}
    dtype = _TYPES[kind]
    limits = np.iinfo(dtype)
    missing = limits.max if limits.min == 0 else limits.min
    numbers = np.rint(np.where(known, values, 0) / np.float64(scale))
    if (numbers < limits.min).any() or (numbers > limits.max).any() or (numbers == missing).any():
        return {"kind": "f32", "scale": 1, "missing": None, "data": _base64(values.astype(_TYPES["f32"]))}
    data = np.where(known, numbers, missing).astype(dtype)
    return {"kind": kind, "scale": scale, "missing": int(missing), "data": _base64(data)}


def _base64(values: np.ndarray[Any, Any]) -> str:
    return base64.b64encode(values.tobytes()).decode("ascii")

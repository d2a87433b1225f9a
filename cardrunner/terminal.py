"""Text of others on a terminal: what a script, a library or an exception wrote moves no cursor and hides no line."""

from __future__ import annotations

import re

TERMINAL_CODE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
"""A whole code, such as one that begins a colour."""
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters and those that turn the direction of text, but for tab, line feed and carriage return."""


def visible(text: str) -> str:
    """The text without terminal codes, and with every other control character as its number."""
    if _CONTROL.search(text) is None:
        return text
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), TERMINAL_CODE.sub("", text))

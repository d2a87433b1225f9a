"""What `cardrunner try` offers, pasted into a card as a person pastes it."""

from __future__ import annotations

import re


def pasted(card: str, paste: str) -> str:
    """The card with the offered fields in place of its own of the same name."""
    for section, lines in _blocks(paste.splitlines(), indent=0).items():
        if section in ("training", "infra", "timing"):
            fields = _blocks(lines[1:], indent=2)
            own = _blocks(card.splitlines(), indent=0)[section]
            kept = [line for key, block in _blocks(own[1:], indent=2).items() if key not in fields for line in block]
            lines = [own[0], *kept, *(line for block in fields.values() for line in block)]
        blocks = _blocks(card.splitlines(), indent=0)
        blocks[section] = lines
        card = "\n".join(line for block in blocks.values() for line in block) + "\n"
    return card


def _blocks(lines: list[str], *, indent: int) -> dict[str, list[str]]:
    """Lines by the key that they stand under."""
    found: dict[str, list[str]] = {"": []}
    key = ""
    for line in lines:
        if (match := re.match(rf"^ {{{indent}}}(\w+):", line)) is not None:
            key = match[1]
        found.setdefault(key, []).append(line)
    return found

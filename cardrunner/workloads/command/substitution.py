"""Values in place of ``{name}``, as the whole or a part of one argument; no shell ever reads it.

``{{`` and ``}}`` stand for braces.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from cardrunner.common.text import did_you_mean, listed

Parameter = str | bool | int | float
"""A value of ``training.parameters``."""
OWN: Final = ("out", "checkpoint", "run", "seed")
"""The names that every card has: the folder for what the script writes, the checkpoint to resume from, the name of the
run, and ``training.seed``."""
FILE: Final = "file:"
"""What begins the name of a file of ``training.files``."""
_NAME: Final = re.compile(r"\{\{|\}\}|\{([A-Za-z_][\w.-]*|file:[^{}]+)\}|[{}]")


class BadTextError(ValueError):
    """A text with a brace that begins or ends no name."""


def names_in(text: str) -> Iterator[str]:
    """The names in a text, in order.

    Raises:
        BadTextError: a brace stands alone.
    """
    for found in _NAME.finditer(text):
        if found[1] is not None:
            yield found[1]
        elif found[0] in "{}":
            meant = f"write {{name}} for a value, and {found[0] * 2} for a brace"
            raise BadTextError(f"has a {found[0]!r} that belongs to no name; {meant}")


def substituted(text: str, value: Callable[[str], str]) -> str:
    """A text with the value of each name in its place, and single braces.

    Args:
        text: without a lonely brace.
        value: from a name to what stands for it.
    """
    return _NAME.sub(lambda found: found[0][:1] if found[1] is None else value(found[1]), text)


def text_of(value: Parameter) -> str:
    """A value as an argument: as Python prints numbers, and true and false as cards write them."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def shown_command(words: Sequence[str]) -> str:
    """A command line as it could be typed."""
    return shlex.join(words)


def unknown_name(name: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    """The fault of a name that nothing defines."""
    guess = did_you_mean(name, known, otherwise=f"; there are {listed(known)}")
    return f"{{{name}}} is neither one of training.parameters nor a name that every run has{guess}"


def filled(content: Any, value: Callable[[str], str], parameters: Mapping[str, Parameter]) -> Any:
    """The content of a file with values in place of names; a text that is one parameter's name gets its typed value."""
    if isinstance(content, Mapping):
        return {substituted(key, value): filled(item, value, parameters) for key, item in content.items()}
    if isinstance(content, tuple | list):
        return [filled(item, value, parameters) for item in content]
    if not isinstance(content, str):
        return content
    whole = re.fullmatch(r"\{([A-Za-z_][\w.-]*)\}", content)
    return parameters[whole[1]] if whole and whole[1] in parameters else substituted(content, value)


def texts_in(content: Any) -> Iterator[str]:
    """Every text in the content of a file, keys of mappings among them."""
    if isinstance(content, Mapping):
        for key, item in content.items():
            yield key
            yield from texts_in(item)
    elif isinstance(content, tuple | list):
        for item in content:
            yield from texts_in(item)
    elif isinstance(content, str):
        yield content

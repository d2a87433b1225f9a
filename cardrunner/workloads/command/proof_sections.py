"""The sections of what proves a script's word: stated facts, commands beside the training, and the demo."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema

from cardrunner.card.schema.base import (
    TEXT_SCHEMA,
    ByteCount,
    Line,
    LineOrNumber,
    Lines,
    Number,
    Seconds,
    Section,
    ShortForm,
    one_or_many,
)
from cardrunner.card.schema.plan import DemoSection
from cardrunner.common.units import format_bytes, format_duration
from cardrunner.workloads.command.reports.patterns import EPOCH, STEP, pattern_fault
from cardrunner.workloads.command.substitution import BadTextError, names_in, shown_command, text_of


def _argument(value: str) -> str:
    if "\0" in value:
        raise ValueError("holds a NUL character, which no argument can")
    try:
        list(names_in(value))
    except BadTextError as error:
        raise ValueError(str(error)) from None
    return value


def _value_pattern(value: str) -> str:
    with suppress(re.error):
        if not re.compile(value).groupindex.keys() - {STEP, EPOCH}:
            raise ValueError(r"names no value; write a group such as (?P<val_loss>\S+)")
    stepped = value if "(?P<step>" in value or "(?P<epoch>" in value else f"{value}(?P<step>)"
    if (fault := pattern_fault(stepped)) is not None:
        raise ValueError(fault)
    return value


def _as_command(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError("must be a list of arguments, such as [python, preflight.py]; no shell reads it")
    return {"command": value} if isinstance(value, tuple) else value


def _as_fact(value: Any) -> Any:
    return value if isinstance(value, Mapping) else {"value": value}


Argument = Annotated[str, StringConstraints(max_length=10_000), AfterValidator(_argument)]
"""One argument, with ``{name}`` for values."""
Arguments = Annotated[tuple[Argument, ...], Field(min_length=1, max_length=1000)]
"""A command line: a list of arguments, which no shell reads."""
ValuePatterns = Annotated[
    tuple[
        Annotated[
            str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\n]*$"), AfterValidator(_value_pattern)
        ],
        ...,
    ],
    BeforeValidator(one_or_many),
    ShortForm(),
]
TOLERANCE: Final = 1e-5
"""As where this package measures itself."""


class BesideCommand(Section):
    """A command line beside the training, run in the run's copy of the code."""

    command: Arguments
    """A list of arguments, which no shell reads. {name} stands for a value."""
    timeout: Seconds = 600.0
    """When it has to have ended; else it is killed, and has failed."""


_ARGUMENTS_SCHEMA: dict[str, Any] = {"type": "array", "items": TEXT_SCHEMA, "minItems": 1}
Preflight = Annotated[
    BesideCommand,
    BeforeValidator(_as_command),
    WithJsonSchema(
        {
            "anyOf": [
                _ARGUMENTS_SCHEMA,
                {
                    "type": "object",
                    "properties": {"command": _ARGUMENTS_SCHEMA, "timeout": {"type": "string"}},
                    "required": ["command"],
                },
            ],
            "examples": [["python", "preflight.py"]],
        }
    ),
]


class EvaluateSection(BesideCommand):
    """A command that measures the kept best checkpoint again."""

    metrics: Lines = ()
    """The validation metrics that it measures; that of training.select where nothing is stated."""
    stdout: ValuePatterns = ()
    """Patterns of the lines that it prints, such as ``val_loss (?P<val_loss>\\S+)``; a step is not needed. Without
    them its metrics are read as those of the training."""
    tolerance: Annotated[Number, Field(ge=0)] = TOLERANCE
    """The largest difference from the recorded value that counts as equal, relative to values above 1."""


class StatedFact(Section):
    """What the script is expected to state of itself."""

    value: LineOrNumber
    """The value that it has to state."""
    tolerance: Annotated[Number, Field(ge=0)] = 0.0
    """The largest difference from it that counts as equal."""

    def holds(self, said: object) -> bool:
        """Whether what the script said is that value."""
        if isinstance(self.value, bool | str) or isinstance(said, bool | str):
            return text_of(self.value) == (text_of(said) if isinstance(said, bool) else str(said))
        if not isinstance(said, int | float) or not math.isfinite(said):
            return False
        return abs(said - self.value) <= self.tolerance

    def __str__(self) -> str:
        """The value, with what may differ from it."""
        return text_of(self.value) + (f" ± {self.tolerance:g}" if self.tolerance else "")


Facts = Annotated[
    dict[
        Line,
        Annotated[
            StatedFact,
            BeforeValidator(_as_fact),
            WithJsonSchema({"type": ["number", "string", "boolean", "object"], "examples": [108224]}),
        ],
    ],
    Field(max_length=200),
]


class CommandDemo(DemoSection):
    """The last look, by people: a command that shows what was trained."""

    command: Arguments
    """A list of arguments, which no shell reads. {checkpoint} is the best checkpoint, and {out} the folder whose files
    are kept."""
    timeout: Seconds = 600.0
    """When it has to have ended."""
    most: ByteCount = 100_000_000
    """The largest size of all files that it leaves."""

    @property
    def sentence(self) -> str:
        """Its command line."""
        return shown_command(self.command)

    def rows(self) -> Sequence[tuple[str, str]]:
        """Its limits."""
        kept = f"what it leaves in {{out}}, at most {format_bytes(self.most)}"
        return (("Has to end within", format_duration(self.timeout)), ("Kept", kept))

    @property
    def worded(self) -> Collection[str]:
        """Every field of its own."""
        return ("command", "timeout", "most")

    @property
    def beside(self) -> BesideCommand:
        """Its command line."""
        return BesideCommand.model_construct(command=self.command, timeout=self.timeout)

"""What stands for the names in a card's texts in one run: arguments, files and variables as the script gets them."""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cardrunner.runs.files import write_text
from cardrunner.runs.folder import RunFolder
from cardrunner.workloads.command.sections import CommandTraining
from cardrunner.workloads.command.substitution import FILE, Parameter, filled, substituted, text_of

_EXPONENT: Final = re.compile(r"^(-?\d+)(e[+-]\d+)$")


@dataclass(frozen=True)
class Filling:
    """The values of one run.

    Args:
        training: the card's section, with the values that restarts have set.
        folder: the run.
        checkpoint: what it resumes from; None for a beginning.
    """

    training: CommandTraining
    folder: RunFolder
    checkpoint: Path | None = None
    out: Path | None = None
    """``{out}`` and CARDRUNNER_OUT; that of the run where nothing is given."""
    metrics: Path | None = None
    """CARDRUNNER_METRICS; likewise."""

    def value(self, name: str) -> str:
        """What stands for a name of a card without faults."""
        if name.startswith(FILE):
            return str(self.folder.script_files / name.removeprefix(FILE))
        own = {"out": self.out or self.folder.script_out, "checkpoint": self.checkpoint, "run": self.folder.name}
        own["seed"] = self.training.seed  # type: ignore[assignment]  # a number
        if name in self.training.parameters:
            return text_of(self.training.parameters[name])
        return str(own[name])

    def text(self, text: str) -> str:
        """A text with its values."""
        return substituted(text, self.value)

    def pattern(self, text: str) -> str:
        """A pattern of paths with its values, whose own signs are no pattern."""
        return substituted(text, lambda name: glob.escape(self.value(name)))

    @property
    def argv(self) -> tuple[str, ...]:
        """The command line of an attempt, with the arguments to resume where there is a checkpoint."""
        resume = self.training.resume if self.checkpoint is not None else None
        more = resume if isinstance(resume, tuple) else ()
        return tuple(self.text(argument) for argument in (*self.training.command, *more))

    @property
    def environment(self) -> dict[str, str]:
        """The variables that are added to the script's environment."""
        own = {
            "CARDRUNNER_OUT": str(self.out or self.folder.script_out),
            "CARDRUNNER_RUN": self.folder.name,
            "CARDRUNNER_METRICS": str(self.metrics or self.folder.script_metrics),
        }
        return own | {name: self.text(value) for name, value in self.training.environment.items()}

    def write_files(self) -> None:
        """Write the files of the card for the script.

        Raises:
            EnvironmentFailed: one cannot be written.
        """
        for name, content in self.training.files.items():
            value = filled(content, self.value, self.training.parameters)
            self.folder.script_files.mkdir(exist_ok=True)
            write_text(self.folder.script_files / name, file_text(name, value))


def file_text(name: str, content: Any) -> str:
    """The text of a file: as it is, or as JSON, which is YAML too as long as its numbers have a point."""
    if isinstance(content, str):
        return content
    if name.endswith(".json"):
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    return "\n".join(_lines(content, "")) + "\n"


def _lines(content: Any, indent: str) -> Iterator[str]:
    if isinstance(content, Mapping) and content:
        for key, value in content.items():
            yield from _entry(f"{indent}{json.dumps(key, ensure_ascii=False)}:", value, indent)
    elif isinstance(content, list) and content:
        for value in content:
            yield from _entry(f"{indent}-", value, indent)
    else:
        yield indent + _scalar(content)


def _entry(head: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping | list) and value:
        yield head
        yield from _lines(value, f"{indent}  ")
    else:
        yield f"{head} {_scalar(value)}"


def _scalar(value: Parameter | Any | None) -> str:
    """A value of YAML. PyYAML reads 1e-05 as a text, and 1.0e-05 as a number."""
    text = json.dumps(value, ensure_ascii=False)
    return _EXPONENT.sub(r"\1.0\2", text) if isinstance(value, float) else text

"""The cases as their files describe them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

HERE = Path(__file__).parent
Base = Literal["signed", "crashed", "ended", "retrying", "far"]


class Case(BaseModel):
    """One attack, or one honest thing beside it; README.md says what each field means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    why: str
    base: Base
    steps: tuple[str, ...] = ()
    during: tuple[str, ...] = ()
    command: str
    exit: int
    says: tuple[str, ...] = ()
    afterwards: tuple[str, ...] = ()
    control: str | None = None
    attempt: Literal["recorded"] | None = None
    finding: str | None = None
    limit: bool = False
    long: bool = False

    @property
    def must_be_refused(self) -> bool:
        """Whether it is a forgery. An honest case is the control of others."""
        return self.control is not None


@dataclass(frozen=True)
class Command:
    """A command line: ``[cd FOLDER &&] [NAME=VALUE ...] cardrunner WORDS...``."""

    folder: str
    variables: dict[str, str]
    program: str
    words: tuple[str, ...]

    @classmethod
    def parse(cls, line: str) -> Command:
        """Take a line apart."""
        moved = re.fullmatch(r"cd (\S+) && (.*)", line, re.DOTALL)
        folder, rest = (moved[1], moved[2]) if moved else (".", line)
        words = shlex.split(rest)
        variables = {}
        while re.fullmatch(r"[A-Z_]+=.*", words[0]):
            name, _, variables[name] = words.pop(0).partition("=")
        return cls(folder, variables, words[0], tuple(words[1:]))


def cases() -> list[Case]:
    """Every case, in the order of the files."""
    files = sorted((HERE / "cases").glob("*.yaml"))
    return [Case.model_validate(row) for file in files for row in yaml.safe_load(file.read_text())]

"""What every reader of a script's metrics has in common: readings, and what could not be read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NamedTuple, Protocol

from cardrunner.common.redaction import hide, visible
from cardrunner.common.text import plural
from cardrunner.workloads.command.reports.values import LONGEST_NAME, number, step_number

Kind = Literal["validation", "log"]
"""What a row is about: a validation, or the training since the row before."""
MOST_NAMES = 1_000
"""Different names of values that are kept, in one reading and in all."""
MOST_FILES = 1_000
"""Files that one source reads."""
_EXAMPLE = 120
"""Characters of what could not be read that are shown."""
_VALIDATION = re.compile(
    r"(?:^|[/_.\s-])(?:val|valid|validation|eval|evaluation|dev|test)(?:$|[/_.\s-])", re.IGNORECASE
)


Sizes = Mapping[str, int]
"""Bytes by the path of a file."""


class Reading(NamedTuple):
    """The values that a script wrote for one step, at one place."""

    step: int
    values: Mapping[str, float]
    """By the names that the script gave them; NaN and infinities are values."""
    where: str
    """The source, such as ``stdout`` or ``csv logs/metrics.csv``."""
    epoch: float | None = None


class Source(Protocol):
    """A place where a script writes metrics; each instance serves one attempt."""

    name: str
    """As `Reading.where` has it."""
    garbage: Garbage
    """What was found there that is no metric."""

    def begin(self, sizes: Sizes | None = None) -> Sizes:
        """Remember what is there when the attempt begins: it proves no start and is left out from then on.

        Args:
            sizes: of a beginning whose watcher was killed: what was there at that time, instead of now.

        Returns:
            the sizes of the files that are left out.
        """
        ...

    def new(self, *, ended: bool = False) -> Iterator[Reading]:
        """What has been written since the call before; called about twice a second.

        A call reads a bounded amount. What is missing, replaced, shortened or renamed is looked for again at the next
        call, and no state of a file raises anything.

        Args:
            ended: the script has ended, so that a last line without its end counts as a line. Call until nothing comes.
        """
        ...


@dataclass
class Garbage:
    """How much was unreadable, and the first of it."""

    count: int = 0
    first: str = ""
    shown: bool = False

    def add(self, what: object, where: str = "") -> None:
        """Count one more; `what` is a reason or the text itself, of which only the first is kept."""
        self.count += 1
        if self.count == 1:
            text = what.decode(errors="replace") if isinstance(what, bytes) else str(what)
            text = visible(hide(text[: 4 * _EXAMPLE])).strip()
            self.first = f"{where}: {shortened(text)}" if where else shortened(text)

    def told(self, name: str) -> str | None:
        """A sentence about it, once; None before the first and after it was shown."""
        if not self.count or self.shown:
            return None
        self.shown = True
        return f"{name}: {plural(self.count, 'entry', 'entries')} so far cannot be read; the first: {self.first}"


def shortened(text: str, most: int = _EXAMPLE) -> str:
    """The beginning of a long text, with an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + "…"


def kind_hint(name: str) -> Kind:
    """What a value's name says about its kind: one with a word such as val or eval is of a validation."""
    return "validation" if _VALIDATION.search(name) else "log"


STEP_NAMES = ("step", "global_step", "iteration", "iter", "epoch")
"""Names under which scripts write the step; the first that is there counts."""


@dataclass(frozen=True)
class Taking:
    """How the cells of a line become a reading.

    Args:
        where: the source.
        garbage: where values that are no numbers are counted.
        wanted: the names that the card reads. A line may hold anything else as well.
        step: the name that is the step; None for the first of `STEP_NAMES`.
    """

    where: str
    garbage: Garbage
    wanted: frozenset[str] = frozenset()
    step: str | None = None

    def reading(self, cells: Mapping[str, object]) -> Reading | None:
        """The numbers of a line; None where it has none, or no step, which is garbage if a wanted name is there."""
        name = self.step_name(cells)
        step = None if name is None else step_number(cells[name])
        if step is None:
            if not self.wanted.isdisjoint(cells):
                self.garbage.add(f"no step in {shortened(str(dict(islice(cells.items(), 8))))}", self.where)
            return None
        values: dict[str, float] = {}
        for key, value in cells.items():
            if key == name or value is None or value == "":
                continue
            found = number(value)
            if found is not None and len(values) < MOST_NAMES and len(key) <= LONGEST_NAME:
                values[key] = found
            elif key in self.wanted:
                self.garbage.add(f"{key} = {shortened(repr(value))}", self.where)
        epoch = values.get("epoch") if name != "epoch" else float(step)
        return Reading(step, values, self.where, epoch) if values else None

    def step_name(self, cells: Mapping[str, object]) -> str | None:
        """The name of the step among those of a line."""
        if self.step is not None:
            return self.step if cells.get(self.step) not in (None, "") else None
        for name in STEP_NAMES:
            if name in cells and cells[name] not in (None, ""):
                return name
        return None

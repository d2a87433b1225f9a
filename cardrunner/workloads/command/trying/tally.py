"""Which values came, from where, how often and at what steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from cardrunner.workloads.command.reports.base import MOST_NAMES, Reading


@dataclass
class Value:
    """One name of one source.

    Args:
        where: the source.
        name: as the script wrote it.
    """

    where: str
    name: str
    count: int = 0
    first_step: int = 0
    last_step: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    """Seconds since the script was started."""
    newest: float = 0.0
    went_back: int = 0

    def add(self, step: int, value: float, at: float) -> None:
        """Take one more."""
        if not self.count:
            self.first_step, self.first_at = step, at
        elif step < self.last_step:
            self.went_back += 1
        self.count += 1
        self.last_step, self.last_at, self.newest = max(step, self.last_step), at, value

    @property
    def every_steps(self) -> float | None:
        """Steps between two of them; None before the second."""
        return (self.last_step - self.first_step) / (self.count - 1) if self.count > 1 else None

    @property
    def every_seconds(self) -> float | None:
        """Seconds between two of them; None before the second, and for those that came at once."""
        passed = self.last_at - self.first_at
        return passed / (self.count - 1) if self.count > 1 and passed > 0 else None


@dataclass
class Tally:
    """The values of all sources, each name of a source apart."""

    values: dict[tuple[str, str], Value] = field(default_factory=dict)

    def add(self, reading: Reading, at: float) -> None:
        """Count the values of a reading that came at some seconds after the start."""
        for name, value in reading.values.items():
            key = reading.where, name
            if key not in self.values and len(self.values) >= MOST_NAMES:
                continue
            self.values.setdefault(key, Value(*key)).add(reading.step, value, at)

    def of(self, where: str) -> Iterator[Value]:
        """The values of one source."""
        return (value for value in self.values.values() if value.where == where)

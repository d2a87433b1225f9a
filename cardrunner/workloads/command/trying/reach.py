"""How far the rows of a trial came by the card's length, and how long the whole would take by that."""

from __future__ import annotations

from dataclasses import dataclass, field

from cardrunner.common.text import plural
from cardrunner.workloads.command.recording import Distance
from cardrunner.workloads.command.reports.base import Reading
from cardrunner.workloads.command.reports.rows import ReportedRow
from cardrunner.workloads.command.sections import CommandTraining


@dataclass
class Reach:
    """The progress of the first start.

    Args:
        training: the card's section.
    """

    training: CommandTraining
    first_at: float | None = None
    """Seconds until the first row; None before it."""
    step: int = 0
    _first: float | None = None
    _newest: tuple[float, float] | None = None
    """The time and the share of the newest row with a progress."""
    _distance: Distance = field(init=False)

    def __post_init__(self) -> None:
        self._distance = Distance(self.training)

    def row(self, row: ReportedRow, at: float) -> None:
        """Take a row that came at some seconds after the start."""
        self.first_at = at if self.first_at is None else self.first_at
        self.step = max(self.step, row.step)
        if self._distance.row(row) is None or (share := self._distance.share) is None:
            return
        if self._first is None:
            self._first, self.first_at = share, at
        self._newest = at, share

    def reading(self, reading: Reading, at: float) -> None:
        """Take what a card without sources of its own would read as a row."""
        read = self.training.length.read if self.training.length is not None else None
        epoch = reading.epoch if read is None else reading.values.get(read, reading.epoch)
        self.row(ReportedRow("log", reading.step, epoch, reading.values, (reading.where,)), at)

    @property
    def share(self) -> float | None:
        """The part of the whole that the newest row is at; None where nothing tells it."""
        return None if self._newest is None else self._newest[1]

    @property
    def whole_seconds(self) -> float | None:
        """How long the whole would take at the pace of the rows; None before two of them."""
        if self._newest is None or self._first is None or self.first_at is None or self._newest[1] <= self._first:
            return None
        at, share = self._newest
        return at + max(0.0, 1 - share) * (at - self.first_at) / (share - self._first)

    @property
    def length(self) -> str:
        """What the card counts, in words; empty where it counts nothing."""
        epochs, steps = self.training.planned_epochs, self.training.planned_steps
        return plural(epochs, "epoch") if epochs else plural(steps, "step") if steps else ""

    def sentence(self) -> str:
        """How far they came, or why nothing tells it."""
        epochs, steps = self.training.planned_epochs, self.training.planned_steps
        if self._newest is None:
            return f"nothing tells the progress: {self._why_none()}"
        share = f"{min(1.0, self._newest[1]):.0%}".replace("%", " %")
        if epochs is not None:
            return f"rows came up to epoch {min(self._newest[1] * epochs, epochs):g} of {epochs:,}, {share}"
        return f"rows came up to step {self.step:,} of {steps:,}, {share}"

    def _why_none(self) -> str:
        if self.first_at is None:
            return "no row came"
        if self.training.planned_epochs is None:
            return "the card has no training.length"
        if self.training.length is not None and self.training.length.read is not None:
            return f"training.length counts epochs by {self.training.length.read}, which did not come"
        group = r"a group (?P<epoch>\d+) of a pattern"
        return f"training.length counts epochs, and no row has one; name it by {group} or by training.length.from"

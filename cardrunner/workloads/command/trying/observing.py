"""What is seen of a script in a trial: the rows that the card declares, what else it reports, and its checkpoints."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cardrunner.workloads.command.filling import Filling
from cardrunner.workloads.command.reports.base import Reading, Source
from cardrunner.workloads.command.reports.missing import Missing, names_seen
from cardrunner.workloads.command.reports.patterns import value_names
from cardrunner.workloads.command.reports.rows import ReportedRow, Rows
from cardrunner.workloads.command.reports.table import Places, sources
from cardrunner.workloads.command.sections import CommandTraining
from cardrunner.workloads.command.trying.checkpoint_files import CheckpointFiles
from cardrunner.workloads.command.trying.found_files import FoundFiles
from cardrunner.workloads.command.trying.guessing import STDOUT, Guesser
from cardrunner.workloads.command.trying.names import is_score
from cardrunner.workloads.command.trying.place import TrialPlace
from cardrunner.workloads.command.trying.reach import Reach
from cardrunner.workloads.command.trying.tally import Tally, Value

_SEARCH_SECONDS: Final = 1.0
DECLARED: Final = "the card"
"""The source of declared rows in the tally."""


@dataclass
class Observer:
    """Watches what a script writes, over all of its starts.

    Args:
        training: the card's section.
        place: where the trial runs.
    """

    training: CommandTraining
    place: TrialPlace
    guesser: Guesser = field(default_factory=Guesser)
    tally: Tally = field(default_factory=Tally)
    declared: Tally = field(default_factory=Tally)
    first_step: int | None = None
    """The step of the first row since `begin`."""
    _lines: queue.SimpleQueue[tuple[float, Reading]] = field(default_factory=queue.SimpleQueue)
    _searched_at: float = 0.0
    _counts: bool = True
    reach: Reach = field(init=False)

    def __post_init__(self) -> None:
        self.began, self._listening = time.monotonic(), self.guesser
        workdir = self.place.code / (self.training.workdir or ".")
        roots = {self.place.folder.script_out: "{out}", workdir: ""}
        before = frozenset(path for root in roots for path in root.rglob("*"))
        self.files, self.checkpoints = FoundFiles(roots, before), CheckpointFiles(roots, before)
        self.workdir, self._sources = workdir, self._declared_sources(workdir)
        self.reach = Reach(self.training)
        self.begin()

    def begin(self) -> None:
        """The script is started now; the rows of a second start are looked at, and not counted."""
        read = self.training.length.read if self.training.length is not None else None
        self.rows = Rows([metric.declared() for metric in self.training.metrics], epoch_from=read)
        self.first_step = None

    def begin_again(self) -> None:
        """The script is started once more."""
        self._counts, self._listening = False, Guesser(by_epochs=self.guesser.by_epochs)
        self.checkpoints.begin_again()
        self.begin()

    @property
    def nothing_declared(self) -> bool:
        """Whether the card names no place where metrics are read, as a new one."""
        return len(self._sources) == 1 and not self.training.report.wandb

    @property
    def seconds(self) -> float:
        """Since the first start."""
        return time.monotonic() - self.began

    def line(self, text: str) -> None:
        """Take a line that the script printed; called by the thread that reads them."""
        at = self.seconds
        if (reading := self._listening.line(text, at)) is not None:
            self._lines.put((at, reading))

    def tick(self, *, ended: bool = False) -> None:
        """Read what came."""
        at = self.seconds
        readings = [reading for source in self._sources for reading in _all(source, ended=ended)]
        self._take(self.rows.take(readings), at)
        if ended:
            self._take(self.rows.finish(), at)
        for reading in readings:
            self._add(reading, at)
        if ended or at - self._searched_at >= _SEARCH_SECONDS:
            self._searched_at = at
            self.files.search()
            self.checkpoints.look()
        for reading in self._found(ended=ended):
            self._guess_row(reading, at)
            self._add(reading, at)
        with suppress(queue.Empty):
            while True:
                came, reading = self._lines.get_nowait()
                self._guess_row(reading, came)
                self._add(reading, came)

    def _found(self, *, ended: bool) -> Iterator[Reading]:
        """Readings of files that the card does not name."""
        named = {source.name.partition(" ")[0] for source in self._sources}
        for source in self.files.sources():
            if source.name.partition(" ")[0] not in named:
                yield from _all(source, ended=ended)

    def _take(self, rows: Iterator[ReportedRow], at: float) -> None:
        for row in rows:
            self.first_step = row.step if self.first_step is None else self.first_step
            if self._counts:
                self.declared.add(Reading(row.step, row.values, DECLARED), at)
                self.reach.row(row, at)

    def _add(self, reading: Reading, at: float) -> None:
        if self._counts:
            self.tally.add(reading, at)

    def _guess_row(self, reading: Reading, at: float) -> None:
        """A row by its looks, where the card declares none; some libraries write settings as step 0."""
        if self.nothing_declared and any(map(is_score, reading.values)):
            self.first_step = reading.step if self.first_step is None else self.first_step
            if self._counts:
                self.reach.reading(reading, at)

    def missing(self) -> list[Missing]:
        """Declared metrics that did not come, with the names that did."""
        came = {value.name for value in self.declared.values.values()}
        for value in self.others():
            self.rows.seen.add(value.name, value.last_step)
        metrics = [metric.declared() for metric in self.training.metrics]
        return [
            Missing(metric.name, f"{' or '.join(metric.reads)} did not come; {names_seen(self.rows.seen, metric)}")
            for metric in metrics
            if metric.name not in came
        ]

    def others(self) -> list[Value]:
        """Values that came and that the card does not declare."""
        read = self.training.reads
        known = {name for pattern in self.training.report.stdout for name in value_names(pattern)}
        return [
            value
            for value in self.tally.values.values()
            if not (value.where != STDOUT and value.name in read and not self.nothing_declared)
            and not (value.where == STDOUT and value.name in known)
        ]

    def _declared_sources(self, workdir: Path) -> list[Source]:
        filling, folder = Filling(self.training, self.place.folder), self.place.folder
        places = Places(workdir, folder.script_log, folder.script_metrics, filling.pattern)
        return sources(self.training.report, places, wanted=self.training.reads)


def _all(source: Source, *, ended: bool) -> Iterator[Reading]:
    """What is new; to its end once the script has ended."""
    while found := list(source.new(ended=ended)):
        yield from found
        if not ended:
            return

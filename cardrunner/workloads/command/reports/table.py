"""What a card writes under `training.report`, and the source that reads each of it."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, StringConstraints, Tag, model_validator

from cardrunner.card.schema.base import TEXT_SCHEMA, FieldError, Line, Section, ShortForm, one_or_many
from cardrunner.common.text import did_you_mean, listed
from cardrunner.workloads.command.reports.base import Source
from cardrunner.workloads.command.reports.csv_files import csv_files
from cardrunner.workloads.command.reports.json_lines import json_lines
from cardrunner.workloads.command.reports.mlflow import mlflow_store
from cardrunner.workloads.command.reports.patterns import pattern_fault, value_names
from cardrunner.workloads.command.reports.script_lines import ScriptLines
from cardrunner.workloads.command.reports.stdout import Stdout
from cardrunner.workloads.command.reports.tensorboard import tensorboard
from cardrunner.workloads.command.reports.whole_json import dvclive, trainer_state


def _pattern(value: str) -> str:
    if (fault := pattern_fault(value)) is not None:
        raise ValueError(fault)
    return value


def _path(value: str) -> str:
    if ".." in value.split("/") or value.startswith("~"):
        raise ValueError("leaves the code folder; write a path relative to it, or one that begins with {out}")
    return value


def _as_file(value: Any) -> Any:
    return {"at": value} if isinstance(value, str) else value


def _kind(value: Any) -> str:
    return "<true or false>" if isinstance(value, bool) else "<a step>"


Pattern = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\n]*$"), AfterValidator(_pattern)]
"""A regular expression with a named group for the step and for each value."""
Glob = Annotated[Line, AfterValidator(_path)]
"""A path in the code folder or one that begins with ``{out}``, with ``*`` in names and ``**`` for any folders."""


class ReportFile(Section):
    """Files whose lines hold a step of their own."""

    at: Glob
    """The files; a path, or a pattern of paths."""
    step: Line | None = None
    """The column or key that is the step; the first of step, global_step, iteration, iter and epoch where nothing is
    stated."""


class WandbReport(Section):
    """Calls of ``wandb.log``."""

    step: Line | None = None
    """The name that is the step, such as iter; wandb's own counts calls."""


Patterns = Annotated[tuple[Pattern, ...], BeforeValidator(one_or_many), ShortForm()]
Globs = Annotated[tuple[Glob, ...], BeforeValidator(one_or_many), ShortForm()]
ReportFiles = Annotated[
    tuple[Annotated[ReportFile, BeforeValidator(_as_file), ShortForm(TEXT_SCHEMA)], ...],
    BeforeValidator(one_or_many),
    ShortForm(),
]
Wandb = Annotated[
    Annotated[bool, Tag("<true or false>")] | Annotated[WandbReport, Tag("<a step>")], Discriminator(_kind)
]


class ReportSection(Section):
    """Where the script's metrics are read; several sources may be mixed. What it says itself with the module
    ``cardrunner_script`` is always read."""

    stdout: Patterns = ()
    """Patterns of printed lines, such as ``iter (?P<step>\\d+): loss (?P<loss>\\S+),``. The groups step and epoch
    count, and every other group is a value by its name; a line that only has an epoch is counted by it."""
    tensorboard: Globs = ()
    """Event files, or folders with them."""
    csv: ReportFiles = ()
    """CSV or TSV files with a header, appended to or rewritten."""
    jsonl: ReportFiles = ()
    """Files with a JSON object on each line."""
    dvclive: Globs = ()
    """Folders that dvclive's ``Live`` writes to."""
    mlflow: Globs = ()
    """Folders of MLflow's file store; its tracking URI has to begin with ``file:``."""
    trainer_state: Globs = ()
    """Files trainer_state.json of Hugging Face's Trainer, or folders with them. They come with checkpoints only."""
    wandb: Wandb = False
    """Copy what the script gives to ``wandb.log``, and which name there is the step."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        seen: dict[str, str] = {}
        for kind, number, what in self._written():
            if what in seen:
                raise FieldError(f"is already a source, as {seen[what]}; leave one of them out", kind, number)
            seen[what] = f"{kind}.{number}"
        return self

    def _written(self) -> Iterator[tuple[str, int, str]]:
        for kind in ("stdout", "tensorboard", "csv", "jsonl", "dvclive", "mlflow", "trainer_state"):
            for number, entry in enumerate(getattr(self, kind)):
                yield kind, number, entry.at if isinstance(entry, ReportFile) else entry

    @property
    def only_patterns(self) -> tuple[str, ...]:
        """The patterns, where all that the card names are patterns; empty where another source may give more."""
        return () if self.wandb or any(kind != "stdout" for kind, _, _ in self._written()) else self.stdout

    def never_read(self, name: str) -> str | None:
        """Why no source can give a name, where all that the card names are patterns; None if one may."""
        if not self.only_patterns:
            return None
        names = sorted({name for pattern in self.stdout for name in value_names(pattern)})
        if name in names:
            return None
        return f"no pattern of training.report names it; they name {listed(names)}{did_you_mean(name, names)}"


@dataclass(frozen=True)
class Places:
    """Where a run's sources are.

    Args:
        folder: what relative paths are relative to: the script's working folder.
        log: the file with what the script prints.
        metrics: the file of CARDRUNNER_METRICS.
        expand: puts values in place of ``{out}`` and the like; signs of patterns in them are escaped (`glob.escape`).
    """

    folder: Path
    log: Path
    metrics: Path
    expand: Callable[[str], str] = str

    def absolute(self, path: str) -> str:
        """A pattern of absolute paths."""
        return str(Path(glob.escape(str(self.folder.absolute()))) / self.expand(path))


def sources(report: ReportSection, places: Places, *, wanted: frozenset[str] = frozenset()) -> list[Source]:
    """Every source of a card, and the one that each run has, which is the first.

    Args:
        report: the card's section.
        places: where files are.
        wanted: the names that the card's metrics read.
    """
    step = report.wandb.step if isinstance(report.wandb, WandbReport) else None
    found: list[Source] = [ScriptLines(places.metrics, wanted=wanted, wandb_step=step)]
    if report.stdout:
        found.append(Stdout(places.log, report.stdout))
    for kind, read in (
        ("tensorboard", tensorboard),
        ("dvclive", dvclive),
        ("mlflow", mlflow_store),
        ("trainer_state", trainer_state),
    ):
        for path in getattr(report, kind):
            found.append(read(places.absolute(path), name=f"{kind} {path}", wanted=wanted))
    for file in report.csv:
        found.append(csv_files(places.absolute(file.at), name=f"csv {file.at}", wanted=wanted, step=file.step))
    for file in report.jsonl:
        found.append(json_lines(places.absolute(file.at), name=f"jsonl {file.at}", wanted=wanted, step=file.step))
    return found

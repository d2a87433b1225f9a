"""The YAML to paste into a card, from what was seen in a trial."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from cardrunner.card.reading.characters import plain
from cardrunner.card.schema.card import Card
from cardrunner.workloads.command.reports.base import Kind, kind_hint
from cardrunner.workloads.command.sections import CommandTraining
from cardrunner.workloads.command.spec import training_of
from cardrunner.workloads.command.trying.checkpoint_files import Series, best_series
from cardrunner.workloads.command.trying.durations import Durations
from cardrunner.workloads.command.trying.found_files import Place
from cardrunner.workloads.command.trying.guessing import STDOUT, Shape
from cardrunner.workloads.command.trying.isolation import mlflow_store
from cardrunner.workloads.command.trying.names import card_name, direction, is_score, is_timing
from cardrunner.workloads.command.trying.tally import Value

MOST_METRICS: Final = 12
_REMARKS: Final = {
    "trainer_state": "   # written with checkpoints only; with --report_to tensorboard every row comes at once"
}
"""By the kind of the source."""
_MAIN: Final = ("val_loss", "loss")
_WORDS: Final = ("true", "True", "TRUE", "false", "False", "FALSE", "null", "Null", "NULL")
"""What YAML reads as another thing than text."""
_ORDER: Final = ("report()", "wandb.log", "jsonl", "csv", "tensorboard", "dvclive", "mlflow", "stdout", "trainer_state")
"""Kinds of sources: those that write every digit, at once, come first."""


@dataclass(frozen=True)
class Metric:
    """A metric to offer."""

    name: str
    value: Value
    stands_in: bool = False
    """No name says that it is of a validation, and targets need one that is."""

    @property
    def written(self) -> str:
        """Its name as a value of YAML."""
        return self.name if self.name not in _WORDS else quoted(self.name)

    @property
    def at(self) -> Kind:
        """The kind of its rows."""
        return "validation" if self.stands_in else kind_hint(self.value.name)

    @property
    def line(self) -> str:
        """Its entry of `training.metrics`."""
        read = "" if self.value.name == self.name else f", read: {quoted(self.value.name)}"
        why = "; no name says val, and a target needs a validation" if self.stands_in else ""
        often = f"   # {seen_often(self.value)}{why}"
        return f"- {{name: {self.written}{read}, direction: {direction(self.value.name)}, at: {self.at}}}{often}"


@dataclass(frozen=True)
class Seen:
    """What an offer is made from."""

    values: Sequence[Value]
    shapes: Sequence[Shape]
    places: Sequence[Place]
    series: Sequence[Series]
    done: bool = False
    """Whether the script came to its own end."""
    durations: Durations | None = None
    """What it took; None where this machine tells nothing about the run."""


@dataclass(frozen=True)
class Offer:
    """Lines that take the place of those of the same name in the card.

    Args:
        training: of the section `training`, indented as there.
        metrics: what is offered.
        sections: lines of other sections, of which the card keeps what they do not name.
    """

    training: tuple[str, ...]
    metrics: tuple[Metric, ...]
    sections: tuple[str, ...] = ()

    def text(self, training: CommandTraining, *, targets: Sequence[str], rules: Sequence[str | None]) -> str:
        """All of it, with targets and rules where the card's name a metric that was not seen; empty for no offer.

        Args:
            training: the card's section.
            targets: the metrics that targets of the card name.
            rules: the metrics that rules of the card name.
        """
        lines = [*(["training:"] if self.training else []), *self.training, *self.sections]
        lost = {metric.name for metric in training.metrics} - {metric.name for metric in self.metrics}
        if self.metrics:
            main = next(metric for metric in self.metrics if metric.at == "validation")
            lines += _targets(main) if lost & set(targets) else []
            lines += _rules(main) if lost & set(rules) else []
        return "".join(f"{line}\n" for line in lines)


def _targets(main: Metric) -> list[str]:
    side = "below" if direction(main.value.name) == "min" else "above"
    value = f"{main.value.newest:.6g}" if math.isfinite(main.value.newest) else "0"
    return ["targets:", f"  - {{metric: {main.written}, {side}: {value}}}   # what was seen; write what the run is for"]


def _rules(main: Metric) -> list[str]:
    rule = f"{{metric: {main.written}, non_finite: true, action: stop, why: it has diverged}}"
    return ["kill_thresholds:   # add those that do not name what the card named before", f"  - {rule}"]


def offer(seen: Seen, card: Card, *, resume: str | None) -> Offer:
    """What a card could say about what was seen.

    Args:
        seen: in the trial.
        card: what it says already is offered no more.
        resume: what to write as `training.resume`, as YAML; None where the script seems to know none.
    """
    training = training_of(card)
    printed = {name for shape in seen.shapes for name in shape.names}
    metrics = tuple(_metrics([value for value in seen.values if value.where != STDOUT or value.name in printed]))
    lines = list(_metric_lines(metrics, seen)) if metrics else []
    lines += _checkpoint_lines(training, seen, metrics, resume)
    durations = seen.durations or Durations(None, None, measured=False)
    lines += durations.first_metric(training.first_metric)
    return Offer(tuple(lines), metrics, tuple(durations.sections(card)))


def _checkpoint_lines(
    training: CommandTraining, seen: Seen, metrics: Sequence[Metric], resume: str | None
) -> Iterator[str]:
    """Where checkpoints are, which of them is the best, and how to resume from one."""
    own = training.checkpoints
    series = best_series(seen.series) if own is None else None
    at_end = own is not None and own.at_end
    if series is not None:
        at_end = seen.done and series.written == 1
        complete = f", complete: [{', '.join(series.complete)}]" if series.complete else ""
        written_so = f"{complete}{', at_end: true' if at_end else ''}"
        yield f"  checkpoints: {{at: {quoted(series.at)}{written_so}}}   # {written(series)}"
    there = own is not None or series is not None
    if there and not at_end and training.select is None and (main := _main(training, metrics)) is not None:
        yield f"  select: {{metric: {main[0]}, mode: {main[1]}}}   # which checkpoint is the best one"
    if series is not None and training.resume is None and resume is not None:
        yield f"  resume: {resume}"


def _main(training: CommandTraining, metrics: Sequence[Metric]) -> tuple[str, str] | None:
    """The validation metric that tells the best checkpoint, and its mode: of what is offered, or of the card."""
    offered = [(metric.written, direction(metric.value.name)) for metric in metrics if metric.at == "validation"]
    own = [(metric.name, metric.direction) for metric in training.metrics if metric.at == "validation"]
    return next(iter(offered if metrics else own), None)


def data_text(paths: Sequence[str]) -> str:
    """Files as the data of a card."""
    return "\n".join(("data:", "  source:", *(f"    - {{path: {quoted(path)}}}" for path in paths))) + "\n"


def written(series: Series) -> str:
    """How checkpoints are written, in a few words."""
    if series.overwritten:
        return f"one file, overwritten in place, seen in {series.written} states"
    if series.count == 1:
        return "written once"
    return f"a series of {series.count}, each with a name of its own"


def _metrics(values: Sequence[Value]) -> Iterator[Metric]:
    """Each name once, from the best source that has it."""
    values = [value for value in values if plain(value.name)]  # a card holds no character that cannot be seen
    rated = [value for value in values if is_score(value.name)]
    rated = rated or [value for value in values if not is_timing(value.name) and value.where != STDOUT]
    sources: dict[str, list[Value]] = {}
    for value in rated:
        sources.setdefault(value.where, []).append(value)
    names: dict[str, Metric] = {}
    ways: dict[str, str] = {}
    for where in sorted(sources, key=lambda where: (*_worth(sources[where]), _rank(where))):
        for value in sources[where]:
            name = card_name(value.name)
            bare, way = name.removeprefix("val_"), direction(value.name)
            if name not in names and ways.get(bare, way) == way and len(names) < MOST_METRICS:
                names[name], ways[bare] = Metric(name, value), way
    ordered = sorted(
        names.values(), key=lambda metric: (metric.at != "validation", metric.name not in _MAIN, metric.name)
    )
    if ordered and ordered[0].at != "validation":
        ordered[0] = replace(ordered[0], stands_in=True)
    yield from ordered


def _worth(values: Sequence[Value]) -> tuple[bool, int, int]:
    """The order of a source: a validation counts most, then the number of its names, then how often they came."""
    names = {card_name(value.name) for value in values}
    validates = any(kind_hint(value.name) == "validation" for value in values)
    return not validates, -len(names), -round(math.log(max(value.count for value in values), 4))


def _rank(where: str) -> int:
    return next((number for number, kind in enumerate(_ORDER) if where.startswith(kind)), len(_ORDER))


def _metric_lines(metrics: Sequence[Metric], seen: Seen) -> Iterator[str]:
    yield "  metrics:"
    yield from (f"    {metric.line}" for metric in metrics)
    used = {metric.value.where for metric in metrics}
    places = [place for place in seen.places if place.name in used]
    patterns = [shape.pattern for shape in seen.shapes] if STDOUT in used else []
    wanted = {metric.value.name for metric in metrics if metric.value.where == STDOUT}
    patterns = [shape.pattern for shape in seen.shapes if wanted & set(shape.names)] if patterns else []
    if places or patterns:
        yield "  report:"
    if patterns:
        yield "    stdout:"
        yield from (f"      - {single_quoted(pattern)}" for pattern in patterns)
    for kind in dict.fromkeys(place.kind for place in places):
        entries = ", ".join(_entry(place) for place in places if place.kind == kind)
        yield f"    {kind}: [{entries}]{_REMARKS.get(kind, '')}"
    if any(place.kind == "mlflow" and place.at.startswith("{out}") for place in places):
        yield f"  environment: {{MLFLOW_TRACKING_URI: {quoted(mlflow_store('{out}'))}}}"


def _entry(place: Place) -> str:
    return quoted(place.at) if place.step is None else f"{{at: {quoted(place.at)}, step: {quoted(place.step)}}}"


def seen_often(value: Value) -> str:
    """How often a value came: its count, steps and seconds."""
    if value.every_steps is None:
        return f"once, at step {value.first_step:,}"
    every = f", every {_steps(value.every_steps)}" if value.every_steps else ""
    seconds = f", every {value.every_seconds:.2g} s" if value.every_seconds else ""
    return f"{value.count:,} times, steps {value.first_step:,} to {value.last_step:,}{every}{seconds}"


def _steps(number: float) -> str:
    return "step" if number == 1 else f"{number:.3g} steps"


def quoted(text: str) -> str:
    """A text as a value of YAML."""
    return json.dumps(text, ensure_ascii=False)


def single_quoted(text: str) -> str:
    """A text in which only the single quote has a meaning of its own."""
    return "'" + text.replace("'", "''") + "'"

"""How a card with a command line is shown: the rows of its review page, and the lines of its plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cardrunner.common.units import format_bytes, format_duration
from cardrunner.runs.folder import RunFolder
from cardrunner.workloads.command.filling import Filling, file_text
from cardrunner.workloads.command.foreseen import code_lines, environment_line, interpreter_line
from cardrunner.workloads.command.own_modules import modules_of
from cardrunner.workloads.command.proof_page import proof_lines, proof_rows
from cardrunner.workloads.command.sections import CommandTraining, ReportedMetric
from cardrunner.workloads.command.spec import REPORTED, cost_of_a_stop
from cardrunner.workloads.command.substitution import shown_command, text_of

if TYPE_CHECKING:
    from cardrunner.card.schema.card import Card

Row = tuple[str, str]
_CHECKPOINT = "CHECKPOINT"


def data_rows(card: Card) -> list[Row]:
    """Where the data is; how it is split and read is the script's."""
    return [("Source", "what the script reads; the card names no file")] if card.data.is_synthetic else []


def model_rows(card: Card) -> list[Row]:
    """The model as the card states it."""
    rows = [("Architecture", f"{card.model.architecture} (as the card states, not checked)")]
    if card.model.parameters:
        rows.append(
            ("Parameters", f"{card.model.parameters:,} (as the card states, compared with what the script says)")
        )
    return rows


def training_rows(training: CommandTraining) -> list[Row]:
    """Every field of the training, in words."""
    return [(label, text) for label, text in _training_rows(training) if text]


def _training_rows(training: CommandTraining) -> Iterator[Row]:
    yield "Command", shown_command(training.command)
    yield "Parameters", ", ".join(f"{name} = {text_of(value)}" for name, value in training.parameters.items())
    for name, content in training.files.items():
        yield f"File {name}", file_text(name, _plain(content))
    yield "Resume", _resume(training)
    yield "A stop", cost_of_a_stop(training)
    yield "Asked to end by", f"{training.stop.signal}; killed after {format_duration(training.stop.grace)}"
    yield "Length", _length(training)
    for metric in training.metrics:
        yield f"Metric {metric.name}", _metric(metric)
    for kind, entries in _sources(training):
        yield f"Read from {kind}", entries
    if (checkpoints := training.checkpoints) is not None:
        whole = f", whole with {', '.join(checkpoints.complete)}" if checkpoints.complete else ""
        end = ", written at the end" if checkpoints.at_end else ""
        yield (
            "Checkpoints",
            f"{', '.join(checkpoints.at)}{whole}{end}; copies of the newest {checkpoints.keep} are kept",
        )
    if (select := training.select) is not None:
        yield "Best checkpoint", f"{select.mode} {select.metric}, {REPORTED}"
    yield from proof_rows(training)
    yield "First row within", format_duration(training.first_metric)
    yield "Silence", f"a warning after {format_duration(training.silence)} without a row or output"
    yield "Environment", ", ".join(f"{name}={value}" for name, value in training.environment.items())
    yield "On its path", ", ".join(module.name for module in modules_of(training))
    yield "Runs in", training.workdir or ""
    yield "Seed", "" if training.seed is None else str(training.seed)
    yield "Why", "; ".join(training.reason)


def _plain(content: object) -> object:
    if isinstance(content, dict):
        return {key: _plain(value) for key, value in content.items()}
    return [_plain(value) for value in content] if isinstance(content, tuple) else content


def _resume(training: CommandTraining) -> str:
    if training.resume is None:
        return "it cannot"
    return "it finds its checkpoint itself" if training.resume == "itself" else shown_command(training.resume)


def _length(training: CommandTraining) -> str:
    if training.length is None:
        return "not stated: there is no progress and no projection"
    if training.length.steps is not None:
        return f"{_counted(training, training.length.steps)} steps"
    counted = f", counted by {training.length.read}" if training.length.read else ""
    return f"{_counted(training, training.length.epochs or '')} epochs{counted}"


def _counted(training: CommandTraining, written: str | int) -> str:
    """A number of the card, with the parameter that it comes from."""
    number = training.number(written)
    return str(written) if number is None else f"{number:,}" + (f" ({written})" if isinstance(written, str) else "")


def _metric(metric: ReportedMetric) -> str:
    better = "smaller is better" if metric.direction == "min" else "larger is better"
    read = " or ".join(metric.read or (metric.name,))
    often = f", every {metric.every:,} steps" if metric.every else ""
    ends = {">=": metric.lower, "<=": metric.upper}
    limits = "".join(f", {sign} {value:g}" for sign, value in ends.items() if value is not None)
    percent = ", shown as a percentage" if metric.percent else ""
    why = f"; {metric.meaning}" if metric.meaning else ""
    return f"{read}, {metric.unit}, {better}, {metric.at}{often}{limits}{percent}; {REPORTED}{why}"


def _sources(training: CommandTraining) -> Iterator[Row]:
    report = training.report
    yield "stdout", "; ".join(report.stdout)
    for kind in ("tensorboard", "dvclive", "mlflow", "trainer_state"):
        yield kind, ", ".join(getattr(report, kind))
    for kind in ("csv", "jsonl"):
        files = getattr(report, kind)
        yield kind, ", ".join(f"{file.at}{f' (step: {file.step})' if file.step else ''}" for file in files)
    if report.wandb:
        step = getattr(report.wandb, "step", None)
        yield "wandb.log", f"step: {step}" if step else "its own count of calls as the step"


def plan_lines(card: Card, training: CommandTraining, run: Path, workspace: Path) -> Sequence[str]:
    """What will run, line by line: the command as it will run, its code and interpreter, and what a stop costs."""
    folder = RunFolder(run)
    lines = [f"$ {shown_command(Filling(training, folder).argv)}"]
    if isinstance(training.resume, tuple):
        resumed = Filling(training, folder, Path(_CHECKPOINT)).argv[len(training.command) :]
        lines.append(f"to resume: $ ... {shown_command(resumed)}")
    lines += [
        *code_lines(card, workspace),
        interpreter_line(card, training, workspace),
        environment_line(training, folder),
    ]
    lines.append(cost_of_a_stop(training))
    expected = ", ".join(f"{metric.name} ({metric.at})" for metric in training.metrics)
    lines.append(f"expected, {REPORTED}: {expected}; the first within {format_duration(training.first_metric)}")
    lines += proof_lines(card, training, run)
    known = [entry for entry in card.data.source if entry.size is not None]
    lines += [f"data: {entry.path}, {format_bytes(entry.size or 0)}, read by the script" for entry in known]
    return lines

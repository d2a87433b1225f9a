"""How the sections of `proof_sections` are shown: rows of the review page, and lines of the plan."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cardrunner.common.units import format_duration
from cardrunner.runs.folder import RunFolder
from cardrunner.workloads.command.filling import Filling
from cardrunner.workloads.command.proof_sections import CommandDemo
from cardrunner.workloads.command.sections import CommandTraining
from cardrunner.workloads.command.substitution import shown_command

if TYPE_CHECKING:
    from cardrunner.card.schema.card import Card

NOT_MEASURED: Final = "not re-measured: the card has no training.evaluate"
_CHECKPOINT: Final = "CHECKPOINT"


def proof_rows(training: CommandTraining) -> Iterator[tuple[str, str]]:
    """Rows of the review page."""
    for name, stated in (training.facts or {}).items():
        yield f"Fact {name}", f"{stated}, compared with what the script says"
    if (preflight := training.preflight) is not None:
        end = format_duration(preflight.timeout)
        yield "Preflight", f"{shown_command(preflight.command)}; has to end with 0, within {end}"
    if (evaluate := training.evaluate) is not None:
        end = format_duration(evaluate.timeout)
        yield "Best re-measured by", f"{shown_command(evaluate.command)}; within {end}"
        names = ", ".join(evaluate.metrics or (metric.name for metric in training.evaluated))
        yield "Re-measured", f"{names}; has to be as recorded, tolerance {evaluate.tolerance:g}"
        yield "Re-measured values from", "; ".join(evaluate.stdout)
    elif training.select is not None:
        yield "Best re-measured by", NOT_MEASURED


def proof_lines(card: Card, training: CommandTraining, run: Path) -> Iterator[str]:
    """Lines of the plan: each command line beside the training as it will run, and what it proves."""
    folder = RunFolder(run)
    checkpoint = Path(_CHECKPOINT)
    if training.preflight is not None:
        argv = _argv(training, folder, folder.beside / "preflight", training.preflight.command)
        yield f"before the training: $ {argv}; unless it ends with 0, the run fails"
    if training.evaluate is not None:
        argv = _argv(training, folder, folder.beside / "evaluate", training.evaluate.command, checkpoint)
        yield f"the best checkpoint is re-measured by: $ {argv}; tolerance {training.evaluate.tolerance:g}"
    elif training.select is not None:
        yield f"the best checkpoint is {NOT_MEASURED}"
    demo = card.after_training.demo
    if isinstance(demo, CommandDemo):
        yield f"demo: $ {_argv(training, folder, folder.demo, demo.command, checkpoint)}"
    if training.facts:
        stated = ", ".join(f"{name} = {value}" for name, value in training.facts.items())
        yield f"expected of the script itself: {stated}"


def _argv(
    training: CommandTraining, folder: RunFolder, out: Path, words: tuple[str, ...], checkpoint: Path | None = None
) -> str:
    filling = Filling(training, folder, checkpoint, out=out)
    return shown_command([filling.text(word) for word in words])

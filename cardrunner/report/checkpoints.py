"""Checkpoints, and whether the best one reproduces its recorded metrics."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from cardrunner.common.units import format_bytes
from cardrunner.report.recorded import RecordedRun
from cardrunner.report.table import Cell, Code, Strong, Table, measured, sentence
from cardrunner.runs.records import CheckpointRecord, ManifestEntry, TrainRecord


@dataclass(frozen=True, kw_only=True)
class CheckpointFacts:
    """What `checkpoints.md.j2` shows."""

    files: Table | None
    weights: tuple[tuple[Code, Code], ...]
    """Each file with the digest of its weights."""
    record: CheckpointRecord | None
    file: Code | None
    agrees: str
    again: Table | None
    command: Code | None
    """The command line that measured it, where the card has one."""
    missing: str
    missing_files: str


def checkpoint_facts(run: RecordedRun) -> CheckpointFacts:
    """Collect what the section "Checkpoints" shows."""
    entries = run.manifest.entries if run.manifest else ()
    record = run.checkpoint
    return CheckpointFacts(
        files=Table(
            ("File", "Role", "Epoch", "Step", "Size", "Metric of the choice", "sha256 of the file"),
            "llrrrrl",
            tuple(_file(run, entry) for entry in entries),
        )
        if entries
        else None,
        weights=() if run.reported else tuple((Code(entry.file), Code(entry.weights_sha256)) for entry in entries),
        record=record,
        file=Code(record.file) if record else None,
        agrees=agreement(run),
        again=_again(run, record) if record and not record.reported else None,
        command=Code(shlex.join(record.command)) if record and record.command else None,
        missing=sentence(run.lacks(CheckpointRecord)),
        missing_files=sentence(run.lacks(TrainRecord)),
    )


def agreement(run: RecordedRun) -> str:
    """Whether the best checkpoint reproduced its recorded metrics, as a sentence."""
    record = run.checkpoint
    if record is not None and record.reported:
        return (
            "The best checkpoint has the sha256 with which it was kept. Its metrics are reported by the script; they "
            "were not measured again."
        )
    if record is None and run.reported and run.card.training.selection is None:
        return "The card chooses no best checkpoint (training.select); the newest ones are kept."
    if record is None:
        return f"The best checkpoint was not evaluated again ({run.lacks(CheckpointRecord)})."
    limit = f"largest difference {record.largest_difference:.3g}, allowed {record.tolerance:.3g}"
    if record.command:
        found = "gives" if record.agrees else "does NOT give"
        who = "The best checkpoint was measured again by the card's training.evaluate"
        return f"{who}, which {found} the recorded numbers ({limit})."
    found = "gives the recorded numbers" if record.agrees else "does NOT give the recorded numbers"
    return f"The best checkpoint, reloaded into a fresh model and validated again, {found} ({limit})."


def _file(run: RecordedRun, entry: ManifestEntry) -> tuple[Cell, ...]:
    chosen = run.card.training.selection
    select = run.names.canonical(chosen.metric) if chosen else ""
    metrics = _canonical(run, entry.metrics)
    return (
        Code(entry.file),
        ", ".join(entry.roles) or None,
        str(entry.epoch),
        step_of(entry).removeprefix("step "),
        format_bytes(entry.bytes),
        measured(metrics.get(select), run.spec(select)),
        Code(entry.sha256),
    )


def step_of(entry: ManifestEntry) -> str:
    """The step of a checkpoint, or what had been reported when it was written."""
    return f"step {entry.step:,}, by its time" if entry.step_reported else f"step {entry.step:,}"


def _canonical(run: RecordedRun, metrics: Mapping[str, float]) -> dict[str, float]:
    return {run.names.canonical(name): value for name, value in metrics.items()}


def _again(run: RecordedRun, record: CheckpointRecord) -> Table:
    names = list(dict.fromkeys([*record.recorded, *record.measured]))
    columns = ("Metric", "Recorded in training", "Measured again", "Difference")
    return Table(columns, "lrrr", tuple(_pair(run, record, name) for name in names))


def _pair(run: RecordedRun, record: CheckpointRecord, name: str) -> tuple[Cell, ...]:
    before, after, spec = record.recorded.get(name), record.measured.get(name), run.spec(name)
    if before is None or after is None:
        return (Code(name), measured(before, spec), measured(after, spec), Strong("one is missing"))
    gap = abs(after - before)
    text = "0" if gap == 0 else f"{gap:.2g}"
    strange = not record.agrees and not gap <= record.tolerance
    return (
        Code(name),
        measured(before, spec),
        measured(after, spec),
        Strong(text) if strange else text,
    )

"""What the run delivered: the downloaded checkpoint and the demo."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cardrunner.common.units import format_bytes, format_duration
from cardrunner.contracts import Stage
from cardrunner.report.recorded import RecordedRun
from cardrunner.report.table import Cell, Code, Strong, Table, measured, sentence
from cardrunner.runs.records import DemoRecord, DownloadRecord, Record, StageRecord

_IMAGE = re.compile(r"demo/[A-Za-z0-9_./-]+\.(png|jpe?g|gif|svg|webp)")
_MOST_IMAGES = 20


@dataclass(frozen=True, kw_only=True)
class ExtraStage:
    """What a stage from another package recorded; without a record `table` is None and the text says why."""

    table: Table | None
    missing: str


@dataclass(frozen=True, kw_only=True)
class DeliveryFacts:
    """What `delivery.md.j2` shows; a table without content is None, and the text beside it says why."""

    download: Table | None
    no_download: str
    demo: Table | None
    no_demo: str
    files: tuple[Code, ...]
    images: tuple[str, ...]
    """The files of the demo that a page can show."""
    look_for: str | None
    extra: tuple[ExtraStage, ...]


def delivery_facts(run: RecordedRun) -> DeliveryFacts:
    """Collect what the section "Download and demo" shows."""
    demo = run.card.after_training.demo
    return DeliveryFacts(
        download=_download(run),
        no_download=sentence(run.lacks(DownloadRecord)),
        demo=_demo(run),
        no_demo=sentence(run.lacks(DemoRecord)),
        files=tuple(Code(name) for name in run.demo.files) if run.demo else (),
        images=tuple(filter(_IMAGE.fullmatch, run.demo.files[:_MOST_IMAGES])) if run.demo else (),
        look_for=demo.look_for if demo else None,
        extra=tuple(_extra_stages(run)),
    )


def _extra_stages(run: RecordedRun) -> Iterator[ExtraStage]:
    """The stages from other packages, in the order in which they run."""
    for stage in run.stages:
        if stage.name in run.card.extra_stages:
            record = run.records.get(stage.name)
            table = None if record is None else _extra_stage(run, stage, record)
            yield ExtraStage(table=table, missing=sentence(run.absent(stage)))
    for name, why in run.unknown_stages.items():
        yield ExtraStage(table=None, missing=sentence(f"the {name} stage is not known here: {why}"))


def _extra_stage(run: RecordedRun, stage: Stage, record: Record) -> Table:
    rows: list[tuple[Cell, Cell]] = [
        (name.replace("_", " "), _figure(value)) for name, value in _flat(stage.outcome(record))
    ]
    if isinstance(record, StageRecord):
        rows += [(Code(file.path), format_bytes(file.bytes)) for file in record.files]
        rows.append(("time", format_duration(record.seconds)))
    if not stage.done(run.folder, run.card):
        again = f"`cardrunner finish {run.folder.name}` makes it again" if stage.side == "launcher" else "look into it"
        rows.append(("state", Strong(f"✗ changed or removed since; {again}")))
    return Table((f"Stage {stage.name}", ""), "ll", tuple(rows))


def _download(run: RecordedRun) -> Table | None:
    record = run.download
    if record is None:
        return None
    rows: tuple[tuple[Cell, Cell], ...] = (
        ("Checkpoint", record.checkpoint),
        ("From", Code(record.source)),
        ("To", Code(record.to)),
        ("Size", format_bytes(record.bytes)),
        ("sha256, the same on both sides", Code(record.sha256)),
        ("Time", format_duration(record.seconds)),
    )
    return Table(("Download", ""), "ll", rows)


def _demo(run: RecordedRun) -> Table | None:
    record = run.demo
    if record is None:
        return None
    rows: list[tuple[Cell, Cell]] = [(name.replace("_", " "), _figure(value)) for name, value in _flat(record.summary)]
    rows.append(("copied to", Code(record.copied_to) if record.copied_to else None))
    rows.append(("time", format_duration(record.seconds)))
    return Table(("Demo", ""), "ll", tuple(rows))


def _flat(summary: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs = [(f"{prefix}{name}", value) for name, value in summary.items()]
    return [
        row
        for name, value in pairs
        for row in (_flat(value, f"{name}: ") if isinstance(value, Mapping) else [(name, value)])
    ]


def _figure(value: object) -> str | None:
    if isinstance(value, float):
        return measured(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, kw_only=True)
class DataMatchFacts:
    """What `data_match.md.j2` shows; a table without content is None."""

    stated: Table | None
    recorded: Table | None
    answer: Strong | None
    missing: str


def data_match_facts(run: RecordedRun) -> DataMatchFacts:
    """Collect what the section "Distribution match" shows."""
    stated = tuple(
        (part.component, part.data_scale, "; ".join(part.notes) or None) for part in run.card.distribution_match
    )
    match = run.demo.data_match if run.demo else None
    return DataMatchFacts(
        stated=Table(("The card says", "Data scale", "Notes"), "lll", stated) if stated else None,
        recorded=Table(("Model of the demo", "Learned from"), "ll", tuple(match.parts.items())) if match else None,
        answer=Strong(f"{match.sentence[0].upper()}{match.sentence[1:]}.") if match else None,
        missing=_missing(run),
    )


def _missing(run: RecordedRun) -> str:
    if run.card.after_training.demo is None:
        return "The card asks for no demo, so there are no models to compare."
    return sentence(run.lacks(DemoRecord)) if run.demo is None else "The demo of this workload compares no data."

"""Run folders of a made-up workload, written with the record classes: one fixture for each way a run can go."""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from cardrunner import registry
from cardrunner.card.load import load_card_bytes
from cardrunner.card.schema.data import DataSection
from cardrunner.card.schema.training import ModelSection, TrainingSection
from cardrunner.common.clock import utc_seconds, utc_text
from cardrunner.contracts import (
    Chart,
    Direction,
    Exhibit,
    ExhibitRow,
    MetricSpec,
    Series,
    TrivialBaseline,
    WorkloadSpec,
)
from cardrunner.errors import UsageError
from cardrunner.report.recorded import read_run
from cardrunner.report.render import render_page
from cardrunner.runs.files import write_text
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.history import Clock, History, HistoryRow
from cardrunner.runs.jsonl import append_line
from cardrunner.runs.records import (
    BestRecord,
    CheckpointRecord,
    DemoRecord,
    DownloadRecord,
    Environment,
    FactRow,
    LaunchRecord,
    LoadRecord,
    Manifest,
    ManifestEntry,
    TrainRecord,
    read_record,
    write_record,
)

START = utc_seconds("2026-03-01T09:00:00.000Z")
STEPS_PER_EPOCH = 250
BATCH = 1024

CARD = """\
card: 1
name: small-run
created: 2026-02-26
goal: >
  Learn whether more data helps. The old model repeats itself.
workload: small
data:
  source: numbers.bin
  split: {train: 90%, by: row}
  train_examples: 256000
  val_examples: 28772
model:
  architecture: Tiny
  parameters: 1153781
training:
  epochs: 5
  batch_size: 1024
  learning_rate: 1e-3
  seed: 7
  select: {metric: val_loss/total, mode: min}
infra:
  platform: local
  gpu: T4
  price: $0.59/h
  timeout: 12h
timing:
  calibration: [1, 3, 5]
  epoch: 1 min
  data_load: 10s
  budget: $1
metrics:
  - {name: looks human, direction: max, unit: points, meaning: three people watch the demo}
baselines:
  - run: older-run
    metrics: {val_error: 0.020, val_right: 98.2%, val_loss/total: 0.032}
    facts: {rows: 4000}
    notes: converged
targets:
  - {metric: val_error, below: 0.015, baseline: older-run, tier: minimum, notes: more data should help}
  - {metric: val_right, above: 99%, baseline: older-run, notes: the hard one}
  - {metric: val_loss/total, below: 0.060}
  - {metric: looks human, above: 3}
kill_thresholds:
  - {metric: val_loss, not_decreasing_for: 2 epochs, action: stop, why: converged or a data issue}
  - {metric: val_error, above: 0.030, after: 1 epoch, action: investigate, why: worse than the oldest run}
  - {metric: val_right, below: 95%, after: 1 epoch, action: investigate}
  - {event: out_of_memory, action: restart, set: {training.batch_size: 512}}
success:
  - {tier: minimum, means: better than the older run}
  - {tier: stretch, means: nobody can tell it from a person}
readings:
  - {if: the loss falls and the error does not, then: look at the loss weights}
risks:
  - {risk: the disk fills up, likelihood: low, mitigation: look at it}
incidents:
  - {date: 2026-01-05, what: the last run was on another file}
checklist:
  - {item: the data is there, check: ["true"], done: true, by: ada, at: "2026-02-27T09:00:00Z", evidence: exit code 0}
  - {item: somebody looked at the loss, done: true, by: ada}
after_training:
  download: {checkpoint: best, to: out/best.pt}
  demo: {look_for: players that look like people}
sign_off:
  policy: digest
  reviewers:
    - {id: mattie, name: Mattie, signed: null}
"""


def _metric(name: str, direction: Direction, unit: str, meaning: str, *, percent: bool = False) -> MetricSpec:
    short = name.partition("/")[2]
    aliases = (f"val_{short}", "val_loss") if name == "loss/total" else (f"val_{short}",)
    return MetricSpec(name=name, direction=direction, unit=unit, meaning=meaning, aliases=aliases, percent=percent)


class SmallSpec:
    """The least a workload says about itself."""

    name: str = "small"
    data_section: type[DataSection] = DataSection
    model_section: type[ModelSection] = ModelSection
    training_section: type[TrainingSection] = TrainingSection
    metrics: tuple[MetricSpec, ...] = (
        _metric("loss/total", "min", "nats", "the loss"),
        _metric("metric/error", "min", "0..1 units", "mean absolute error"),
        _metric("metric/right", "max", "share", "share predicted right", percent=True),
        _metric("metric/error_changed", "min", "0..1 units", "error where the input changed"),
        _metric("metric/right_changed", "max", "share", "right where the input changed", percent=True),
        _metric("metric/changed_share", "max", "share", "how often the input changed", percent=True),
    )
    trivial_baselines: tuple[TrivialBaseline, ...] = (
        TrivialBaseline(name="repeat last", meaning="the input before, again"),
        TrivialBaseline(name="training mean", meaning="the same answer every time"),
    )

    def derive(self, card: object) -> tuple[()]:
        return ()

    def check(self, card: object) -> tuple[()]:
        return ()

    def examples(self, card: object) -> None:
        return None

    def describe(self, card: object) -> dict[str, list[tuple[str, str]]]:
        return {}


def resolve(name: str) -> WorkloadSpec:
    if name != "small":
        raise UsageError(f"unknown workload {name!r}")
    return SmallSpec()


TRIVIAL = {
    "repeat last": (0.0710, 0.0132, 0.9795, 0.0361, 0.6120, 0.3610),
    "training mean": (0.2310, 0.1340, 0.8660, 0.1900, 0.7010, 0.3610),
}


def scores(values: tuple[float, ...], prefix: str = "val_") -> dict[str, float]:
    return {f"{prefix}{spec.name}": value for spec, value in zip(SmallSpec.metrics, values, strict=True)}


def learned(epoch: float, floor: float = 0.0550) -> tuple[float, ...]:
    """What a model scores after some epochs; smooth, so that the curves look like curves."""
    loss = floor + 0.06 * math.exp(-0.9 * epoch)
    return (loss, loss * 0.26, 0.9921 - loss * 0.2, loss * 0.62, 0.84 - loss, 0.3610)


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Story:
    """Writes a run folder as the run goes on. `clock` counts seconds since the launch."""

    folder: RunFolder
    card: str = CARD
    clock: float = 0.0
    attempt: int = 0
    attempt_began: float = 0.0

    def launched(self) -> Story:
        self.folder.root.mkdir(parents=True)
        write_text(self.folder.card_yaml, self.card)
        loaded = load_card_bytes(self.card.encode(), file="card.yaml", resolve=resolve)
        write_text(self.folder.card_json, loaded.card.model_dump_json(by_alias=True))
        self.digest = loaded.digest
        launch = LaunchRecord(
            run=self.folder.name,
            workload="small",
            workspace=str(self.folder.root.parent.parent),
            executor="inline",
            card_file="runcards/small-run.yaml",
            card_digest=loaded.digest,
            signed_by=("mattie",),
            created=utc_text(START),
        )
        write_record(self.folder.launch, launch)
        write_text(self.folder.approvals, _approvals(loaded.digest))
        self.event("created", run=self.folder.name, workload="small", card_digest=loaded.digest)
        return self

    def event(self, event: str, *, wait: float = 0.0, **fields: Any) -> Story:
        self.clock += wait
        append_line(self.folder.ledger, {"at": utc_text(START + self.clock), "event": event, **fields}, durable=False)
        return self

    def attempt_started(self, *, resumed_from: Mapping[str, Any] | None = None, dirty: bool = False) -> Story:
        self.attempt += 1
        self.attempt_began = self.clock
        environment = Environment(
            python="3.11.9",
            platform="Linux-6.1-x86_64",
            hostname="bench",
            cpu="Some CPU",
            cores=2,
            memory_bytes=16 * 2**30,
            device="cpu",
            threads=2,
            packages={"torch": "2.13.0", "numpy": "2.1.0"},
            git_commit="c79a6ae0000000000000000000000000000000aa",
            git_dirty=dirty,
        ).model_dump()
        return self.event(
            "attempt_started",
            attempt=self.attempt,
            executor="inline",
            pid=4711,
            host="bench",
            resumed_from=resumed_from,
            environment=environment,
        )

    def attempt_ended(self, state: str, *, exit_code: int, reason: str | None = None) -> Story:
        seconds = self.clock - self.attempt_began
        return self.event(
            "attempt_ended", attempt=self.attempt, state=state, reason=reason, exit_code=exit_code, seconds=seconds
        )

    def stage(self, name: str, *, seconds: float = 5.0, error: str | None = None, ended: bool = True) -> Story:
        self.event("stage_started", attempt=self.attempt, stage=name)
        if ended:
            fields = {"stage": name, "seconds": seconds, "ok": error is None, "error": error}
            self.event("stage_ended", wait=seconds, attempt=self.attempt, **fields)
        return self

    def loaded(self, *, facts: tuple[FactRow, ...] = ()) -> Story:
        rows = (
            FactRow(name="frames", expected="285,092", actual="285,092", ok=True),
            FactRow(name="layout", expected=None, actual="56 + 17 columns", ok=True),
            *facts,
        )
        record = LoadRecord(
            mode="memory-mapped, full shuffle",
            train_examples=256000,
            val_examples=28772,
            seconds=8.0,
            identity={
                "files": [{"path": "numbers.bin", "bytes": 102633120, "sha256": digest_of("data")}],
                "rows": 285092,
            },
            facts=rows,
        )
        write_record(self.folder.record("load"), record)
        return self.stage("load", seconds=8.0)

    def epochs(self, first: int, last: int, *, score: Callable[[float], tuple[float, ...]] = learned) -> Story:
        history, seconds_per_epoch = History(self.folder.history), 62.0
        began = self.clock
        for epoch in range(first, last + 1):
            for part in (1, 2, 3, 4, 5):
                done = epoch - 1 + part / 5
                kind = "validation" if part == 5 else "train"
                measured = scores(tuple(value * 1.03 for value in score(done)), "")
                if kind == "validation":
                    measured |= scores(score(float(epoch)))
                self.clock = began + (done - first + 1) * seconds_per_epoch
                seconds = self.clock - self.attempt_began
                row = HistoryRow(
                    kind=kind,
                    epoch=epoch,
                    step=round(done * STEPS_PER_EPOCH),
                    examples=round(done * STEPS_PER_EPOCH) * BATCH,
                    learning_rate=1e-3 * (1 + math.cos(math.pi * (epoch - 1) / 5)) / 2,
                    metrics=measured,
                    per_batch={name: value * 1.004 for name, value in measured.items()},
                    clock=Clock(
                        at=utc_text(START + self.clock),
                        seconds=seconds,
                        train_seconds=seconds * 0.9,
                        wait_seconds=seconds * 0.02,
                        examples_per_second=4600 + 40 * math.sin(done * 5),
                        epoch_seconds=seconds_per_epoch if kind == "validation" else None,
                    ),
                )
                history.append(row)
        return self

    def train_record(
        self, *, best_epoch: int | None, done: int, score: Callable[[float], tuple[float, ...]] = learned
    ) -> Story:
        best = BestRecord(
            metric="val_loss/total",
            mode="min",
            value=score(float(best_epoch))[0],
            epoch=best_epoch,
            step=best_epoch * STEPS_PER_EPOCH,
        ) if best_epoch else None  # fmt: skip
        record = TrainRecord(
            epochs_planned=5,
            epochs_done=done,
            steps=done * STEPS_PER_EPOCH,
            steps_per_epoch=STEPS_PER_EPOCH,
            examples=done * STEPS_PER_EPOCH * BATCH,
            parameters=1153781,
            device="cpu",
            precision="float32",
            threads=2,
            seconds=done * 62.0,
            train_seconds=done * 56.0,
            wait_seconds=done * 1.2,
            best=best,
            baselines={name: scores(values) for name, values in TRIVIAL.items()},
            weights_sha256=digest_of("weights"),
        )
        write_record(self.folder.record("train"), record)
        return self

    def manifest(self, *, best_epoch: int, score: Callable[[float], tuple[float, ...]] = learned) -> Story:
        entries = tuple(
            ManifestEntry(
                file=file,
                sha256=digest_of(file),
                bytes=13_850_000,
                weights_sha256=digest_of("weights"),
                epoch=best_epoch,
                step=best_epoch * STEPS_PER_EPOCH,
                metrics=scores(score(float(best_epoch))),
                roles=(file.partition(".")[0],),
            )
            for file in ("best.pt", "latest.pt")
        )
        write_record(self.folder.manifest, Manifest(entries=entries))
        return self

    def checked(self, *, epoch: int, off_by: float = 0.0) -> Story:
        recorded = scores(learned(float(epoch)))
        record = CheckpointRecord(
            file="best.pt",
            sha256=digest_of("best.pt"),
            weights_sha256=digest_of("weights"),
            epoch=epoch,
            recorded=recorded,
            measured={name: value + off_by for name, value in recorded.items()},
            largest_difference=off_by,
            tolerance=1e-6,
            agrees=off_by <= 1e-6,
            seconds=4.0,
        )
        write_record(self.folder.record("checkpoint"), record)
        return self.stage("checkpoint", seconds=4.0)

    def delivered(self) -> Story:
        download = DownloadRecord(
            checkpoint="best",
            source="best.pt",
            to="out/best.pt",
            bytes=13_850_000,
            sha256=digest_of("best.pt"),
            seconds=0.2,
        )
        write_record(self.folder.record("download"), download)
        summary = {"total_steps": 1200, "avg_speed": 1.234567, "final": {"p0": 3, "p1": 0}}
        demo = DemoRecord(files=("demo/match.json",), copied_to=None, summary=summary, seconds=6.0)
        write_record(self.folder.record("demo"), demo)
        return self


def _approvals(digest: str) -> str:

    entry = {
        "id": "mattie",
        "digest": digest,
        "verdict": "approve",
        "at": "2026-02-28T10:00:00Z",
        "note": "go",
        "conditions": ["watch the disk"],
        "met": [{"condition": "watch the disk", "by": "ada", "at": "2026-02-28T11:00:00Z"}],
        "policy": "digest",
    }
    return json.dumps([entry])


@pytest.fixture(scope="module", autouse=True)
def pictures() -> None:
    """Whole pictures, laid out and rendered."""


@pytest.fixture(autouse=True)
def _unhurried_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests ask nothing of a power cut, so they need not wait for the disk."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture
def story(tmp_path: Path) -> Story:
    """A run folder that nothing was written to yet."""
    return Story(RunFolder(tmp_path / "runs" / "small-run"))


def finish(story: Story) -> Story:
    story.launched().attempt_started().loaded().event("stage_started", attempt=1, stage="train")
    story.epochs(1, 5).train_record(best_epoch=5, done=5).manifest(best_epoch=5)
    story.event("stage_ended", attempt=1, stage="train", seconds=310.0, ok=True, error=None)
    return story.checked(epoch=5).attempt_ended("completed", exit_code=0).delivered()


@pytest.fixture
def finished_run(story: Story) -> RunFolder:
    """All went well."""
    return finish(story).folder


def no_progress(epoch: float) -> tuple[float, ...]:
    """The loss grows after the first epoch."""
    return learned(1.0, floor=0.0550 + 0.004 * max(0.0, epoch - 1))


@pytest.fixture
def stopped_run(story: Story) -> RunFolder:
    """A kill threshold ended it after epoch 3."""
    story.launched().attempt_started().loaded().event("stage_started", attempt=1, stage="train")
    story.epochs(1, 3, score=no_progress).train_record(best_epoch=1, done=3, score=no_progress)
    story.manifest(best_epoch=1, score=no_progress)
    verdict: dict[str, Any] = {
        "rule": 0, "action": "stop", "condition": "val_loss not decreasing for 2 epochs", "epoch": 3, "step": 750,
        "value": no_progress(3.0)[0], "limit": no_progress(1.0)[0], "message": "val_loss is 0.0874 after epoch 3",
    }  # fmt: skip
    story.event("verdict", attempt=1, **verdict)
    story.event(
        "stage_ended", attempt=1, stage="train", seconds=190.0, ok=False, error="val_loss is 0.0874 after epoch 3"
    )
    return story.attempt_ended("stopped", exit_code=5, reason="val_loss is 0.0874 after epoch 3").folder


@pytest.fixture
def failed_at_load(story: Story) -> RunFolder:
    """The data file was not there."""
    why = "data.source: numbers.bin was not found"
    story.launched().attempt_started(dirty=True).stage("load", seconds=0.1, error=why)
    return story.attempt_ended("failed", exit_code=7, reason=why).folder


@pytest.fixture
def interrupted_run(story: Story) -> RunFolder:
    """Ctrl-C in epoch 3."""
    story.launched().attempt_started().loaded().event("stage_started", attempt=1, stage="train")
    story.epochs(1, 2).train_record(best_epoch=2, done=2).manifest(best_epoch=2)
    return story.attempt_ended("interrupted", exit_code=130, reason="interrupted by Ctrl-C").folder


@pytest.fixture
def resumed_run(story: Story) -> RunFolder:
    """SIGTERM after epoch 2, gone on from there with a changed tree."""
    story.launched().attempt_started().loaded().event("stage_started", attempt=1, stage="train")
    story.epochs(1, 2).attempt_ended("interrupted", exit_code=143, reason="ended by SIGTERM")
    story.event("acknowledged", wait=600.0, text="a comment was fixed | in the code")
    origin = {"file": "checkpoints/state-e0002-s000000500.pt", "epoch": 2, "step": 500}
    story.attempt_started(resumed_from=origin, dirty=True).loaded().event("stage_started", attempt=2, stage="train")
    story.epochs(3, 5).train_record(best_epoch=5, done=5).manifest(best_epoch=5)
    return story.checked(epoch=5).attempt_ended("completed", exit_code=0).delivered().folder


@pytest.fixture
def killed_run(story: Story) -> RunFolder:
    """kill -9 in the first epoch: only ledger lines, the last one torn."""
    story.launched().attempt_started().event("stage_started", attempt=1, stage="load", wait=20.0)
    with story.folder.ledger.open("ab") as stream:
        stream.write(b'{"at": "2026-03-01T09:00:2')
    return story.folder


@pytest.fixture(params=["finished", "stopped", "failed_at_load", "interrupted", "resumed", "killed"])
def any_run(request: pytest.FixtureRequest) -> RunFolder:
    """Each way a run can go."""
    name = request.param if request.param == "failed_at_load" else f"{request.param}_run"
    return request.getfixturevalue(name)  # type: ignore[no-any-return]


class Page:
    """A rendered page, as text and as a markdown reader sees it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = MarkdownIt("commonmark").enable("table").parse(text)

    def section(self, name: str) -> str:
        """The text under a heading."""
        return self.text.split(f"\n## {name}\n")[1].split("\n## ")[0]

    def rows(self, section: str) -> list[list[str]]:
        """The cells of every table row of a section."""
        lines = [line for line in self.section(section).splitlines() if line.startswith("| ")]
        return [[cell.strip() for cell in line.strip("|").split(" |")] for line in lines]

    def row(self, section: str, first: str) -> list[str]:
        """The first row whose first cell has this text."""
        return next(row for row in self.rows(section) if first in row[0])

    @property
    def blocks(self) -> list[str]:
        """What the page is built of, without any text."""
        return [f"{token.type} {token.tag}" for token in self.tokens]

    @property
    def inline(self) -> set[str]:
        """What its text is built of, such as links, images, code spans."""
        return {child.type for token in self.tokens for child in token.children or ()}


@pytest.fixture
def page() -> Callable[[RunFolder], Page]:
    """Renders a run, without plots."""
    return lambda folder: Page(render_page(read_run(folder, resolve, registry.stages_of)))


@pytest.fixture
def finished_with(tmp_path: Path) -> Callable[[str], RunFolder]:
    """A finished run whose card, records and events say this text wherever they have words."""

    def tell(text: str) -> RunFolder:
        folder = RunFolder(Path(tempfile.mkdtemp(dir=tmp_path)) / "small-run")
        told = finish(Story(folder, card=_worded(text)))
        told.event("warning", attempt=1, message=text).event("acknowledged", text=text)
        told.event("verdict", attempt=1, rule=1, action="warn", condition=text, epoch=1, step=250, message=text)
        shown = Exhibit(
            title=text,
            sentences=(text, text),
            columns=(text,),
            readings=(ExhibitRow(name=text, values=(1.0,), unit=text, meaning=text),),
            charts=(
                Chart(title=text, unit=text, kind="bars", places=(text,), series=(Series(name=text, values=(1.0,)),)),
            ),
        )
        write_record(
            folder.record("demo"),
            DemoRecord(files=(text,), copied_to=text, summary={text: text}, exhibits=(shown,), seconds=1.0),
        )
        train = read_record(folder.record("train"), TrainRecord)
        write_record(
            folder.record("train"),
            train.model_copy(
                update={"notes": (text,), "device": text, "baselines": {text: scores(TRIVIAL["repeat last"])}}
            ),
        )
        load = read_record(folder.record("load"), LoadRecord)
        odd = FactRow(name=text, expected=text, actual=text, ok=False, severity="warning", note=text)
        write_record(
            folder.record("load"), load.model_copy(update={"mode": text, "facts": (odd,), "identity": {text: text}})
        )
        approvals = [{"id": text, "digest": text, "verdict": text, "at": text, "note": text, "conditions": [text]}]
        write_text(folder.approvals, json.dumps(approvals))
        return folder

    return tell


def _worded(text: str) -> str:
    """The card with a text in every field of free words."""
    line = json.dumps(" ".join(text.split()))
    words = (
        "more data should help", "converged or a data issue", "better than the older run", "the disk fills up",
        "look at it", "look at the loss weights", "the last run was on another file", "the data is there",
        "exit code 0", "players that look like people", "three people watch the demo",
        "the loss falls and the error does not",
    )  # fmt: skip
    card = CARD.replace("goal: >\n  Learn whether more data helps. The old model repeats itself.", f"goal: {line}")
    for word in words:
        card = card.replace(word, line)
    return card


@pytest.fixture(name="resolve")
def resolve_fixture() -> Callable[[str], WorkloadSpec]:
    """Finds the made-up workload."""
    return resolve

"""Each derived figure of page and status comes from one attempt and one clock, or is empty.

A run is told that was cut and resumed in the middle of everything, by machines of other speeds whose clocks disagree by
hours. What each figure has to be follows from the speeds and the cuts alone.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import pytest

from cardrunner import registry
from cardrunner.commands.run_arguments import summary
from cardrunner.common.clock import utc_seconds, utc_text
from cardrunner.common.units import format_dollars, format_duration
from cardrunner.plan.learned import _epoch_speeds
from cardrunner.report.curves import curve_facts, figures
from cardrunner.report.recorded import RecordedRun, read_run
from cardrunner.report.table import rate
from cardrunner.report.timing import spent_by, timing_facts
from cardrunner.runs.events import AttemptStarted
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.history import Clock, History, HistoryRow
from cardrunner.runs.jsonl import append_line
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.records import STATE, Manifest, ManifestEntry, TrainRecord, read_record, write_record
from cardrunner.runs.status import derive_status, last_heard
from cardrunner.tracking.run_view import RunView
from tests.report.conftest import BATCH, START, STEPS_PER_EPOCH, Story, digest_of, learned, resolve, scores

EPOCHS = 5
LAST = EPOCHS * STEPS_PER_EPOCH
VALIDATION = 7.0
LOG_EVERY = 50
PRICE = 0.59


class Machine(NamedTuple):
    """Where an attempt runs."""

    step: float
    """Seconds of a training step."""
    load: float
    """Seconds before the first step."""
    skew: float
    """By how many seconds its clock is ahead of the launcher's."""


SLOW_START = Machine(step=0.02, load=3.0, skew=0.0)
FAST = Machine(step=0.25, load=400.0, skew=7200.0)
BEHIND = Machine(step=0.1, load=20.0, skew=-86_400.0)


@dataclass
class CutRun:
    """Writes a run as its processes do, and remembers what is true of it."""

    story: Story
    trained: dict[int, float] = field(default_factory=lambda: {0: 0.0})
    """Step -> seconds spent training up to there, as a state at that step holds them."""
    by: dict[int, int] = field(default_factory=dict)
    """Step -> the attempt whose training of it counts."""
    machines: list[Machine] = field(default_factory=list)
    lasted: list[float] = field(default_factory=list)
    """Seconds of each attempt, by its own clock."""

    @property
    def folder(self) -> RunFolder:
        return self.story.folder

    def attempt(self, machine: Machine, *, start: int, end: int, lost: bool = False, ended: bool = True) -> None:
        """Train from the state at step `start` to step `end`; a lost attempt records no end."""
        story, history = self.story, History(self.folder.history)
        self.machines.append(machine)
        number, began = len(self.machines), story.clock
        if (heard := last_heard(self.folder)) is not None:  # as a worker does
            Ledger(self.folder.ledger).append(heard)
        resumed = {"file": "checkpoints/s.pt", "epoch": 1, "step": start} if start else None
        self.event("attempt_started", attempt=number, host=f"host-{number}", pid=1, resumed_from=resumed)
        self.event("stage_started", attempt=number, stage="train")
        history.truncate_after(start)
        story.clock += machine.load
        trained, logged, since = self.trained[start], start, self.trained[start]
        for step in range(start + 1, end + 1):
            story.clock += machine.step
            trained += machine.step
            self.by[step], self.trained[step] = number, trained
            epoch = (step - 1) // STEPS_PER_EPOCH + 1
            clock = {"attempt": number, "train_seconds": trained - self.trained[start], "trained_seconds": trained}
            if step % LOG_EVERY == 0:
                speed = (step - logged) * BATCH / (trained - since)
                history.append(self.row("train", epoch, step, began, **clock, examples_per_second=speed))
                logged, since = step, trained
            if step % STEPS_PER_EPOCH == 0:
                story.clock += VALIDATION
                whole = start <= step - STEPS_PER_EPOCH
                seconds = STEPS_PER_EPOCH * machine.step + VALIDATION if whole else None
                history.append(self.row("validation", epoch, step, began, **clock, epoch_seconds=seconds))
        seen = story.clock
        story.clock += 5.0
        if lost or not ended:
            rows = [row for row in history.rows() if row.clock.attempt == number]
            seen = began + (utc_seconds(rows[-1].clock.at) - START - machine.skew - began if rows else 0.0)
            self.lasted.append(seen - began)
            return
        self.lasted.append(story.clock - began)
        done = end == LAST
        state, code = ("completed", 0) if done else ("interrupted", 130)
        self.event("attempt_ended", attempt=number, state=state, exit_code=code, seconds=story.clock - began)

    def row(
        self, kind: Literal["train", "validation"], epoch: int, step: int, began: float, **clock: Any
    ) -> HistoryRow:
        measured = scores(learned(step / STEPS_PER_EPOCH), "")
        measured |= scores(learned(float(epoch))) if kind == "validation" else {}
        total = sum(self.lasted) + self.story.clock - began
        return HistoryRow(
            kind=kind,
            epoch=epoch,
            step=step,
            examples=step * BATCH,
            learning_rate=1e-3,
            metrics=measured,
            clock=Clock(
                at=self.now(),
                seconds=self.story.clock - began,
                wait_seconds=0.0,
                total_seconds=total,
                projected_seconds=total + 100.0,
                projected_cost_usd=1.0,
                **clock,
            ),
        )

    def now(self) -> str:
        return utc_text(START + self.story.clock + self.machines[-1].skew)

    def event(self, event: str, **fields: Any) -> None:
        append_line(self.folder.ledger, {"at": self.now(), "event": event, **fields}, durable=False)

    def saved(self, step: int) -> None:
        """The newest full state of the manifest."""
        entry = ManifestEntry(
            file="checkpoints/s.pt", sha256=digest_of("s"), bytes=1, weights_sha256=digest_of("w"),
            epoch=step // STEPS_PER_EPOCH + 1, step=step, roles=(STATE,),
        )  # fmt: skip
        write_record(self.folder.manifest, Manifest(entries=(entry,)))

    def read(self) -> RecordedRun:
        return read_run(self.folder, resolve, registry.stages_of)

    def whole_epochs(self, upto: int = EPOCHS) -> dict[int, Machine | None]:
        """Epoch -> the machine that trained all of it; None where several attempts did."""
        found: dict[int, Machine | None] = {}
        for epoch in range(1, upto + 1):
            steps = range((epoch - 1) * STEPS_PER_EPOCH + 1, epoch * STEPS_PER_EPOCH + 1)
            attempts = {self.by[step] for step in steps}
            found[epoch] = self.machines[attempts.pop() - 1] if len(attempts) == 1 else None
        return found


@pytest.fixture
def cut_run(story: Story) -> CutRun:
    story.launched()
    return CutRun(story)


CUTS = [
    # where the first attempt ends and what it saved, where the second ends and what it saved
    ((120, 100), (640, 600)),
    ((251, 251), (252, 252)),
    ((249, 249), (251, 250)),
    ((500, 500), (750, 750)),
    ((499, 450), (1249, 1249)),
    ((310, 260), (320, 260)),
    ((50, 0), (700, 50)),
    ((1001, 1000), (1100, 1099)),
]
LOST = pytest.mark.parametrize("lost", [False, True])


@pytest.fixture(params=CUTS, ids=str)
def cuts(request: pytest.FixtureRequest) -> tuple[tuple[int, int], tuple[int, int]]:
    found: tuple[tuple[int, int], tuple[int, int]] = request.param
    return found


@pytest.fixture
def told(cut_run: CutRun, cuts: Any) -> Callable[[bool], CutRun]:
    """Tells the run with these cuts, down to its last epoch."""

    def tell(lost: bool) -> CutRun:
        (first, saved), (second, saved_again) = cuts
        cut_run.attempt(SLOW_START, start=0, end=first, lost=lost)
        cut_run.story.clock += 3600.0
        cut_run.attempt(FAST, start=saved, end=second, lost=lost)
        cut_run.story.clock += 60.0
        cut_run.attempt(BEHIND, start=saved_again, end=LAST)
        return cut_run

    return tell


@LOST
def test_an_epochs_time_and_speed_are_those_of_the_machine_that_trained_it_or_empty(
    told: Callable[[bool], CutRun], lost: bool
) -> None:
    run = told(lost)
    table = curve_facts(run.read()).epochs
    assert table is not None
    for row, (epoch, machine) in zip(table.rows, run.whole_epochs().items(), strict=True):
        seconds = machine and STEPS_PER_EPOCH * machine.step + VALIDATION
        assert row[0] == str(epoch)
        assert row[4] == (None if seconds is None else format_duration(seconds))
        assert row[5] == (None if machine is None else rate(BATCH / machine.step))


@LOST
def test_every_point_of_the_throughput_plot_is_the_speed_of_one_machine(
    told: Callable[[bool], CutRun], lost: bool
) -> None:
    run = told(lost)
    (panel,) = (panel for figure in figures(run.read()) for panel in figure.panels if panel.title == "throughput")
    steps = [row.step for row in run.read().rows if row.kind == "train"]
    expected = [BATCH / run.machines[run.by[step] - 1].step for step in steps]
    assert [speed for _, speed in panel.lines[0].points] == pytest.approx(expected)
    assert [place for place, _ in panel.lines[0].points] == pytest.approx([step / STEPS_PER_EPOCH for step in steps])


@LOST
def test_times_and_cost_of_the_page_add_up_the_attempts_each_by_its_own_clock(
    told: Callable[[bool], CutRun], lost: bool
) -> None:
    run = told(lost)
    read = run.read()
    spent, facts = spent_by(read), timing_facts(read)
    assert [attempt.seconds for attempt in read.attempts] == pytest.approx(run.lasted, abs=0.01)
    assert spent.total == pytest.approx(sum(run.lasted), abs=0.02)
    assert spent.cost == pytest.approx(sum(run.lasted) / 3600 * PRICE, rel=1e-3)
    assert derive_status(run.folder).cost_usd == pytest.approx(spent.cost)
    whole = [machine for machine in run.whole_epochs().values() if machine]
    times = [STEPS_PER_EPOCH * machine.step + VALIDATION for machine in whole]
    assert spent.epoch == (pytest.approx(statistics.median(times)) if times else None)
    lasted = [f"{'at least ' if lost and number < 2 else ''}" for number in range(3)]
    assert [str(row[3]).startswith(word) for row, word in zip(facts.attempts.rows, lasted, strict=True)] == [True] * 3


@LOST
def test_a_plan_learns_the_speed_of_whole_epochs_alone(told: Callable[[bool], CutRun], lost: bool) -> None:
    run = told(lost)
    speeds = list(_epoch_speeds(run.read().rows, resumed=set()))
    whole = [machine for machine in run.whole_epochs().values() if machine]
    expected = [STEPS_PER_EPOCH * BATCH / (STEPS_PER_EPOCH * machine.step + VALIDATION) for machine in whole]
    assert speeds == pytest.approx(expected)


def test_a_row_that_does_not_say_what_was_trained_before_gives_no_speed(cut_run: CutRun) -> None:
    cut_run.attempt(SLOW_START, start=0, end=LAST)
    rows = History(cut_run.folder.history).rows()
    cut_run.folder.history.unlink()
    for row in rows:
        older = row.model_copy(update={"clock": row.clock.model_copy(update={"trained_seconds": None})})
        History(cut_run.folder.history).append(older)
    table = curve_facts(cut_run.read()).epochs
    assert table is not None
    assert [row[5] for row in table.rows] == [None] * EPOCHS


def test_the_throughput_of_the_whole_run_is_that_of_the_training_that_counts(cut_run: CutRun) -> None:
    cut_run.attempt(SLOW_START, start=0, end=620)
    cut_run.attempt(FAST, start=575, end=LAST)
    cut_run.story.train_record(best_epoch=5, done=5)
    path = cut_run.folder.record("train")
    trained, examples = cut_run.trained[LAST], LAST * BATCH
    assert trained == pytest.approx(575 * SLOW_START.step + (LAST - 575) * FAST.step)
    record = read_record(path, TrainRecord)
    write_record(path, record.model_copy(update={"train_seconds": trained, "examples": examples, "wait_seconds": 30.0}))
    cells = {row[0]: row[1] for row in timing_facts(cut_run.read()).figures.rows}
    assert cells["Throughput"] == f"{rate(examples / trained)} examples/s"
    assert cells["Waiting for data"] == f"{30 / trained:.1%}"


def hold(run: CutRun) -> None:
    """A worker on another machine holds the run; its lease says so by that machine's clock."""
    (*_, started) = Ledger(run.folder.ledger).events(AttemptStarted)
    body = {"pid": 1, "host": started.host, "started": started.at, "heartbeat": run.now()}
    run.folder.lease.write_text(json.dumps(body).ljust(511) + "\n")


@pytest.mark.parametrize("skew", [0.0, 7200.0, -7200.0])
def test_a_live_run_on_another_machine_costs_by_that_machines_clock(
    cut_run: CutRun, skew: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cardrunner.runs.status.is_live", lambda _folder: True)
    cut_run.attempt(SLOW_START, start=0, end=120)
    machine = FAST._replace(skew=skew)
    began = cut_run.story.clock
    cut_run.attempt(machine, start=100, end=330, ended=False)
    hold(cut_run)
    seconds = cut_run.lasted[0] + cut_run.story.clock - began
    status = derive_status(cut_run.folder, now=START + cut_run.story.clock + 1.0)
    assert status.state == "running"
    assert status.cost_usd == pytest.approx(seconds / 3600 * PRICE, rel=1e-3)
    assert status.warning is None


@pytest.mark.parametrize("skew", [0.0, 7200.0, -7200.0])
def test_people_who_watch_it_see_the_same_cost(cut_run: CutRun, skew: float, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [START + 1_000_000.0]
    monkeypatch.setattr("cardrunner.tracking.run_view.time.time", lambda: now[0])
    cut_run.attempt(SLOW_START, start=0, end=120)
    cut_run.attempt(FAST._replace(skew=skew), start=100, end=330, ended=False)
    hold(cut_run)
    view = RunView(cut_run.read().loaded, cut_run.folder)
    for event in Ledger(cut_run.folder.ledger).events(AttemptStarted)[1:]:
        view.note(event)
    for row in History(cut_run.folder.history).rows():
        view.add(row)
    now[0] += 10.0  # since its last row was seen
    newest = max(step for step in cut_run.by if step % LOG_EVERY == 0)
    seconds = FAST.load + (newest - 100) * FAST.step + VALIDATION + 10.0
    assert view.snapshot().spent == pytest.approx((cut_run.lasted[0] + seconds) / 3600 * PRICE, rel=1e-3)


def test_a_projection_of_an_earlier_attempt_is_not_shown_as_one_of_this(
    cut_run: CutRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cardrunner.runs.status.is_live", lambda _folder: True)
    cut_run.attempt(SLOW_START, start=0, end=120)
    assert derive_status(cut_run.folder).projected_seconds is not None
    cut_run.attempt(BEHIND, start=100, end=130, ended=False)  # no row yet
    hold(cut_run)
    status = derive_status(cut_run.folder)
    assert (status.projected_seconds, status.projected_cost_usd) == (None, None)


def test_a_view_shows_the_position_of_this_attempt_though_an_earlier_one_got_further(
    cut_run: CutRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cardrunner.tracking.run_view.time.time", lambda: START + 1_000_000.0)
    cut_run.attempt(SLOW_START, start=0, end=220)
    view = RunView(cut_run.read().loaded, cut_run.folder)
    for row in History(cut_run.folder.history).rows():
        view.add(row)
    cut_run.attempt(FAST, start=100, end=110, ended=False)
    hold(cut_run)
    view.note(Ledger(cut_run.folder.ledger).events(AttemptStarted)[-1])
    body = {"at": cut_run.now(), "attempt": 2, "epoch": 1, "step": 110, "examples": 110 * BATCH, "train_seconds": 1.0}
    cut_run.folder.heartbeat.write_text(json.dumps(body))
    view.read_pace()
    assert (view.snapshot().step, view.snapshot().examples) == (110, 110 * BATCH)


def headline(run: CutRun) -> str:
    return summary(derive_status(run.folder)).partition(": ")[0]


def test_the_headline_of_a_run_that_ended_early_names_the_saved_step(cut_run: CutRun) -> None:
    cut_run.attempt(SLOW_START, start=0, end=251)
    cut_run.saved(251)
    cost = format_dollars(cut_run.lasted[0] / 3600 * PRICE)
    assert headline(cut_run) == f"small-run interrupted at step 251 (saved), {cost}"


def test_the_headline_of_a_killed_run_does_not_name_a_row_that_is_trained_again(cut_run: CutRun) -> None:
    cut_run.attempt(SLOW_START, start=0, end=249, lost=True)
    cut_run.saved(100)
    assert headline(cut_run).startswith("small-run interrupted at step 100 (saved)")


def test_the_headline_of_a_run_that_lost_everything_says_so(cut_run: CutRun) -> None:
    cut_run.attempt(SLOW_START, start=0, end=90, lost=True)
    assert headline(cut_run).startswith("small-run interrupted, nothing saved")


def test_the_headline_of_a_completed_run_names_its_last_epoch(cut_run: CutRun) -> None:
    cut_run.attempt(SLOW_START, start=0, end=LAST)
    cut_run.saved(LAST)
    assert headline(cut_run).startswith(f"small-run completed, epoch {EPOCHS}, step {LAST}")

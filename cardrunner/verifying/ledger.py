"""The ledger: what must hold between its lines, whatever happened to the run."""

from __future__ import annotations

from collections.abc import Iterator

from cardrunner.gate.case import CLOCK_TOLERANCE
from cardrunner.runs.event_model import Event, UnknownEvent
from cardrunner.runs.events import (
    EVENTS,
    Acknowledged,
    AttemptEnded,
    AttemptStarted,
    CheckpointSaved,
    Committed,
    Created,
    DataOpened,
    Finished,
    JobStarted,
    Leaving,
    MetricMissing,
    ProjectedOverrun,
    Restarted,
    Resumed,
    ResumePoint,
    Retried,
    RuleFired,
    ScriptAsked,
    StageEnded,
    StageStarted,
    Submitted,
    TrackerSaid,
    TrainingBegan,
)
from cardrunner.runs.lines import object_of
from cardrunner.runs.records import STATE
from cardrunner.verifying.evidence import Evidence, Line, seconds_of
from cardrunner.verifying.findings import Finding, Unchecked, difference

FILE = "ledger.jsonl"
TOLERANCE = CLOCK_TOLERANCE.total_seconds()
"""Seconds that the clocks of two machines, or one clock that was set, may be apart."""
OF_WORKERS = (
    DataOpened, TrainingBegan, CheckpointSaved, Resumed, RuleFired, ProjectedOverrun, Leaving, Restarted, ScriptAsked,
    MetricMissing,
)  # fmt: skip
"""Events that the worker of an attempt alone writes."""
EXIT_CODES = {"completed": {0}, "stopped": {5}, "timed_out": {5}, "investigate": {8}}
"""The exit codes of a state. Other states have any but 0."""


def readable(run: Evidence) -> Iterator[Finding]:
    """Every line is an event; the torn end of a crash is named."""
    for number, raw in run.ledger_lines:
        if object_of(raw) is None:
            yield unreadable(FILE, number, raw)
    for number, event in run.lines:
        if not isinstance(event, UnknownEvent):
            continue
        name, version = event.name, event.stated_version
        if name in EVENTS and version == EVENTS[name].version:
            yield difference(FILE, f"the event {name!r} lacks a value that it always has", line=number)
        else:
            yield Unchecked(f"{FILE} line {number}: this version does not know the event {name!r}, version {version}")


def unreadable(file: str, number: int, raw: bytes) -> Finding:
    """A line that is no JSON object: torn by a crash where its end is missing, else changed."""
    if raw.startswith(b"{") and not raw.rstrip().endswith(b"}"):
        return difference(file, "its end is missing, as a crash or a full disk leaves it", line=number, kind="torn")
    return difference(file, f"is not a JSON object: {raw[:60].decode(errors='replace')!r}", line=number)


def created_first(run: Evidence) -> Iterator[Finding]:
    """`created` is the first event, and there is one."""
    found = run.of(Created)
    if not run.lines:
        yield difference(FILE, "has no event; every run begins with one", kind="missing")
    elif not isinstance(run.lines[0].said, Created):
        what = f"the first event is {run.lines[0].said.event!r}, and every ledger begins with 'created'"
        yield difference(FILE, what, line=run.lines[0].number, kind="missing")
    for number, _ in found[1:]:
        yield difference(FILE, f"'created' again, after line {found[0].number}", line=number, kind="unexpected")


def attempts_numbered(run: Evidence) -> Iterator[Finding]:
    """Attempts are numbered 1, 2, 3."""
    for expected, (number, event) in enumerate(run.of(AttemptStarted), 1):
        if event.attempt != expected:
            yield difference(FILE, f"attempt {event.attempt} starts where attempt {expected} would", line=number)
            return


def attempts_started(run: Evidence) -> Iterator[Finding]:
    """Every event of an attempt comes after its start."""
    started: set[int] = set()
    for number, event in run.lines:
        if isinstance(event, AttemptStarted):
            started.add(event.attempt)
        elif event.attempt is not None and event.attempt not in started:
            if event.attempt == 0 and not started:
                continue  # a launch whose worker never began
            what = f"{event.event!r} belongs to attempt {event.attempt}, which has not started"
            yield difference(FILE, what, line=number)


def ended_once(run: Evidence) -> Iterator[Finding]:
    """An attempt ends once; a submission whose worker never began may end the one before again."""
    if run.remote is not None:
        yield Unchecked("the platform and this side may both record the end of an attempt of a remote run")
        return
    open_since: str | None = None
    for number, event in run.of(Submitted, AttemptStarted, AttemptEnded):
        if not isinstance(event, AttemptEnded):
            open_since = event.event
        elif open_since is None:
            yield difference(FILE, f"attempt {event.attempt} ends a second time", line=number, kind="unexpected")
        else:
            open_since = None


def one_attempt_open(run: Evidence) -> Iterator[Finding]:
    """Once an attempt has started, the worker of an earlier one writes nothing more."""
    newest = 0
    for number, event in run.lines:
        if isinstance(event, AttemptStarted):
            newest = max(newest, event.attempt)
        elif isinstance(event, OF_WORKERS) and event.attempt is not None and event.attempt < newest:
            what = f"{event.event!r} of attempt {event.attempt} after attempt {newest} has started"
            yield difference(FILE, what, line=number, kind="unexpected")


def completed_is_last(run: Evidence) -> Iterator[Finding]:
    """No attempt follows one that completed the run."""
    completed: Line[AttemptEnded] | None = None
    for number, event in run.lines:
        if isinstance(event, AttemptEnded) and event.state == "completed":
            completed = completed or Line(number, event)
        elif completed is not None and isinstance(event, (AttemptStarted, *OF_WORKERS)):
            what = f"{event.event!r} after line {completed.number}, where the run was completed"
            yield difference(FILE, what, line=number, kind="unexpected")


def submitted_first(run: Evidence) -> Iterator[Finding]:
    """An attempt starts after a submission; on this machine each has its own."""
    submitted = started = 0
    for number, event in run.of(Submitted, AttemptStarted):
        if isinstance(event, Submitted):
            submitted += 1
            continue
        started += 1
        if submitted < (1 if run.remote is not None else started):
            what = f"attempt {event.attempt} starts after {submitted} submissions; one is missing before it"
            yield difference(FILE, what, line=number, kind="missing")
            return


def times_rise(run: Evidence) -> Iterator[Finding]:
    """Within one writer, times never go back beyond the clock tolerance."""
    latest: dict[str, tuple[float, int, str]] = {}
    for number, event in run.lines:
        if isinstance(event, UnknownEvent):
            continue
        at = seconds_of(event.at)
        if at is None:
            yield difference(FILE, f"{event.at!r} is not a time", line=number)
            continue
        writer = writer_of(event)
        before = latest.get(writer)
        if before is not None and at < before[0] - TOLERANCE:
            what = f"{event.at} is before {before[2]} of line {before[1]}, which {writer} wrote too"
            yield difference(FILE, what, line=number)
        elif before is None or at > before[0]:
            latest[writer] = at, number, event.at


def writer_of(event: Event) -> str:
    """Who wrote an event, as far as its kind tells: a worker, a tracker, or the launcher's side."""
    if isinstance(event, TrackerSaid):
        return f"the tracker {event.name}"
    if isinstance(event, (AttemptStarted, *OF_WORKERS)) and event.attempt is not None:
        return f"the worker of attempt {event.attempt}"
    if isinstance(event, (Created, Submitted, JobStarted, Acknowledged, Finished)):
        return "the launcher"
    return f"the writer of {event.event!r}"


def investigations_acknowledged(run: Evidence) -> Iterator[Finding]:
    """After an end for investigation, a person acknowledged before the next attempt."""
    waits: Line[AttemptEnded] | None = None
    for number, event in run.of(AttemptStarted, AttemptEnded, Acknowledged):
        match event:
            case AttemptEnded(state="investigate"):
                waits = Line(number, event)
            case Acknowledged():
                waits = None
            case AttemptStarted() if waits is not None:
                what = (
                    f"attempt {event.attempt} starts, and no one acknowledged what paused the run in line "
                    f"{waits.number}"
                )
                yield difference(FILE, what, line=number, kind="missing")
                waits = None


def states_fit_codes(run: Evidence) -> Iterator[Finding]:
    """The state of an end has an exit code that belongs to it."""
    for number, event in run.of(AttemptEnded):
        codes = EXIT_CODES.get(event.state)
        fits = event.exit_code in codes if codes is not None else event.exit_code != 0 or run.remote is not None
        if not fits or event.state in ("starting", "running"):
            what = f"attempt {event.attempt} ended as {event.state} with exit code {event.exit_code}"
            yield difference(FILE, f"{what}, which do not belong together", line=number)


def stages_in_order(run: Evidence) -> Iterator[Finding]:
    """The stages of a worker run in the card's order, each after the one before has succeeded."""
    names = tuple(run.worker_stages(run.loaded.card.extra_stages))
    done: dict[int, int] = {}
    for number, event in _stages(run):
        if event.stage not in names:
            continue
        place, reached = names.index(event.stage), done.get(event.attempt, 0)
        if place > reached:
            what = f"{event.event!r} {event.stage} in attempt {event.attempt}, where {names[reached]} has not succeeded"
            yield difference(FILE, what, line=number, kind="missing")
            return
        if isinstance(event, StageEnded) and event.ok:
            done[event.attempt] = max(reached, place + 1)


def stages_started(run: Evidence) -> Iterator[Finding]:
    """A stage ends as often as it started, or less."""
    running: dict[tuple[int, str], int] = {}
    for number, event in _stages(run):
        key = (event.attempt, event.stage)
        running[key] = running.get(key, 0) + (1 if isinstance(event, StageStarted) else -1)
        if running[key] < 0:
            what = f"the stage {event.stage} of attempt {event.attempt} ends without having started"
            yield difference(FILE, what, line=number, kind="missing")
            return


def _stages(run: Evidence) -> Iterator[tuple[int, StageStarted | StageEnded]]:
    """Starts and ends of stages."""
    yield from ((number, event) for number, event in run.lines if isinstance(event, StageStarted | StageEnded))


def saves_rise(run: Evidence) -> Iterator[Finding]:
    """Between two returns to an earlier step, checkpoints are saved at rising steps and epochs."""
    before: Line[CheckpointSaved] | None = None
    for number, event in run.of(AttemptStarted, Resumed, Restarted, CheckpointSaved):
        if not isinstance(event, CheckpointSaved):
            before = None
            continue
        if before is not None and (event.step, event.epoch) < (before.said.step, before.said.epoch):
            what = f"saves step {event.step} after step {before.said.step} of line {before.number}"
            yield difference(FILE, what, line=number)
        before = Line(number, event)


def commits_rise(run: Evidence) -> Iterator[Finding]:
    """Within an attempt, the committed step never falls."""
    before: dict[int, int] = {}
    for number, event in run.of(Committed):
        step = event.durable_step
        if step is None:
            continue
        if step < before.get(event.attempt, 0):
            what = f"step {step} is durable, and step {before[event.attempt]} was before"
            yield difference(FILE, what, line=number)
        before[event.attempt] = max(step, before.get(event.attempt, 0))


def resume_points_saved(run: Evidence) -> Iterator[Finding]:
    """Training goes on only from a state that was saved before, at the same step and epoch."""
    saved: dict[str, CheckpointSaved] = {}
    for number, event in run.lines:
        if isinstance(event, CheckpointSaved) and STATE in event.roles:
            saved[event.file] = event
        match event:
            case AttemptStarted(resumed_from=ResumePoint() as point) | Resumed(point=point):
                pass
            case _:
                continue
        found = saved.get(point.file)
        if found is None and not run.crashed:
            what = f"attempt {event.attempt} goes on from {point.file}, which no earlier line saved"
            yield difference(FILE, what, line=number, kind="missing")
        elif found is not None and not _is_of(run, found, point):
            what = f"{point.file} is said to be of epoch {point.epoch}, step {point.step}"
            yield difference(FILE, f"{what}; it was saved at epoch {found.epoch}, step {found.step}", line=number)


def _is_of(run: Evidence, saved: CheckpointSaved, point: ResumePoint) -> bool:
    """Whether a point is that of a save; the epoch of a script's is known once a later row has come."""
    counted = run.card.training.measured
    return saved.step == point.step and (not counted or saved.epoch == point.epoch)


def retries_allowed(run: Evidence) -> Iterator[Finding]:
    """A retry is one that the card allows."""
    allowed = run.loaded.card.infra.retries
    for number, event in run.of(Retried):
        if event.of != allowed or not 1 <= event.retry <= event.of:
            what = f"retry {event.retry} of {event.of}, and infra.retries of the card is {allowed}"
            yield difference(FILE, what, line=number)


def finished_as_ended(run: Evidence) -> Iterator[Finding]:
    """The exit code of a finished run is that of its last attempt, or of what failed after it."""
    ended: AttemptEnded | None = None
    for number, event in run.of(AttemptStarted, AttemptEnded, Finished):
        if not isinstance(event, Finished):
            ended = event if isinstance(event, AttemptEnded) else None
            continue
        if ended is None or (ended.exit_code == 0 and event.problem is not None and event.exit_code):
            continue
        if event.exit_code != ended.exit_code:
            what = f"finished with exit code {event.exit_code}, and attempt {ended.attempt} ended with"
            yield difference(FILE, f"{what} {ended.exit_code}", line=number)


def seconds_fit_times(run: Evidence) -> Iterator[Finding]:
    """An attempt took no longer than the time between its start and its end."""
    starts = {event.attempt: event.since for _, event in run.of(AttemptStarted)}
    for number, event in run.of(AttemptEnded):
        began, ended = seconds_of(starts.get(event.attempt, "")), seconds_of(event.at)
        if event.seconds is None or began is None or ended is None:
            continue
        if not -TOLERANCE <= event.seconds <= max(ended - began, 0.0) + TOLERANCE:
            what = f"attempt {event.attempt} took {event.seconds:g} s, and its times are {ended - began:.3f} s apart"
            yield difference(FILE, what, line=number)

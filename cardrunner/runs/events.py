"""The events of a run's ledger: one frozen model each, and the only place that knows the keys of their lines.

A field without a default is on every line. Other fields are written only if they were given, and read as their default
if a line lacks them, which is how older ledgers read. ``docs/events.md`` is made from this module.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from cardrunner.common.clock import time_of_day
from cardrunner.common.text import listed
from cardrunner.kill_rules.base import Action
from cardrunner.runs.event_model import Audience, Event, UnknownEvent
from cardrunner.runs.jsonl import parse_object
from cardrunner.runs.lines import LinesAnchor
from cardrunner.runs.process_identity import ProcessIdentity
from cardrunner.runs.records import Environment, ImageRecord, State

TrackerWord = Literal["on", "ended", "failed", "lost", "cut"]
GRACE_SECONDS = 30.0
"""The time from a limit until the worker is asked to end, and again until it is killed."""
TRACKER_TROUBLE: Final[Mapping[str, str]] = {
    "failed": "does not track",
    "lost": "stopped tracking",
    "cut": "was cut off",
}


class AttemptEvent(Event):
    """An event of one attempt."""

    attempt: int


class ResumePoint(BaseModel):
    """A full training state of the run."""

    model_config = ConfigDict(frozen=True)
    file: str
    epoch: int
    step: int

    def __str__(self) -> str:
        return f"{self.file}, epoch {self.epoch}, step {self.step}" if self.epoch else f"{self.file}, step {self.step}"


class Created(Event):
    """The run folder was made. The launch writes it before the folder gets its name."""

    event = "created"
    run: str
    workload: str
    card_digest: str
    executor: str
    signed_by: tuple[str, ...] = ()
    launcher: ProcessIdentity | None = None
    """The process that launches the run."""


class Submitted(Event):
    """The run was handed to an executor. The launch or the resume writes it, and a supervisor before a retry."""

    event = "submitted"
    executor: str = ""
    detach: bool = False
    """Whether the launch returns once the run trains."""
    start_seconds: float | None = None
    """How long the executor may take to start a worker."""
    launcher: ProcessIdentity | None = None
    """The process that handed the run to the executor and waits until a supervisor or worker has it."""


class JobStarted(Event):
    """The executor accepted the run under an id. The launch or the resume writes it."""

    event = "job"
    id: str
    """``EXECUTOR:...``, as `attach` takes it."""


class ContainerStarted(Event):
    """A container began to work on the run. It writes this itself, so that any machine can find the newest call."""

    event = "container"
    submission: str = ""
    """The submission it belongs to."""
    app: str | None = None
    call: str | None = None
    container: str | None = None
    image: ImageRecord | None = None
    """What its image was made from; null in ledgers of earlier versions."""


class LastHeard(Event):
    """The last sign of life of an attempt that recorded no end. The next worker or container writes it."""

    event = "last_heard"
    of: int
    """The attempt."""
    heartbeat: str
    """The newest heartbeat of its lease."""


class AttemptStarted(AttemptEvent):
    """A worker began. It is the worker's first event, once it holds the run's lease."""

    event = "attempt_started"
    executor: str | None = None
    pid: int | None = None
    host: str | None = None
    resumed_from: ResumePoint | None = None
    """The newest training state it found; null for a new run."""
    began: str | None = None
    """From when its time and cost count: before `at` if a container was prepared first."""
    environment: Environment | None = None

    @property
    def since(self) -> str:
        """From when its time counts."""
        return self.began or self.at


class AttemptEnded(AttemptEvent):
    """An attempt ended. Its worker writes it, or else the supervisor or container that waited for the worker."""

    event = "attempt_ended"
    audience = Audience.RESULTS
    state: State
    reason: str | None = None
    """A sentence; null when it completed."""
    exit_code: int
    seconds: float | None = None
    peak_memory_bytes: int | None = None
    """Of the largest of its processes."""
    history: LinesAnchor | None = None
    """How far the history had come."""
    ledger: LinesAnchor | None = None
    """How far the ledger had come."""

    @property
    def broke(self) -> bool:
        """Whether it was interrupted or failed, rather than ended by a rule, a limit or people."""
        return self.state in ("interrupted", "failed")

    def sentence(self) -> str | None:
        """The sentence for people."""
        return None if self.state == "completed" else f"{self.state}: {self.reason}"


class StageStarted(AttemptEvent):
    """A stage began. The process that runs the stage writes it: the worker, or `finish`."""

    event = "stage_started"
    stage: str


class StageEnded(AttemptEvent):
    """A stage ended, successfully or not. The process that ran the stage writes it."""

    event = "stage_ended"
    audience = Audience.RESULTS
    stage: str
    seconds: float | None = None
    ok: bool
    error: str | None = None
    """What ended it, as a sentence; null on success."""

    def sentence(self) -> str | None:
        """The sentence for people."""
        return None if self.ok else f"the {self.stage} stage ended with: {self.error}"


class DataOpened(AttemptEvent):
    """The data was opened. The load stage writes it."""

    event = "data_opened"
    digest: str
    """SHA-256 of the data's identity."""
    mode: str = ""


class TrainingBegan(AttemptEvent):
    """The first steps are trained: the start proof of a launch. The train stage writes it once per attempt."""

    event = "training"
    audience = Audience.SCREEN
    epoch: int = 0
    step: int
    loss: float | None = None
    metric: str | None = None
    """The name of that value, where a script reports it and it need not be a loss."""
    examples_per_second: float | None = None
    seconds: float = 0.0
    """Since the attempt began."""

    def sentence(self) -> str:
        """The sentence for people."""
        return f"trains: step {self.step}, {', '.join(self._figures())}"

    def _figures(self) -> Iterator[str]:
        value = "no loss yet" if self.loss is None else f"{self.metric or 'loss'} {self.loss:.4g}"
        yield value if self.metric is None else f"{value} (reported by the script)"
        if self.examples_per_second is not None:
            yield f"{self.examples_per_second:,.0f} examples/s"
        yield f"{self.seconds:.1f} s after the attempt began"


class CheckpointSaved(AttemptEvent):
    """A checkpoint is on the disk and in the manifest. The train stage writes it."""

    event = "checkpoint_saved"
    file: str
    epoch: int = 0
    step: int
    roles: tuple[str, ...] = ()
    """``state``, or the names it stands for, such as ``best.pt``."""
    seconds: float | None = None
    """How long saving took."""
    saves: int | None = None
    """The number of saves that the manifest counts with this one."""
    history: LinesAnchor | None = None
    """How far the history had come."""


class Committed(AttemptEvent):
    """The run is committed to the volume it lives on. The container writes it when a newer step is durable."""

    event = "committed"
    durable_step: int | None = None
    """The newest step whose training state is on the volume."""
    tries: int = 1
    seconds: float | None = None


class Resumed(AttemptEvent):
    """Training resumed from a saved state. The train stage writes it once the state is loaded."""

    event = "resumed"
    audience = Audience.BOTH
    file: str
    epoch: int
    step: int

    @property
    def point(self) -> ResumePoint:
        """The state that was loaded."""
        return ResumePoint(file=self.file, epoch=self.epoch, step=self.step)

    def sentence(self) -> str:
        """The sentence for people."""
        return f"went on from {self.point}"


class HistoryCut(Event):
    """Rows of the history will be trained again and are dropped. The train stage writes it before it drops them."""

    event = "history_cut"
    step: int
    """The last step that is kept."""
    rows: int
    """How many are dropped."""
    kept: LinesAnchor


class RuleFired(AttemptEvent):
    """A kill threshold fired. The train stage writes it, once per row of the history."""

    event = "verdict"
    audience = Audience.BOTH
    rule: int
    """The index of the rule in the card's kill thresholds, from 0."""
    action: Action
    condition: str = ""
    """The rule, as a phrase."""
    kind: Literal["train", "validation", "event"] = "validation"
    """The kind of row that it fired at."""
    epoch: int | None = None
    step: int
    value: float | None = None
    """The measured value."""
    limit: float | None = None
    """The card's limit."""
    message: str = ""
    """The finding, as a sentence."""
    moot: bool = False
    """Whether the last epoch was trained, so that nothing was left to stop."""

    @property
    def finding(self) -> str:
        """The condition, then what was measured."""
        return self.message if self.message.startswith(self.condition) else f"{self.condition}: {self.message}"

    @property
    def headline(self) -> str:
        """The action, then the finding: how a screen begins, which colours the action."""
        return f"{self.action}: {self.finding}"

    def text_for(self, audience: Audience) -> str | None:
        """The headline for the screen, else the sentence."""
        return self.headline if audience is Audience.SCREEN else super().text_for(audience)

    def sentence(self) -> str:
        """The sentence for people."""
        moot = "; the last epoch was trained, so that nothing was left to stop" if self.moot else ""
        return f"{self.finding} → {self.action}{moot}"


class ProjectedOverrun(AttemptEvent):
    """The run is projected to exceed its budget or its timeout. The train stage writes it once for each limit."""

    event = "projected_overrun"
    audience = Audience.BOTH
    action: Action
    limit: str
    """``budget`` or ``timeout``."""
    epoch: int = 0
    step: int
    projected_seconds: float | None = None
    projected_cost_usd: float | None = None
    message: str = ""

    @property
    def headline(self) -> str:
        """The action, then the projection: how a screen begins, which colours the action."""
        return f"{self.action}: {self.message}"

    def text_for(self, audience: Audience) -> str | None:
        """The headline for the screen, else the sentence."""
        return self.headline if audience is Audience.SCREEN else super().text_for(audience)

    def sentence(self) -> str:
        """The sentence for people."""
        return f"at step {self.step} {self.message} → {self.action}"


class Leaving(AttemptEvent):
    """The train stage saves and ends, on request or because a limit is reached."""

    event = "leaving"
    audience = Audience.SCREEN
    reason: str
    """``interrupted``, ``terminated``, ``stopped`` or ``limit``."""

    def sentence(self) -> str:
        """The sentence for people."""
        return "it saves and ends"


class ScriptAsked(AttemptEvent):
    """A script was asked to end. The train stage writes it as soon as the signal is sent, which is when this is."""

    event = "script_asked"
    audience = Audience.BOTH
    reason: str
    """``verdict``, ``limit``, ``interrupted``, ``terminated`` or ``stopped``."""
    signal: str
    why: str
    """Why it was asked at this moment, as the end of a sentence."""
    waited_seconds: float
    """From the decision until the signal."""
    decided_at: str
    """When the verdict was recorded, the limit came near, or a person asked."""
    row_at: str | None = None
    """When the row of the verdict was read; null where no row decided."""

    def sentence(self) -> str:
        """The sentence for people."""
        row = "" if self.row_at is None else f", row read at {time_of_day(self.row_at)}"
        what = "the verdict" if self.reason == "verdict" else "the decision"
        return (
            f"the script was sent {self.signal} {self.waited_seconds:.3g} s after {what} of "
            f"{time_of_day(self.decided_at)}{row}: {self.why}"
        )


class MetricMissing(AttemptEvent):
    """Declared metrics do not come, so that no threshold on them can fire. The train stage writes it once for each."""

    event = "metric_missing"
    audience = Audience.BOTH
    metrics: tuple[str, ...]
    message: str
    """Which, and what was reported in their place, as a sentence."""
    paused: bool = True
    """Whether the run is paused for it; a person may have said before that it may go on."""

    def sentence(self) -> str:
        """The sentence for people."""
        return f"a declared metric does not come: {self.message}"


class Restarted(Event):
    """Training begins again with the values that a kill threshold of the card sets. The worker writes it."""

    event = "restarted"
    audience = Audience.BOTH
    reason: str = ""
    set: Any = None
    """Card fields by path, and their new values. Kept unchanged, because it is compared with the card."""

    @property
    def changes(self) -> dict[str, Any]:
        """The new values by path; empty if the line has none."""
        return self.set if isinstance(self.set, dict) else {}

    def sentence(self) -> str:
        """The sentence for people."""
        return f"{self.reason}; went on with {assignments(self.changes) or 'nothing changed'}"


class WarningGiven(Event):
    """A problem that did not end the attempt. Any part of an attempt may write it."""

    event = "warning"
    audience = Audience.BOTH
    message: str

    @property
    def warns(self) -> bool:
        """Always a warning."""
        return True

    def sentence(self) -> str:
        """The sentence for people."""
        return self.message


class NoteLeft(Event):
    """Why a launcher stage had nothing to do. That stage writes it."""

    event = "note"
    audience = Audience.RESULTS
    message: str = ""

    def sentence(self) -> str | None:
        """The sentence for people."""
        return self.message or None


class TrackerSaid(AttemptEvent):
    """A tracker began, ended or failed. Its own process writes it, or the worker if that process died."""

    event = "tracker"
    audience = Audience.BOTH
    name: str
    state: TrackerWord
    """``on``; ``ended``; ``failed`` on opening or later; ``lost`` with its process; ``cut`` off while closing."""
    mode: str | None = None
    id: str | None = None
    where: str | None = None
    """A page or a folder."""
    later: str | None = None
    """The command that sends what was kept offline."""
    message: str | None = None

    @property
    def warns(self) -> bool:
        """Whether the tracker failed, was lost or was cut off."""
        return self.state in TRACKER_TROUBLE

    def sentence(self) -> str | None:
        """The sentence for people."""
        if self.warns:
            return f"{self.name} {TRACKER_TROUBLE[self.state]}: {self.message}; history.jsonl has everything"
        if self.state == "ended":
            return None
        later = f"; send it later with: {self.later}" if self.later else ""
        why = f" ({self.message})" if self.message else ""
        return f"{self.name}: {self.mode}{why}, id {self.id}, {self.where}{later}"

    def text_for(self, audience: Audience) -> str | None:
        """The sentence; the results have their own section about trackers, and get only the warnings."""
        return super().text_for(audience) if self.warns or audience is not Audience.RESULTS else None


class Overdue(AttemptEvent):
    """A worker passed a limit and went on. Its supervisor writes it and ends the worker."""

    event = "overdue"
    audience = Audience.BOTH
    limit: str
    """The limit that is passed, as a sentence."""
    state: State
    """The state that the attempt will get."""

    @property
    def warns(self) -> bool:
        """Always a warning."""
        return True

    def sentence(self) -> str:
        """The sentence for people."""
        return (
            f"{self.limit} and the worker has not ended by itself; it is asked to save, "
            f"and killed if that takes longer than {GRACE_SECONDS:g} s"
        )


class Retried(AttemptEvent):
    """A worker that crashed is started again. Its supervisor writes it; `attempt` is the one that crashed."""

    event = "retried"
    audience = Audience.BOTH
    retry: int
    """Which retry this is, from 1."""
    of: int
    """How many the card allows."""
    reason: str | None = None
    """Why the attempt ended."""

    @property
    def count(self) -> str:
        """``1 of 2: REASON``."""
        return f"{self.retry} of {self.of}: {self.reason}"

    def sentence(self) -> str:
        """The sentence for people."""
        return f"started again, {self.count}"


class Acknowledged(Event):
    """A person acknowledged what stopped the run. `resume --acknowledge` writes it."""

    event = "acknowledged"
    audience = Audience.RESULTS
    text: str = ""
    """The text of the acknowledgement."""

    def sentence(self) -> str:
        """The sentence for people."""
        return self.text


class Finishing(Event):
    """Finishing began: download, demo and results card. The supervisor or `finish` writes it."""

    event = "finishing"


class Finished(Event):
    """Finishing ended, successfully or not. The supervisor or `finish` writes it."""

    event = "finished"
    audience = Audience.RESULTS
    problem: str | None = None
    """What failed, as a sentence."""
    exit_code: int = 0
    """Of the whole run."""

    def sentence(self) -> str | None:
        """The sentence for people."""
        return self.problem


class Opened(Event):
    """A later command is about to change files of the run. That command writes it, before it changes anything."""

    event = "opened"
    command: str
    """The subcommand of ``cardrunner``."""


class Sealed(Event):
    """The run was sealed: after an attempt, by the process that finished it; after a later command, by that command."""

    event = "sealed"
    command: str
    """The subcommand that changed the run."""
    number: int
    """The seal's own, from 1."""
    seal: str
    """The sha256 of the seal."""
    changed: tuple[str, ...] = ()
    """The files that are not what the seal before said."""


EVENTS: Final[Mapping[str, type[Event]]] = {
    kind.event: kind
    for kind in (
        Created, Submitted, JobStarted, ContainerStarted, LastHeard, AttemptStarted, StageStarted, DataOpened,
        HistoryCut, Resumed, TrainingBegan, CheckpointSaved, Committed, RuleFired, ProjectedOverrun, WarningGiven,
        Restarted, TrackerSaid, Leaving, MetricMissing, ScriptAsked, StageEnded, AttemptEnded, Overdue, Retried,
        Acknowledged, Finishing, NoteLeft, Finished, Opened, Sealed,
    )
}  # fmt: skip
"""Every event by its name in the ledger, in about the order of a run."""


def parse(line: bytes) -> Event | None:
    """The event of one line; None for a torn line.

    Args:
        line: of a ledger, with or without its end.
    """
    raw = parse_object(line)
    if raw is None:
        return None
    kind = EVENTS.get(str(raw.get("event")))
    fields = {key: value for key, value in raw.items() if key not in ("event", "version")}
    known = kind is not None and raw.get("version", 1) == kind.version
    return (kind.read(fields) if kind is not None and known else None) or UnknownEvent.of(raw)


def assignments(changes: Mapping[str, Any]) -> str:
    """``a = 1, b = 2 and c = 3``."""
    return listed(f"{path} = {value}" for path, value in changes.items())

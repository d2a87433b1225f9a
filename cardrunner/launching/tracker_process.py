"""The process of one tracker, beside a worker: reads the run folder and tells the tracker what is new.

``python -m cardrunner.launching.tracker_process NAME FOLDER ATTEMPT``. The worker holds the other end of standard
input; when it closes, the worker is done or gone. Nothing waits for this process for long, and nothing it does reaches
the training: the worker only ever appends to its own files. Steps that a resume trains again are not told twice.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from cardrunner import registry
from cardrunner.contracts import Tracked, TrackedRun, Tracker
from cardrunner.errors import CardrunnerError, EnvironmentFailed
from cardrunner.plugins import blamed_plugin
from cardrunner.redaction import hide, hide_in, hiding_streams
from cardrunner.runs.event_model import Event
from cardrunner.runs.events import AttemptEnded, AttemptStarted, TrackerSaid, TrackerWord
from cardrunner.runs.files import locked
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.frozen import load_frozen
from cardrunner.runs.history import HistoryRow
from cardrunner.runs.jsonl import Tail
from cardrunner.runs.kept_folder import keep_in_place
from cardrunner.runs.ledger import Ledger, LedgerTail
from cardrunner.runs.status import LOST_EXIT_CODE, derive_status
from cardrunner.tracking.tracker_processes import LINGER_SECONDS, Memory, read_memory, write_memory

_LOOK_SECONDS: Final = 1.0
_GONE_SECONDS: Final = 2.0
"""How long the worker's last lines are waited for once its end of the pipe has closed."""
_ALERTING: Final = frozenset({"investigate", "failed", "timed_out"})


@dataclass
class Station:
    """One tracker and one attempt."""

    name: str
    folder: RunFolder
    attempt: int
    tracker: Tracker
    memory: Memory
    lifeline: int = 0
    """The descriptor whose other end the worker holds."""
    ended: AttemptEnded | None = None
    _events: LedgerTail = field(init=False)
    _rows: Tail = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.folder.ledger)
        self._events, self._rows = LedgerTail(self.folder.ledger), Tail(self.folder.history)

    def run(self) -> None:
        """Open, tell what comes until the attempt ends, close. A tracker that fails is told to people, once."""
        try:
            tracked = self.tracker.open(self._facts())
        except Exception as error:  # whatever a tracker's library raises must end here
            self._say("failed", _sentence(error))
            return
        self.memory.tracked = tracked
        write_memory(self.folder.tracker_state(self.name), self.memory)
        self._append(self._placed("on", tracked).model_copy(update={"message": tracked.why}))
        try:
            for lively in self._looks():
                self._tell()
                if self.ended is not None or not lively:
                    break
            self._close(tracked)
        except Exception as error:
            self._say("failed", f"{_sentence(error)}; it was told up to step {self.memory.sent}")

    def _looks(self) -> Iterator[bool]:
        """Now and then; False for the last look, once the worker is gone."""
        poll, gone_at = select.poll(), None
        poll.register(self.lifeline, select.POLLIN)
        while gone_at is None or time.monotonic() - gone_at < _GONE_SECONDS:
            if gone_at is None and poll.poll(_LOOK_SECONDS * 1000):
                gone_at = time.monotonic()  # it never writes: the pipe has closed
            elif gone_at is not None:
                time.sleep(_LOOK_SECONDS / 5)
            yield True
        yield False

    def _tell(self) -> None:
        before = self.memory.sent_mark
        ended = self._end_in(self._events.events())
        for line in self._rows.new():  # after the look at the events: an end comes after the last row
            with contextlib.suppress(ValidationError):
                row = HistoryRow.model_validate(line)
                if (row.step, row.kind == "validation") > self.memory.sent_mark:
                    self.tracker.log(row)
                    self.memory.sent, self.memory.validation = row.step, row.kind == "validation"
        if self.memory.sent_mark != before:
            write_memory(self.folder.tracker_state(self.name), self.memory)
        self.ended = ended or self.ended

    def _end_in(self, events: Iterator[Event]) -> AttemptEnded | None:
        ends = [event for event in events if isinstance(event, AttemptEnded) and event.attempt == self.attempt]
        return ends[-1] if ends else None

    def _close(self, tracked: Tracked) -> None:
        with _limited(self, tracked):
            end = self.ended or AttemptEnded(
                attempt=self.attempt,
                state="interrupted",
                reason="the worker ended without a word",
                exit_code=LOST_EXIT_CODE,
            )
            if (title := self._alert(end)) is not None:
                self.tracker.alert(title, hide(end.reason or end.state))
            self.tracker.close(hide_in(self._summary(end)))
            self._append(self._placed("ended", tracked))

    def _alert(self, end: AttemptEnded) -> str | None:
        state = end.state
        killed = state == "stopped" and not self.folder.stop_request.exists()  # by a rule or a limit, not by people
        return f"{self.folder.name}: {'killed' if killed else state}" if killed or state in _ALERTING else None

    def _summary(self, end: AttemptEnded) -> dict[str, Any]:
        status = derive_status(self.folder)
        known = {
            "state": end.state, "reason": end.reason, "exit_code": end.exit_code,
            "attempts": status.attempts, "step": status.step, "epoch": status.epoch, "cost_usd": status.cost_usd,
            "weights_sha256": status.weights_sha256, "best": status.best or None,
        }  # fmt: skip
        return {key: value for key, value in {**known, **status.metrics}.items() if value is not None}

    def _facts(self) -> TrackedRun:
        loaded = load_frozen(self.folder, registry.workload_spec)
        started = self.ledger.last(AttemptStarted) or AttemptStarted(attempt=self.attempt)
        card = json.loads(self.folder.card_json.read_bytes())
        config = {
            "card": card,
            "run": self.folder.name,
            "card_digest": loaded.digest,
            "attempt": self.attempt,
            "executor": started.executor,
            "host": started.host,
            "environment": started.environment.model_dump() if started.environment else None,
        }
        return TrackedRun(
            run=self.folder.name,
            folder=self.folder.root,
            settings=loaded.card.infra.tracking.settings_of(self.name),
            config=hide_in(config),
            previous=self.memory.tracked,
            first_step=started.resumed_from.step if started.resumed_from else 0,
        )

    def _say(self, state: TrackerWord, message: str) -> None:
        self._append(TrackerSaid(attempt=self.attempt, name=self.name, state=state, message=message))

    def _placed(self, state: TrackerWord, tracked: Tracked) -> TrackerSaid:
        """What it says with its place; an end has no message, so that the one of the beginning stands."""
        return TrackerSaid(
            attempt=self.attempt,
            name=self.name,
            state=state,
            mode=tracked.mode,
            id=tracked.id,
            where=tracked.where,
            later=tracked.later,
        )

    def _append(self, event: TrackerSaid) -> None:
        with contextlib.suppress(EnvironmentFailed):  # a full disk is the worker's to report
            self.ledger.append(event)


@contextlib.contextmanager
def _limited(station: Station, tracked: Tracked) -> Iterator[None]:
    """Give up after a while, whatever the tracker's library still waits for."""
    over = threading.Event()

    def give_up() -> None:
        if not over.wait(LINGER_SECONDS):
            message, later = f"it did not close within {LINGER_SECONDS:g} s", tracked.later or tracked.rescue
            cut = station._placed("cut", tracked)
            station._append(cut.model_copy(update={"later": later, "message": message}))
            os._exit(1)

    threading.Thread(target=give_up, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _sentence(error: BaseException) -> str:
    if (blamed := blamed_plugin(error)) is not None and not isinstance(error, CardrunnerError):
        return blamed
    text = " ".join(str(error).split())
    return text if isinstance(error, CardrunnerError) else f"{type(error).__name__}: {text}"


def _main(arguments: list[str]) -> int:
    name, path, attempt = arguments
    folder = RunFolder(Path(path))
    lock = folder.tracker_lock(name)
    keep_in_place(folder.root, folder.frozen)  # until this process ends
    lock.parent.mkdir(exist_ok=True)
    with hiding_streams(), locked(lock):  # the tracker of the attempt before may still be closing
        make: Callable[[], Tracker] = _maker(name)
        Station(name, folder, int(attempt), make(), read_memory(folder.tracker_state(name))).run()
    return 0


def _maker(name: str) -> Callable[[], Tracker]:
    """The tracker's class; one that cannot be imported is a tracker that fails."""
    try:
        return registry.tracker(name)
    except Exception as error:
        sentence = _sentence(error)
        return lambda: _Broken(sentence)


@dataclass
class _Broken:
    """Stands in for a tracker that could not be imported."""

    why: str

    def open(self, facts: TrackedRun) -> Tracked:
        del facts
        raise EnvironmentFailed(self.why)

    def log(self, row: HistoryRow) -> None:
        del row

    def alert(self, title: str, text: str) -> None:
        del title, text

    def close(self, summary: Mapping[str, Any]) -> None:
        del summary


if __name__ == "__main__":
    code = _main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)  # a tracker's library may have threads that never end

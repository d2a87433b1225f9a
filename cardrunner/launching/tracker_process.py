"""The process of one tracker: reads the run folder while a worker trains, and sends new rows to the tracker.

``python -m cardrunner.launching.tracker_process NAME FOLDER ATTEMPT``. The worker holds the other end of standard
input; when that closes, the worker has ended. A slow or failing tracker cannot affect the training, which only writes
its own files and waits for trackers a few seconds at the end. Steps that a resume trains again are sent once.
"""

from __future__ import annotations

import contextlib
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
from cardrunner.common.redaction import hide, hide_in, hiding_streams
from cardrunner.contracts import Tracked, TrackedRun, Tracker
from cardrunner.errors import CardrunnerError, EnvironmentFailed
from cardrunner.plugins import blamed_plugin
from cardrunner.runs.event_model import Event
from cardrunner.runs.events import AttemptEnded, AttemptStarted, TrackerSaid, TrackerWord
from cardrunner.runs.files import locked
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.frozen import load_frozen
from cardrunner.runs.history import HistoryRow
from cardrunner.runs.jsonl import Tail
from cardrunner.runs.kept_folder import keep_in_place
from cardrunner.runs.ledger import Ledger, LedgerTail
from cardrunner.runs.records import read_json
from cardrunner.runs.status import LOST_EXIT_CODE, derive_status
from cardrunner.tracking.tracker_processes import LINGER_SECONDS, Memory, read_memory, write_memory

_POLL_SECONDS: Final = 1.0
_GONE_SECONDS: Final = 2.0
"""How long to wait for the worker's last lines after its end of the pipe has closed."""
_ALERTING: Final = frozenset({"investigate", "failed", "timed_out"})


@dataclass
class TrackerProcess:
    """Feeds one tracker during one attempt."""

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
        """Open the tracker, send it rows until the attempt ends, and close it. A failure is recorded once."""
        try:
            tracked = self.tracker.open(self._facts())
        except Exception as error:  # a tracker's library may raise anything
            self._report("failed", _sentence(error))
            return
        self.memory.tracked = tracked
        write_memory(self.folder.tracker_state(self.name), self.memory)
        self._append(self._placed("on", tracked).model_copy(update={"message": tracked.why}))
        try:
            for lively in self._polls():
                self._forward()
                if self.ended is not None or not lively:
                    break
            self._close(tracked)
        except Exception as error:
            self._report("failed", f"{_sentence(error)}; it has the rows up to step {self.memory.sent}")

    def _polls(self) -> Iterator[bool]:
        """Yield True once per poll while the worker lives, then False for the last poll."""
        poll, gone_at = select.poll(), None
        poll.register(self.lifeline, select.POLLIN)
        while gone_at is None or time.monotonic() - gone_at < _GONE_SECONDS:
            if gone_at is None and poll.poll(_POLL_SECONDS * 1000):
                gone_at = time.monotonic()  # the worker never writes, so the pipe has closed
            elif gone_at is not None:
                time.sleep(_POLL_SECONDS / 5)
            yield True
        yield False

    def _forward(self) -> None:
        before = self.memory.sent_mark
        ended = self._end_in(self._events.events())
        for line in self._rows.new():  # read after the events: the last row is written before the end
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
        card = read_json(self.folder.card_json)
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

    def _report(self, state: TrackerWord, message: str) -> None:
        self._append(TrackerSaid(attempt=self.attempt, name=self.name, state=state, message=message))

    def _placed(self, state: TrackerWord, tracked: Tracked) -> TrackerSaid:
        """An event with the tracker's place. It has no message, so that the first one stays in the status."""
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
        with contextlib.suppress(EnvironmentFailed):  # the worker reports a full disk
            self.ledger.append(event)


@contextlib.contextmanager
def _limited(process: TrackerProcess, tracked: Tracked) -> Iterator[None]:
    """End the process if the tracker's library takes longer than `LINGER_SECONDS` to close."""
    over = threading.Event()

    def give_up() -> None:
        if not over.wait(LINGER_SECONDS):
            message, later = f"it did not close within {LINGER_SECONDS:g} s", tracked.later or tracked.rescue
            cut = process._placed("cut", tracked)
            process._append(cut.model_copy(update={"later": later, "message": message}))
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
        TrackerProcess(name, folder, int(attempt), make(), read_memory(folder.tracker_state(name))).run()
    return 0


def _maker(name: str) -> Callable[[], Tracker]:
    """The tracker's class; for one that cannot be imported, a tracker that fails on opening."""
    try:
        return registry.tracker(name)
    except Exception as error:
        sentence = _sentence(error)
        return lambda: _Broken(sentence)


@dataclass
class _Broken:
    """Replaces a tracker that cannot be imported, and reports why."""

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

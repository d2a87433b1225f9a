"""The end of a worker that recorded none, derived from its exit code and the kernel's counters."""

from __future__ import annotations

import contextlib
import signal

from cardrunner.errors import EnvironmentFailed, NameTaken
from cardrunner.runs.events import AttemptEnded, AttemptStarted, Submitted
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.lines import anchor_of
from cardrunner.runs.outcome import overdue_outcome, silent_end
from cardrunner.runs.records import RemoteRun, State, find_record
from cardrunner.runs.status import LOST_EXIT_CODE, last_word, metered_seconds

ASKED_CODES = frozenset({128 + signal.SIGINT, 128 + signal.SIGTERM})
"""Exit codes of a worker that was asked to end, by people or by a machine shutting down."""
_OWN_CODES = range(1, 9)
"""Exit codes that the worker itself uses; any other comes from outside."""


def record_loss(folder: RunFolder, code: int, *, out_of_memory: bool = False) -> None:
    """Record how a worker ended, unless it did so itself.

    Args:
        folder: the run.
        code: its exit code, 128 + n if signal n ended it.
        out_of_memory: the kernel killed a process for lack of memory while it ran.

    Raises:
        NameTaken: it ended because another worker has the run.
    """
    last = Ledger(folder.ledger).last(Submitted, AttemptStarted, AttemptEnded)
    if isinstance(last, AttemptEnded):
        return
    if code == NameTaken.exit_code:
        raise left_alone(folder)
    word = last_word(folder, last) if isinstance(last, AttemptStarted) else None
    if word is not None and word.state is not None and word.exit_code is not None:
        append_end(folder, word.state, word.reason or "", word.exit_code)
    elif (remote := find_record(folder.remote_run, RemoteRun)) is not None:
        state: State = "interrupted" if remote.exit_code is None else "failed"
        append_end(folder, state, remote.ending or "the platform reports no reason", code)
    elif (ended := overdue_outcome(folder, killed=True)) is not None:
        append_end(folder, ended.state, str(ended.reason), ended.exit_code)
    elif code in ASKED_CODES:
        append_end(folder, "interrupted", "ended at once by a signal, without saving", code)
    elif code > 128:
        append_end(folder, "interrupted", _killed(code - 128, out_of_memory=out_of_memory), LOST_EXIT_CODE)
    else:
        reason = f"the worker {silent_end(code)}; see `cardrunner logs {folder.name}`"
        append_end(folder, "failed", reason, code if code in _OWN_CODES else LOST_EXIT_CODE)


def left_alone(folder: RunFolder) -> NameTaken:
    """Why a worker left a run alone: another has it, or what its platform says."""
    remote = find_record(folder.remote_run, RemoteRun)
    if remote is not None and remote.ending is not None:
        return NameTaken(f"run {folder.name} does not go on: {remote.ending}")
    return NameTaken(f"run {folder.name} is live; watch it with `cardrunner attach {folder.name}`")


def append_end(folder: RunFolder, state: State, reason: str, exit_code: int) -> None:
    """Record the end of the newest attempt on behalf of its worker, with the seconds known from ledger and history."""
    ledger = Ledger(folder.ledger)
    seconds = metered_seconds(folder) - sum(event.seconds or 0.0 for event in ledger.events(AttemptEnded))
    with contextlib.suppress(EnvironmentFailed):  # a full disk must not hide how the run ended
        ended = AttemptEnded(
            attempt=ledger.attempts(),
            state=state,
            reason=reason,
            exit_code=exit_code,
            seconds=round(max(seconds, 0.0), 3),
            history=anchor_of(folder.history),
            ledger=anchor_of(folder.ledger),
        )
        ledger.append(ended)


def _killed(number: int, *, out_of_memory: bool) -> str:
    if number == signal.SIGKILL and out_of_memory:
        return (
            "the worker was killed by signal 9 when the machine ran out of memory (the kernel counted an oom_kill); "
            "give it more memory, or lower training.batch_size or training.workers"
        )
    return f"the worker {silent_end(-number)}"

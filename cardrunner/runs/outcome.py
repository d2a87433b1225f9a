"""The end of an attempt as a state, a reason and an exit code, and the money and retries that its card allows."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Any, Final

from cardrunner.common.units import cost_of_seconds
from cardrunner.errors import (
    CardrunnerError,
    EnvironmentFailed,
    IntegrityError,
    Interrupted,
    RunPaused,
    RunStopped,
    Terminated,
    TimedOut,
)
from cardrunner.plugins import blamed_plugin
from cardrunner.runs.events import GRACE_SECONDS as GRACE_SECONDS, Overdue, Submitted
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.records import State, read_json

_STATES: tuple[tuple[type[BaseException], State], ...] = (
    (TimedOut, "timed_out"),
    (RunStopped, "stopped"),
    (RunPaused, "investigate"),
    (Interrupted, "interrupted"),
    (Terminated, "interrupted"),
    (KeyboardInterrupt, "interrupted"),
)


@dataclass(frozen=True)
class AttemptEnd:
    """How an attempt ended; with `bug`, the log gets a traceback."""

    state: State
    reason: str | None
    exit_code: int
    bug: bool = False


COMPLETED = AttemptEnd("completed", None, 0)


def outcome_of(error: BaseException) -> AttemptEnd:
    """The end of an attempt whose stages raised an exception."""
    state: State = next((state for kind, state in _STATES if isinstance(error, kind)), "failed")
    if isinstance(error, CardrunnerError):
        return AttemptEnd(state, " ".join(str(error).split()), error.exit_code)
    if isinstance(error, KeyboardInterrupt):
        return AttemptEnd(state, "interrupted by Ctrl-C", Interrupted.exit_code)
    sentence = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, OSError | MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return AttemptEnd(state, sentence, EnvironmentFailed.exit_code, bug=True)
    if (blamed := blamed_plugin(error)) is not None:
        return AttemptEnd(state, blamed, EnvironmentFailed.exit_code, bug=True)
    return AttemptEnd(state, f"a bug in cardrunner or the workload: {sentence}", CardrunnerError.exit_code, bug=True)


def silent_end(code: int) -> str:
    """How a process ended that recorded no end, as a phrase after its name.

    Args:
        code: its exit code, or minus the signal that ended it.
    """
    if code >= 0:
        return f"ended with {code} and no word"
    name = next((f" ({known.name})" for known in signal.Signals if known == -code), "")
    return f"was killed by signal {-code}{name}"


_ANSWERED: Final = "the worker ended when its supervisor asked it to"
_KILLED: Final = "the worker hung and was killed, what it saved before counts"


def record_overdue(folder: RunFolder, limit: RunStopped) -> None:
    """Record that the newest attempt has passed a limit and is being ended."""
    ledger = Ledger(folder.ledger)
    ledger.append(Overdue(attempt=ledger.attempts(), limit=str(limit), state=outcome_of(limit).state))


def overdue_outcome(folder: RunFolder, *, killed: bool) -> AttemptEnd | None:
    """The end of an attempt that its supervisor ended at a limit; None if it did not.

    Args:
        folder: the run.
        killed: whether it had to be killed.
    """
    event = Ledger(folder.ledger).last(Submitted, Overdue)
    if not isinstance(event, Overdue):
        return None
    return AttemptEnd(event.state, f"{event.limit}; {_KILLED if killed else _ANSWERED}", RunStopped.exit_code)


def metered_cost(folder: RunFolder, seconds: float) -> float | None:
    """Dollars for `seconds` at the card's price. Without a price: 0 on a local machine, elsewhere None."""
    infra = _section(folder, "infra")
    price = infra.get("price")
    if price is None:
        return 0.0 if infra.get("platform") == "local" else None
    return cost_of_seconds(seconds, hourly=float(price), count=int(infra.get("gpus", 1)))


def spent_budget(folder: RunFolder, cost: float | None) -> float | None:
    """The budget in dollars, if the run has spent it; None otherwise, and for a card without a budget."""
    budget = _section(folder, "timing").get("budget")
    return None if budget is None or cost is None or not cost >= float(budget) else float(budget)


def has_retries(folder: RunFolder) -> bool:
    """Whether the card allows retries after a crash."""
    return bool(_section(folder, "infra").get("retries"))


def _section(folder: RunFolder, name: str) -> dict[str, Any]:
    try:
        return dict(read_json(folder.card_json)[name])
    except (IntegrityError, KeyError, TypeError, ValueError):
        return {}

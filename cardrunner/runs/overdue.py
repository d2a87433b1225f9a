"""A worker that goes on beyond the timeout or the budget of its card, because it hangs or still loads.

One that is well ends by itself and saves. Its supervisor ends any other: it writes down which limit was passed, asks
the worker to save, and kills it. Whoever of the two records the end of the attempt says that the limit ended it.
"""

from __future__ import annotations

from typing import Final

from cardrunner.errors import RunStopped
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.ledger import Event, Ledger
from cardrunner.runs.outcome import Outcome, outcome_of

GRACE_SECONDS = 30.0
"""From the limit until the worker is asked, and from there until it is killed."""
_ANSWERED: Final = "the worker ended when its supervisor asked it to"
_KILLED: Final = "the worker hung and was killed, what it saved before counts"


def record_overdue(folder: RunFolder, limit: RunStopped) -> None:
    """Write down that the newest attempt has passed a limit and is being ended."""
    ledger = Ledger(folder.ledger)
    ledger.append("overdue", attempt=ledger.attempts(), limit=str(limit), state=outcome_of(limit).state)


def overdue_outcome(folder: RunFolder, *, killed: bool) -> Outcome | None:
    """How the attempt ended, if its supervisor ended it for a limit.

    Args:
        folder: the run.
        killed: it did not answer.
    """
    event = Ledger(folder.ledger).last("submitted", "overdue")
    if event is None or event["event"] != "overdue":
        return None
    return Outcome(event["state"], f"{event['limit']}; {_KILLED if killed else _ANSWERED}", RunStopped.exit_code)


def overdue_sentence(event: Event) -> str:
    """An ``overdue`` event, as people are told of it."""
    return (
        f"{event.get('limit')} and the worker has not ended by itself; it is asked to save, "
        f"and killed if that takes longer than {GRACE_SECONDS:g} s"
    )

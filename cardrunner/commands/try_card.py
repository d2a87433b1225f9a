"""`cardrunner try`: a copy of a card's code runs unsigned for two minutes in a folder that is thrown away."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cardrunner import registry
from cardrunner.card.load import load_card
from cardrunner.card.schema.card import Card
from cardrunner.commands.run_arguments import progress_of
from cardrunner.common.redaction import secret_in
from cardrunner.common.terminal import sign_remark
from cardrunner.common.units import format_duration, parse_duration
from cardrunner.contracts import ForeseesCommand, OffersTrial, Progress, TrialResult
from cardrunner.errors import UsageError
from cardrunner.gate.trials import check_trial
from cardrunner.runs.interrupts import StopRequest, signal_error
from cardrunner.tracking.progress import make_progress
from cardrunner.workspace import Workspace

HELP = "run a copy of a card's code unsigned for two minutes, and offer the YAML for what it reports"
DEFAULT = "2min"
LONGEST = 600.0
"""Seconds, whatever is asked."""
SHORTEST = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The card, and for how long."""
    parser.add_argument("card", type=Path, metavar="CARD", help="a card whose workload is a script (command)")
    parser.add_argument(
        "--for", dest="duration", default=DEFAULT, metavar="DURATION", help="such as 30s; 10min at most (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="one object: declared, missing, seen, stop, resume, paste")


def run(options: argparse.Namespace) -> int:
    """Say what was seen, offer what to paste, and say what comes next. 0 if all that the card declares came."""
    seconds = _seconds(options.duration)
    loaded, workspace = load_card(options.card, registry.workload_spec), Workspace.around(options.card)
    workload = _workload(loaded.card.workload)
    if workload is None:
        raise UsageError(
            f"{options.card}: the workload {loaded.card.workload} runs no script of its own: there is nothing to try;"
            f" `cardrunner plan {options.card}` shows what a launch would do, and a copy of the card with few epochs"
            " (cardrunner new NAME --from CARD) is its trial"
        )
    check_trial(loaded.card, workspace, file=str(options.card))
    if (secret := secret_in(loaded.files)) is not None:
        raise UsageError(secret)
    progress: Progress = make_progress(True) if options.json else progress_of(options)
    with _leaving() as stop:
        result = workload.trial(loaded.card, workspace, seconds=seconds, stop=stop, progress=progress)
    _tell(result, options, loaded.card)
    return result.exit_code


def _workload(name: str) -> OffersTrial | None:
    """A workload that runs a command line and can be tried; others are not loaded, since they may need torch."""
    if not isinstance(registry.workload_spec(name), ForeseesCommand):
        return None
    found: object = registry.workload(name)
    return found if isinstance(found, OffersTrial) else None


def _seconds(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--for {text}: {error}") from None
    if seconds < SHORTEST:
        raise UsageError(f"--for {text}: too short for any script; give it {format_duration(SHORTEST)} at least")
    return min(seconds, LONGEST)


@contextmanager
def _leaving() -> Iterator[StopRequest]:
    """Ctrl-C, SIGTERM and a terminal that is closed end the trial at once; a second one changes nothing."""
    stop = StopRequest()

    def leave(number: int, _: object) -> None:
        if stop.reason is None:
            asked = number if number == signal.SIGINT else signal.SIGTERM
            stop.request("interrupted" if asked == signal.SIGINT else "terminated")
            raise signal_error(asked)

    before = {number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            # once asked to leave, the exit code is that of the first signal, also while the interpreter ends
            signal.signal(number, handler if stop.reason is None else signal.SIG_IGN)


def _tell(result: TrialResult, options: argparse.Namespace, card: Card) -> None:
    if options.json:
        more = {"paste": result.paste, "problem": result.problem, "exit_code": result.exit_code}
        print(json.dumps({**result.summary, **more}, indent=2, ensure_ascii=False))
        return
    print("\n".join(result.lines))
    if result.paste:
        print("\npaste into the card, each field in place of what it says there:\n")
        print(result.paste, end="")
    if result.problem is not None:
        print(f"\n{result.problem}", file=sys.stderr)
    if not options.quiet:
        print("\n" + "\n".join(_next(result, options.card, card)), file=sys.stderr)


def _next(result: TrialResult, file: Path, card: Card) -> Iterator[str]:
    yield "nothing of this trial is kept; next:"
    again = "again, with what was pasted or corrected"
    if result.exit_code and not result.complete:
        yield f"  cardrunner try {file}             # {again}"
        return
    if result.paste:
        yield f"  cardrunner try {file} --for 30s   # {again}"
    yield f"  cardrunner code {file} --write    # the digest of the code, for the signatures"
    yield f"  cardrunner check {file}           # lists what is left to tick"
    for reviewer in card.sign_off.reviewers:
        yield f"  cardrunner sign {file} --as {reviewer.id}{sign_remark()}"
    yield f"  cardrunner launch {file}"

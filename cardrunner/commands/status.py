"""`cardrunner status`: the state of runs."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator

from cardrunner.commands.run_arguments import add_runs_argument, run_to_read, runs_of, summary
from cardrunner.common.clock import utc_seconds
from cardrunner.common.text import place_in_training
from cardrunner.common.units import format_dollars, format_duration
from cardrunner.errors import IntegrityError
from cardrunner.launching.submit import refresh
from cardrunner.runs.attempts import TrackerState
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.heartbeat import read_heartbeat
from cardrunner.runs.inspect import in_lines, run_damage
from cardrunner.runs.lease import is_live
from cardrunner.runs.status import Status, derive_status, is_here

HELP = "show the state of one run, or of all"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run, and whether a script reads the answer."""
    parser.add_argument("run_name", metavar="RUN", nargs="?", help="one run; all of them when absent")
    parser.add_argument("--json", action="store_true", help="one JSON object, or a list of them without RUN")
    add_runs_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Print the state of the run, or of every run."""
    if options.run_name is not None:
        folder = run_to_read(options)
        if (problem := refresh(folder)) is not None:
            print(problem, file=sys.stderr)
        status = _examined(folder)
        print(json.dumps(_plain(status), indent=2) if options.json else "\n".join(_lines(folder, status)))
        return 0
    found = list(_readable(RunFolder.all(runs_of(options))))
    if options.json:
        print(json.dumps([_plain(status) for status in found], indent=2))
    else:
        print("\n".join(map(summary, found)) or f"no runs in {runs_of(options)}")
    return 0


def _readable(folders: tuple[RunFolder, ...]) -> Iterator[Status]:
    for folder in folders:
        try:
            if folder.remote_run.exists() and is_live(folder) and (problem := refresh(folder)) is not None:
                print(problem, file=sys.stderr)
            yield _examined(folder)
        except IntegrityError as error:
            print(error, file=sys.stderr)


def _examined(folder: RunFolder) -> Status:
    """The state of a run, with what is found damaged in its folder."""
    return derive_status(folder).model_copy(update={"damage": tuple(in_lines(run_damage(folder)))})


def _plain(status: Status) -> dict[str, object]:
    plain = status.model_dump(mode="json")
    return plain if status.reported else {name: value for name, value in plain.items() if name != "reported"}


def _lines(folder: RunFolder, status: Status) -> Iterator[str]:
    yield summary(status)
    yield f"  stage        {status.stage or '-'}, attempt {status.attempts}"
    if status.live and (beat := read_heartbeat(folder.heartbeat)) is not None and beat.attempt == status.attempts:
        yield f"  now          {place_in_training(beat.epoch, beat.step)}{_ago(folder, beat.at)}"
    if status.warning:
        yield f"  warning      {status.warning}"
    yield from (f"  folder       {line}" for line in status.damage)
    yield (
        f"  saved        step {status.last_durable_step}"
        if status.last_durable_step is not None
        else "  saved        nothing yet"
    )
    who = ", reported by the script" if status.reported else ""
    yield from (f"  {name:<32} {value:.6g}{who}" for name, value in status.metrics.items() if name.startswith("val_"))
    if status.best:
        at = f"in epoch {status.best['epoch']}" if status.best["epoch"] else f"at step {status.best['step']}"
        yield f"  best         {status.best['metric']} {status.best['value']:.6g} {at}{who}"
    priced = " at the card's price" if status.cost_usd else ""
    yield f"  cost         {'unknown' if status.cost_usd is None else format_dollars(status.cost_usd)}{priced}"
    if status.projected_seconds is not None:
        money = "" if not status.projected_cost_usd else f", {format_dollars(status.projected_cost_usd)}"
        yield f"  projected    {format_duration(status.projected_seconds)} in all{money}"
    yield f"  card         {status.card_digest[:12]}, signed by {', '.join(status.signed_by) or 'no one'}"
    yield f"  started      {status.started}, last sign {status.updated}"
    for tracker in status.trackers:
        yield f"  {tracker.name:<12} {_tracker(tracker)}"
    if status.results:
        yield f"  results      {status.results}"
    elif not status.live and status.attempts:
        yield f"  results      missing; `cardrunner finish {status.run}` makes the results card"
    if status.next:
        yield f"  next         {status.next}"


def _ago(folder: RunFolder, at: str) -> str:
    """How long ago a live worker noted a time; empty for one on another machine, whose clock may differ."""
    if not is_here(folder):
        return ""
    return f", {format_duration(max(0.0, time.time() - utc_seconds(at)))} ago"


def _tracker(told: TrackerState) -> str:
    state = None if told.state == "on" else told.state
    later = f"send it with: {told.later}" if told.later else None
    return ", ".join(filter(None, (state, told.mode, told.id, told.where, told.message, later)))

"""Shared by the commands about runs: naming a run, showing progress, reporting how it ended."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from cardrunner import registry
from cardrunner.common.units import format_dollars
from cardrunner.contracts import Progress
from cardrunner.errors import CardrunnerError
from cardrunner.launching.finish import RunEnd
from cardrunner.launching.judgement import remarks
from cardrunner.launching.remote_runs import find_run
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import LaunchRecord, read_record
from cardrunner.runs.status import Status
from cardrunner.tracking.progress import make_progress
from cardrunner.workspace import Workspace

_NEXT_WHILE_LIVE = (
    ("watch", "cardrunner attach {run}"),
    ("log", "cardrunner logs {run} -f"),
    ("stop", "cardrunner stop {run}"),
)


def add_runs_argument(parser: argparse.ArgumentParser) -> None:
    """``--runs DIR``."""
    parser.add_argument(
        "--runs", type=Path, metavar="DIR", help="the folder of the runs (default: runs/ in the workspace)"
    )


def add_run_argument(parser: argparse.ArgumentParser) -> None:
    """``RUN`` and ``--runs DIR``."""
    parser.add_argument("run_name", metavar="RUN", help="the run's name, as `cardrunner status` lists it")
    add_runs_argument(parser)


def runs_of(options: argparse.Namespace) -> Path:
    """The folder of the runs: as given, else the one of the workspace around the current folder."""
    given: Path | None = options.runs
    return given if given is not None else Workspace.around(Path.cwd()).runs


def run_of(options: argparse.Namespace) -> RunFolder:
    """The folder of the named run.

    Raises:
        UsageError: there is no such run.
    """
    return find_run(runs_of(options), options.run_name)


def run_to_read(options: argparse.Namespace) -> RunFolder:
    """The same for commands that only read or collect; what would keep the run from training comes first, on stderr.

    Raises:
        UsageError: there is no such run.
    """
    folder = run_of(options)
    for remark in remarks(folder):
        print(f"run {folder.name}: {remark}", file=sys.stderr)
    return folder


def progress_of(options: argparse.Namespace) -> Progress:
    """The progress display: bars, lines or nothing."""
    return make_progress(options.quiet)


def report_ending(ending: RunEnd) -> int:
    """Report how a run ended: state on stderr, path of the results card on stdout. Returns the exit code."""
    if ending.log is not None:
        print(f"the log of the worker, which never trained:\n{indented(ending.log)}", file=sys.stderr)
    print(summary(ending.status), file=sys.stderr)
    for tracker in ending.status.trackers:
        if tracker.trouble:  # also with --quiet, because only this command reports it
            print(f"warning: {tracker.name} {tracker.state}: {tracker.message}", file=sys.stderr)
    if ending.problem is not None:
        print(ending.problem, file=sys.stderr)
    if ending.exit_code == CardrunnerError.exit_code and ending.folder.log.exists():
        name, log = ending.folder.name, ending.folder.log
        print(f"please send {log} to the maintainers; `cardrunner logs {name}` prints it", file=sys.stderr)
    if ending.status.results is not None:
        print(ending.status.results)
    return ending.exit_code


def next_steps(status: Status, options: argparse.Namespace) -> None:
    """Print what can be done next, as commands that can be pasted."""
    at = ["--runs", str(options.runs)] if options.runs is not None else []
    for what, command in _while_live(status, options) if status.live else _after(status):
        words = [*command.format(run=status.run).split(), *at]
        print(f"  {what:<8}{shlex.join(words)}", file=sys.stderr)


def _while_live(status: Status, options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    launch = read_record(RunFolder.existing(runs_of(options), status.run).launch, LaunchRecord)
    unattended = registry.executor(launch.executor).finishes_unattended
    down_to = "down to its results card" if unattended else "and `cardrunner finish` fetches its results"
    print(f"it goes on without this shell, {down_to}", file=sys.stderr)
    yield from _NEXT_WHILE_LIVE if unattended else (*_NEXT_WHILE_LIVE, ("finish", "cardrunner finish {run}"))


def _after(status: Status) -> Iterator[tuple[str, str]]:
    match (status.next or "").split():
        case ["cardrunner", "resume", _, "--acknowledge", *_]:
            yield "go on", "cardrunner resume {run} --acknowledge WHY"
        case ["cardrunner", verb, *_]:
            yield ("go on" if verb == "resume" else verb), f"cardrunner {verb} {{run}}"


def indented(text: str) -> str:
    """Text set off from cardrunner's own output."""
    return "\n".join(f"  | {line}" for line in text.splitlines())


def _saved(status: Status) -> str:
    """From where a run that ended before its plan did goes on; the rows after that are trained again."""
    if status.live or status.state == "completed":
        return ""
    if status.last_durable_step is not None:
        return f" at step {status.last_durable_step} (saved)"
    return ", nothing saved" if status.step else ""


def summary(status: Status) -> str:
    """A run in one line."""
    parts = [f"{status.run} {status.state}{_saved(status)}"]
    if status.step and (status.live or status.state == "completed"):
        parts.append(
            f"epoch {status.epoch}, step {status.step}" if status.epoch or not status.step else f"step {status.step}"
        )
    if status.cost_usd:
        parts.append(format_dollars(status.cost_usd))
    line = ", ".join(parts)
    return f"{line}: {status.reason}" if status.reason else line

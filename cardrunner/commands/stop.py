"""`cardrunner stop`: ask a run to save and end, from any shell."""

from __future__ import annotations

import argparse
import sys

from cardrunner.commands.run_arguments import add_run_argument, next_steps, progress_of, run_to_read, summary
from cardrunner.launching.submit import finish_if_left, request_stop
from cardrunner.runs.status import derive_status

HELP = "ask a run to save and end"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run, and how long to wait for it."""
    add_run_argument(parser)
    parser.add_argument("--wait", type=float, default=30.0, metavar="SECONDS", help="how long to wait for its end (30)")
    parser.add_argument(
        "--force", action="store_true", help="kill the worker if it has not ended by then; checkpoints stay valid"
    )


def run(options: argparse.Namespace) -> int:
    """Ask and wait; 0 also if it had ended already, or needs longer."""
    folder = run_to_read(options)
    if not derive_status(folder).live:
        print(f"nothing to stop: {summary(derive_status(folder))}", file=sys.stderr)
        return 0
    status = request_stop(folder, patience=options.wait, force=options.force)
    if status.live:
        print(
            f"run {folder.name} was asked to stop and has not ended after {options.wait:g} s: it saves, is at a long "
            f"step, or hangs; watch it with `cardrunner attach {folder.name}`, or end it at once with "
            f"`cardrunner stop {folder.name} --force`, which keeps what it saved before",
            file=sys.stderr,
        )
        if status.warning:
            print(f"warning: {status.warning}", file=sys.stderr)
    else:
        finish_if_left(folder, progress=progress_of(options))
        print(summary(status))
        next_steps(status, options)
    return 0

"""`cardrunner plan`: what a launch would do."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cardrunner.commands.run_arguments import add_runs_argument
from cardrunner.common.terminal import sign_remark
from cardrunner.errors import EnvironmentFailed
from cardrunner.plan import ask_platform, describe, plan_card

HELP = "show what a launch would do: gate, stages, time, cost, and what could not be checked"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The card, and the past runs to learn from."""
    parser.add_argument("card", type=Path, metavar="CARD", help="the card, such as runcards/policy-22k.yaml")
    parser.add_argument("--json", action="store_true", help="the plan as one JSON object")
    add_runs_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Print the plan; 7 if a data file is missing, or the platform reported something that would stop a launch."""
    plan = ask_platform(plan_card(options.card, runs=options.runs))
    print(plan.model_dump_json(indent=2) if options.json else "\n".join(describe(plan)))
    if not options.json and (remark := sign_remark()) and any(_signs(box.command) for box in plan.gate.findings):
        print(f"cardrunner sign: {remark.strip(' #')}", file=sys.stderr)
    missing = any(data.found is None for data in plan.data) or any(not answer.ok for answer in plan.answers)
    return EnvironmentFailed.exit_code if missing else 0


def _signs(command: str | None) -> bool:
    return command is not None and command.startswith("cardrunner sign ")

"""`cardrunner render`: a card as the page that reviewers read."""

from __future__ import annotations

import argparse
from pathlib import Path

from cardrunner import registry
from cardrunner.card.load import load_card
from cardrunner.card.markdown import render_card
from cardrunner.errors import EnvironmentFailed
from cardrunner.gate.trust import read_floors
from cardrunner.workspace import Workspace

HELP = "print a card as the markdown page that reviewers read"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One card, and where the page goes."""
    parser.add_argument("card", type=Path, metavar="CARD", help="a card, such as runcards/policy-22k.yaml")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the page to a file instead")


def run(options: argparse.Namespace) -> int:
    """Print or write the page."""
    loaded = load_card(options.card, registry.workload_spec)
    floors = read_floors(Workspace.around(loaded.path).levels)
    page = render_card(loaded, floors=[str(floor.path) for floor in floors])
    if options.output is None:
        print(page, end="")
        return 0
    try:
        options.output.write_text(page, encoding="utf-8")
    except OSError as error:
        raise EnvironmentFailed(f"cannot write {options.output}: {error.strerror}") from error
    return 0

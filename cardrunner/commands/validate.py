"""`cardrunner validate`: every fault of every card."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from cardrunner import registry
from cardrunner.card.load import examine_card
from cardrunner.card.reading.document import Fault
from cardrunner.common.text import plural
from cardrunner.errors import PluginFailed

HELP = "find every fault of one or more cards"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Cards, and whether scripts read the answer."""
    parser.add_argument("cards", nargs="+", type=Path, metavar="CARD", help="a card, such as runcards/policy-22k.yaml")
    parser.add_argument(
        "--json", action="store_true", help="a list of objects: file, line, column, path, message, severity"
    )


def run(options: argparse.Namespace) -> int:
    """Print the faults; 2 when there is an error among them, 7 when a card needs a plug-in that fails."""
    found: list[Fault] = []
    failures: list[PluginFailed] = []
    for card in options.cards:
        try:
            found += examine_card(card, registry.workload_spec)
        except PluginFailed as error:
            failures.append(error)
    if options.json:
        import json  # only needed for --json

        print(json.dumps([fault._asdict() for fault in found], indent=2, ensure_ascii=False))
    else:
        for fault in found:
            print(fault)
    if not options.quiet:
        print(_summary(len(options.cards), found), file=sys.stderr)
    for failure in failures:
        print(failure, file=sys.stderr)
    if failures:
        return PluginFailed.exit_code
    return 2 if any(fault.severity == "error" for fault in found) else 0


def _summary(cards: int, found: Sequence[Fault]) -> str:
    faults = sum(fault.severity == "error" for fault in found)
    warnings = len(found) - faults
    return ", ".join((_count(cards, "card"), _count(faults, "fault"), _count(warnings, "warning")))


def _count(number: int, what: str) -> str:
    return plural(number, what)

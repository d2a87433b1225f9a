"""``cardrunner check``: run an item's check and tick it with evidence, or tick what only a person can judge."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from cardrunner import registry
from cardrunner.card.load import LoadedCard, load_card
from cardrunner.card.reading.edit import Edit, Removal
from cardrunner.card.schema.sign_off import check_text
from cardrunner.clock import moment, timestamp
from cardrunner.commands.card_edits import save_edits
from cardrunner.errors import GateClosed, UsageError
from cardrunner.gate.case import Case
from cardrunner.gate.check_run import CheckResult
from cardrunner.gate.checklist import (
    ItemPlace,
    Place,
    check_person,
    checklist_places,
    find_place,
    has_check,
    open_box,
    tick,
    untick,
)
from cardrunner.gate.examine import gate_case
from cardrunner.gate.findings import Finding
from cardrunner.launching.checks import prove
from cardrunner.redaction import hidden_lines
from cardrunner.terminal import visible
from cardrunner.workspace import Workspace

HELP = "run a checklist item's check and tick it with evidence, or tick a human item"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("card", type=Path, metavar="CARD")
    parser.add_argument(
        "item", nargs="?", metavar="ITEM",
        help="its number from 1, its text or a part of it, or condition:REVIEWER:NUMBER; without it every check is run",
    )  # fmt: skip
    change = parser.add_mutually_exclusive_group()
    change.add_argument("--done", action="store_true", help="tick an item that only a person can judge (needs --as)")
    change.add_argument("--undo", action="store_true", help="open the item again")
    parser.add_argument("--as", dest="person", metavar="ID", help="who ticks it")
    parser.add_argument("--note", metavar="TEXT", help="what proves it, kept with a person's tick")


def run(args: argparse.Namespace) -> int:
    """Check one item or all: 0 when it is as asked, 3 when a check failed or the named item is still open."""
    by = check_person(args.person) if args.person is not None else None
    checking = _Checking(load_card(args.card, registry.workload_spec), by=by, quiet=args.quiet)
    if args.item is None:
        if args.done or args.undo or args.note:
            raise UsageError("--done, --undo and --note are about one item; name it: cardrunner check CARD ITEM ...")
        checking.everything()
        return 0
    place = find_place(checking.loaded.card, args.item, file=str(args.card))
    if args.note and not args.done:
        raise UsageError("--note: it is kept with a person's tick; give it with --done")
    if args.undo:
        checking.open_again(place)
    elif args.done:
        checking.tick_by_hand(place, note=args.note)
    else:
        checking.one(place)
    return 0


@dataclass
class _Checking:
    """The card being worked on. Every tick is saved before the next check begins."""

    loaded: LoadedCard
    by: str | None
    quiet: bool

    def one(self, place: Place) -> None:
        """Run the place's check, or say whether a person has ticked it."""
        if isinstance(place, ItemPlace) and has_check(place):
            if failure := self._prove(place):
                raise GateClosed((failure,))
        elif place.ticked:
            print(f"{place}: done")
        else:
            raise GateClosed((open_box(place, self._case),))

    def everything(self) -> None:
        """Run every check, then list what is left to people."""
        places = checklist_places(self.loaded.card)
        failures = [failure for place in places if has_check(place) and (failure := self._prove(place))]
        for place in places:
            if not has_check(place) and not place.ticked:
                print(open_box(place, self._case))
        if failures:
            raise GateClosed(failures)

    def tick_by_hand(self, place: Place, *, note: str | None) -> None:
        """Tick what a person judges."""
        if has_check(place):
            raise UsageError(
                f"{place}: a check proves it, not a person; run it: {self._case.command('check', place.address)}"
            )
        if self.by is None:
            raise UsageError(f"{place}: a person ticks it; say who with --as ID")
        self._save(tick(place, by=self.by, at=timestamp(moment()), evidence=note))
        print(f"{place}: done, says {self.by}")

    def open_again(self, place: Place) -> None:
        """Take a tick back."""
        if place.ticked:
            self._save(untick(place))
        print(f"{place}: open")

    def _prove(self, place: ItemPlace) -> Finding | None:
        """Run a check and keep what came of it."""
        self._say(f"{place}: {check_text(place.item.check or ())}")
        with hidden_lines(self._show) as show:
            result = prove(place, self.loaded, self._workspace, show=show)
        if not result.ok:
            return self._failed(place, result)
        self._save(tick(place, by=self.by, at=result.at, evidence=result.evidence))
        print(f"{place}: done ({result.ending})")
        return None

    def _failed(self, place: ItemPlace, result: CheckResult) -> Finding:
        """Say so; a tick that is no longer true is taken back."""
        taken_back = "; the tick it had is taken back" if place.ticked else ""
        if place.ticked:
            self._save(untick(place))
        return Finding(
            str(place), f"its check failed: {result.ending}{taken_back}", open_box(place, self._case).command
        )

    @property
    def _workspace(self) -> Workspace:
        return Workspace.around(self.loaded.path)

    @property
    def _case(self) -> Case:
        return gate_case(self.loaded, self._workspace)

    def _save(self, edits: list[Edit | Removal]) -> None:
        self.loaded = save_edits(self.loaded, edits)

    def _say(self, line: str) -> None:
        if not self.quiet:
            print(line, flush=True)

    def _show(self, output: bytes) -> None:
        if not self.quiet:
            sys.stdout.buffer.write(visible(output.decode(errors="backslashreplace")).encode())
            sys.stdout.buffer.flush()

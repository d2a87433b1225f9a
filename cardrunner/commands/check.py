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
from cardrunner.commands.card_edits import save_edits
from cardrunner.common.clock import moment, timestamp
from cardrunner.common.redaction import hidden_lines, visible
from cardrunner.errors import GateClosed, UsageError
from cardrunner.gate.case import Case
from cardrunner.gate.check_run import CheckResult
from cardrunner.gate.checklist import (
    ChecklistEntry,
    ItemEntry,
    check_person,
    find_entry,
    has_check,
    item_entries,
    open_box,
    tick,
    untick,
)
from cardrunner.gate.examine import gate_case
from cardrunner.gate.findings import Finding
from cardrunner.launching.checks import prove
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
    """Check one item or all: 0 on success, 3 if a check failed or the named item is still open."""
    by = check_person(args.person) if args.person is not None else None
    checking = _Checking(load_card(args.card, registry.workload_spec), by=by, quiet=args.quiet)
    if args.item is None:
        if args.done or args.undo or args.note:
            raise UsageError("--done, --undo and --note are about one item; name it: cardrunner check CARD ITEM ...")
        checking.everything()
        return 0
    entry = find_entry(checking.loaded.card, args.item, file=str(args.card))
    if args.note and not args.done:
        raise UsageError("--note: a note belongs to a person's tick; give it with --done")
    if args.undo:
        checking.open_again(entry)
    elif args.done:
        checking.tick_by_hand(entry, note=args.note)
    else:
        checking.one(entry)
    return 0


@dataclass
class _Checking:
    """The card being worked on. Every tick is saved before the next check begins."""

    loaded: LoadedCard
    by: str | None
    quiet: bool

    def one(self, entry: ChecklistEntry) -> None:
        """Run the entry's check, or report whether a person has ticked it."""
        if isinstance(entry, ItemEntry) and has_check(entry):
            if failure := self._prove(entry):
                raise GateClosed((failure,))
        elif entry.ticked:
            print(f"{entry}: done")
        else:
            raise GateClosed((open_box(entry, self._case),))

    def everything(self) -> None:
        """Run every check, then list the items left to people."""
        entries = item_entries(self.loaded.card)
        failures = [failure for entry in entries if has_check(entry) and (failure := self._prove(entry))]
        for entry in entries:
            if not has_check(entry) and not entry.ticked:
                print(open_box(entry, self._case))
        if failures:
            raise GateClosed(failures)

    def tick_by_hand(self, entry: ChecklistEntry, *, note: str | None) -> None:
        """Tick an entry that a person judges."""
        if has_check(entry):
            raise UsageError(
                f"{entry}: it has a check, which a person cannot replace; "
                f"run it: {self._case.command('check', entry.address)}"
            )
        if self.by is None:
            raise UsageError(f"{entry}: a person has to tick it; name them with --as ID")
        self._save(tick(entry, by=self.by, at=timestamp(moment()), evidence=note))
        print(f"{entry}: done, says {self.by}")

    def open_again(self, entry: ChecklistEntry) -> None:
        """Remove a tick."""
        if entry.ticked:
            self._save(untick(entry))
        print(f"{entry}: open")

    def _prove(self, entry: ItemEntry) -> Finding | None:
        """Run a check and record its result."""
        self._say(f"{entry}: {check_text(entry.item.check or ())}")
        with hidden_lines(self._show) as show:
            result = prove(entry, self.loaded, self._workspace, show=show)
        if not result.ok:
            return self._failed(entry, result)
        self._save(tick(entry, by=self.by, at=result.at, evidence=result.evidence))
        print(f"{entry}: done ({result.ending})")
        return None

    def _failed(self, entry: ItemEntry, result: CheckResult) -> Finding:
        """Report a failed check; a tick that no longer holds is removed."""
        taken_back = "; its tick was removed" if entry.ticked else ""
        if entry.ticked:
            self._save(untick(entry))
        return Finding(
            str(entry), f"its check failed: {result.ending}{taken_back}", open_box(entry, self._case).command
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

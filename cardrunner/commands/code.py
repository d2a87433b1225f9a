"""`cardrunner code`: the digest of the code that a card covers."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cardrunner import registry
from cardrunner.card.load import LoadedCard, load_card
from cardrunner.card.reading.edit import Edit
from cardrunner.commands.card_edits import save_edits
from cardrunner.errors import UsageError
from cardrunner.gate.code import CodeFiles, code_findings, code_of
from cardrunner.gate.code_listing import ignored_code
from cardrunner.workspace import Workspace

_SHOWN = 5
HELP = "print the digest of the code that a card covers, or write it into the card"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The card, and whether to write."""
    parser.add_argument("card", type=Path, metavar="CARD", help="a card with code.folder")
    parser.add_argument(
        "--write", action="store_true", help="write commit and sha256 into the card, before it is signed"
    )


def run(options: argparse.Namespace) -> int:
    """Print the digest alone, for scripts; with `--write`, put it into the card."""
    loaded = load_card(options.card, registry.workload_spec)
    workspace = Workspace.around(options.card)
    pin = loaded.card.code
    if pin is None or pin.folder is None:
        raise UsageError(
            f"{options.card}: code.folder is missing: name the folder of the script, such as code: {{folder: .}}"
        )
    found = code_of(pin, workspace)
    if options.write:
        written = {"folder": pin.folder, "commit": found.commit, "sha256": found.sha256, "files": list(pin.files)}
        written["lock"] = pin.lock
        value = {name: item for name, item in written.items() if item}
        loaded = save_edits(loaded, [Edit(("code",), value)], signed_content=True)
    print(found.sha256)
    if not options.quiet:
        _say(loaded, workspace, found)
    return 0


def _say(loaded: LoadedCard, workspace: Workspace, found: CodeFiles) -> None:
    print(f"{len(found.files)} files", file=sys.stderr)
    for name in ignored_code(found.folder)[:_SHOWN]:
        print(f"{name} is ignored by git: no run has it; list it in code.files if the script needs it", file=sys.stderr)
    for finding in code_findings(loaded.card, workspace):
        print(finding, file=sys.stderr)

"""`cardrunner new`: start a card."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from cardrunner import registry
from cardrunner.card.json_schema import schema_text
from cardrunner.card.load import load_card, load_card_bytes
from cardrunner.card.schema.base import check_run_name
from cardrunner.card.starting import SCHEMA_FILE, from_card, from_starter
from cardrunner.commands import schema
from cardrunner.common.clock import today
from cardrunner.contracts import OffersStarter, StartsCommand
from cardrunner.errors import UsageError
from cardrunner.runs.files import explained, write_text
from cardrunner.workspace import Workspace

HELP = "start a card: unsigned, valid, with comments"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The name, and the card to start from."""
    parser.add_argument("name", metavar="NAME", help="the run's name; the card becomes runcards/NAME.yaml")
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument("--from", dest="other", type=Path, metavar="CARD", help="copy a card, without its signatures")
    begin.add_argument("--workload", metavar="NAME", help="what is trained (default: %(default)s)")
    parser.epilog = "After --workload command, `-- python train.py --lr 1e-3` is the command line that the card runs."
    parser.set_defaults(workload=registry.DEFAULT_WORKLOAD, after=[])


def run(options: argparse.Namespace) -> int:
    """Write the card and print the next command."""
    name = _name(options.name)
    folder = Workspace.around(Path.cwd()).root / "runcards"
    target = folder / f"{name}.yaml"
    if target.exists() or target.is_symlink():
        raise UsageError(f"{_shown(target)} exists; choose another name, or delete it first")
    data = _content(options, name, target)
    with explained(target, "write"):
        folder.mkdir(exist_ok=True)
        with target.open("xb") as stream:  # fails if the card was written meanwhile
            stream.write(data)
    _offer_schema(folder)
    print(_shown(target))
    if not options.quiet:
        print(_next(options, _shown(target)), file=sys.stderr)
    return 0


def _next(options: argparse.Namespace, card: str) -> str:
    """What comes after a new card."""
    spec = None if options.other is not None else registry.workload_spec(options.workload)
    if not isinstance(spec, StartsCommand):
        return f"fill it in, then: cardrunner validate {card}"
    return "\n".join(("next:", *(f"  {step}" for step in spec.next_steps(card))))


def _name(name: str) -> str:
    try:
        return check_run_name(name)
    except ValueError as error:
        raise UsageError(f"{name!r} {error}") from None


def _content(options: argparse.Namespace, name: str, target: Path) -> bytes:
    """The new card's bytes, checked against the schema before anything is written.

    Raises:
        CardError: the card to copy has faults.
        UsageError: the workload has no starter.
    """
    day = today()
    if options.other is not None:
        other = load_card(options.other, registry.workload_spec)
        data, sources = from_card(other, name, today=day, target=target), other.sources
    else:
        data, sources = from_starter(_starter(options.workload, options.after, target), name, today=day), ()
    load_card_bytes(data, file=_shown(target), resolve=registry.workload_spec, sources=sources)
    return data


def _starter(workload: str, words: Sequence[str], target: Path) -> str:
    spec = registry.workload_spec(workload)
    if words and not isinstance(spec, StartsCommand):
        raise UsageError(
            f"the workload {workload} runs no command line; leave out {words[0]}, or use --workload command"
        )
    if words and isinstance(spec, StartsCommand):
        return spec.starter_of(words, folder=Path.cwd(), workspace=target.parent.parent)
    if not isinstance(spec, OffersStarter):
        raise UsageError(
            f"the workload {workload} ships no card to begin with; copy one: cardrunner new NAME --from CARD"
        )
    return spec.starter()


def _offer_schema(folder: Path) -> None:
    """The schema that the card's first line names, for editors; an existing one is kept."""
    if not (folder / SCHEMA_FILE).exists():
        write_text(folder / SCHEMA_FILE, schema_text(schema.specs()))


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)

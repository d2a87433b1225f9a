"""`cardrunner rules test`: replay a recorded history against a card's kill thresholds."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cardrunner import registry
from cardrunner.card.load import LoadedCard, load_card
from cardrunner.commands.run_arguments import add_runs_argument, runs_of
from cardrunner.errors import UsageError
from cardrunner.histories import FoundHistory, Rehearsal, read_history, rehearse
from cardrunner.kill_rules import Observation
from cardrunner.kill_rules.quantities import number_text
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.jsonl import line_of

_SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".txt")
HELP = "try a card's kill thresholds on a recorded history"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The card and the history."""
    commands = parser.add_subparsers(dest="what", metavar="COMMAND", required=True)
    test = commands.add_parser("test", help=HELP, description=f"{HELP.capitalize()}: what would have fired, and when.")
    test.add_argument("card", type=Path, metavar="CARD")
    test.add_argument(
        "--history",
        required=True,
        metavar="RUN_OR_FILE",
        help="a run, its history.jsonl, a CSV, or an export of wandb (CSV or JSON lines)",
    )
    test.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="METRIC=COLUMN",
        help="a metric that has another name in the file; may be repeated",
    )
    test.add_argument("--json", action="store_true", help="one JSON object")
    add_runs_argument(test)


def run(options: argparse.Namespace) -> int:
    """Print what would have fired."""
    loaded = load_card(options.card, registry.workload_spec)
    columns = dict(map(_column, options.column))
    history = read_history(_path(options), loaded.spec, columns=columns)
    found = rehearse(loaded, history)
    if options.json:
        print(json.dumps(json.loads(line_of(_as_json(loaded, history, found))), indent=2))
    else:
        print("\n".join(_lines(loaded, history, found)))
    return 0


def _column(text: str) -> tuple[str, str]:
    metric, equals, column = text.partition("=")
    if not (metric and equals and column):
        raise UsageError(f"--column {text}: write METRIC=COLUMN, such as val_loss/total=valid.loss")
    return metric, column


def _path(options: argparse.Namespace) -> Path:
    """The file of a history: as given, that of a run folder, or that of a run by its name."""
    given = Path(options.history)
    if given.is_dir():
        return RunFolder(given.absolute()).history
    named = given.name == options.history and given.suffix not in _SUFFIXES and not given.exists()
    return RunFolder.existing(runs_of(options), options.history).history if named else given


def _lines(loaded: LoadedCard, history: FoundHistory, found: Rehearsal) -> Iterator[str]:
    rules, last = loaded.card.kill_thresholds, history.rows[-1]
    validations = sum(row.kind == "validation" for row in history.rows)
    yield f"{history.path}: {len(history.rows)} rows, {validations} of them validations, up to step {last.step}"
    yield from (f"note: {note}" for note in history.notes)
    ended = False
    for fired in found.fired:
        verdict, what = fired.verdict, "" if fired.verdict.action == "warn" else "; the last epoch was trained"
        if fired.ends:
            what = "; had it gone on" if ended else "; the run would have ended here"
        ended = ended or fired.ends
        place = f"epoch {verdict.epoch}" if verdict.kind == "validation" else f"step {verdict.step}"
        yield f"{place}: {verdict.action}: rule {verdict.rule + 1}, {verdict.condition}: {verdict.message}{what}"
    silent = [number for number in range(len(rules)) if all(fired.verdict.rule != number for fired in found.fired)]
    for number in silent:
        silence = "never" if found.rules[number].judged else "not judged"
        yield f"{silence}: {rules[number].action}: rule {number + 1}, {rules[number].describe()}: {_saw(found, number)}"
    if not rules:
        yield "the card has no kill thresholds"


def _saw(found: Rehearsal, number: int) -> str:
    looked_at, closest, judged = found.rules[number]
    if not judged:
        return "this history has values that the metric cannot have"
    if closest is None:
        return "this history has no rows for it"
    if closest.idle is not None:
        return f"at most {closest.idle[0]} of {closest.idle[1]} validations in a row without improvement"
    show = number_text(closest.metric)
    against = "" if closest.limit is None else f" against {show(closest.limit)}"
    return f"came closest with {show(closest.value)}{against} {closest.row.place}, of {looked_at} rows"


def _as_json(loaded: LoadedCard, history: FoundHistory, found: Rehearsal) -> dict[str, Any]:
    first = next((number for number, fired in enumerate(found.fired) if fired.ends), None)
    return {
        "card": str(loaded.path),
        "card_digest": loaded.digest,
        "history": str(history.path),
        "rows": len(history.rows),
        "validations": sum(row.kind == "validation" for row in history.rows),
        "notes": list(history.notes),
        "verdicts": [{**fired.verdict._asdict(), "ends": fired.ends} for fired in found.fired],
        "ended_by": first,
        "rules": [
            {
                "condition": rule.describe(),
                "action": rule.action,
                "fired": sum(fired.verdict.rule == number for fired in found.fired),
                "judged": watching.judged,
                "looked_at": watching.looked_at,
                "closest": _closest(watching.closest),
            }
            for number, (rule, watching) in enumerate(zip(loaded.card.kill_thresholds, found.rules, strict=True))
        ],
    }


def _closest(seen: Observation | None) -> dict[str, Any] | None:
    if seen is None:
        return None
    return {"value": seen.value, "limit": seen.limit, "epoch": seen.row.epoch, "step": seen.row.step}

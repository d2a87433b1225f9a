"""`cardrunner verify`: is a run folder what its run left?"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from cardrunner import registry
from cardrunner.commands.run_arguments import add_runs_argument, run_of, runs_of
from cardrunner.common.text import plural
from cardrunner.errors import IntegrityError, UsageError
from cardrunner.runs.folder import RunFolder
from cardrunner.verifying import CHECKS, Answer, Evidence
from cardrunner.workspace import Workspace

HELP = "check every record, figure, digest and approval of a run against its source"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run, how deep to look, and whether a script reads the answer."""
    parser.add_argument(
        "run_name", metavar="RUN", help="the run's name, or the path of a run folder, which may lie outside a workspace"
    )
    parser.add_argument("--deep", action="store_true", help="read every byte of checkpoints and data, however large")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    add_runs_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Print what was checked, what differs and what could not be checked."""
    folder, workspace = _found(options)
    evidence = Evidence(
        folder,
        registry.workload_spec,
        partial(registry.stage_names, "worker"),
        workspace=workspace,
        deep=options.deep,
    )
    answers = tuple(check.answer(evidence) for check in CHECKS)
    if options.json:
        print(json.dumps(_as_json(evidence, answers), indent=2))
    else:
        print("\n".join(_lines(evidence, answers)))
    return IntegrityError.exit_code if any(answer.differences for answer in answers) else 0


def _found(options: argparse.Namespace) -> tuple[RunFolder, Workspace | None]:
    """The run folder, and the workspace that it is judged by."""
    given = Path(options.run_name)
    if given.name != options.run_name or (given.is_dir() and not (runs_of(options) / given).is_dir()):
        if not given.is_dir():
            raise UsageError(f"{given} is not a folder; give the name of a run or the path of a run folder")
        folder = RunFolder(given.absolute())
        if not any(path.is_file() for path in (folder.ledger, folder.launch, folder.card_yaml)):
            raise UsageError(f"{given} is not a run folder: it has neither ledger.jsonl nor launch.json")
        return folder, Workspace.marked_around(folder.root.parent)
    return run_of(options), Workspace.around(Path.cwd())


def _lines(run: Evidence, answers: Sequence[Answer]) -> Iterator[str]:
    yield f"{run.folder.name}: {_summary(answers)}"
    if run.remote is not None:
        yield f"  a copy of a remote run, as of {run.remote.seen}"
    for group, members in groupby(answers, key=lambda answer: answer.check.group):
        yield group
        for answer in members:
            yield f"  {answer.word:<11}  {answer.check.name}"
            yield from (f"               {damage}" for damage in answer.damages)
            if answer.differences:
                yield f"               what to do: {answer.check.advice}"
            yield from (f"               {why}" for why in answer.unchecked)
            yield from (f"               note: {what}" for what in answer.notices)
    if run.workspace is None:
        yield "looked at alone: a workspace could tell more; move the folder into its runs/"


def _summary(answers: Sequence[Answer]) -> str:
    differences = sum(len(answer.differences) for answer in answers)
    undone = sum(answer.word == "not checked" for answer in answers)
    return ", ".join(
        (
            plural(len(answers) - undone, "check"),
            plural(differences, "difference"),
            f"{undone} not or not wholly done",
        )
    )


def _as_json(run: Evidence, answers: Sequence[Answer]) -> dict[str, Any]:
    return {
        "run": run.folder.name,
        "folder": str(run.folder.root),
        "workspace": None if run.workspace is None else str(run.workspace.root),
        "differences": sum(len(answer.differences) for answer in answers),
        "checks": [_row(answer) for answer in answers],
    }


def _row(answer: Answer) -> dict[str, Any]:
    found = [{"file": one.file, "kind": one.kind, "what": one.what, "grave": one.grave} for one in answer.damages]
    return {
        "group": answer.check.group,
        "check": answer.check.name,
        "result": answer.word,
        "found": found,
        "not_checked": list(answer.unchecked),
        "notes": list(answer.notices),
        "advice": answer.check.advice if answer.differences else None,
    }

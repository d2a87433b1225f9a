"""Where the run ran: code, versions, hardware, seed, data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cardrunner.common.text import listed, plural
from cardrunner.common.units import format_bytes
from cardrunner.report.provenance import code_rows, image_rows, interpreter_rows
from cardrunner.report.recorded import RecordedRun
from cardrunner.report.table import Cell, Code, Strong, Table, sentence
from cardrunner.runs.environment import own_version
from cardrunner.runs.records import Environment, LoadRecord, PluginCode


@dataclass(frozen=True, kw_only=True)
class EnvironmentFacts:
    """What `environment.md.j2` shows."""

    table: Table | None
    """One column per attempt; attempts in the same environment share a column."""
    training: Table
    data: Table | None
    lists: tuple[tuple[str, Table], ...]
    """Lists in the data's identity, by name: such as its files."""
    missing_load: str
    notes: tuple[str, ...]


def environment_facts(run: RecordedRun) -> EnvironmentFacts:
    """Collect what the section "Environment" shows."""
    return EnvironmentFacts(
        table=_environments(run),
        training=_training(run),
        data=_identity(run.load.identity) if run.load else None,
        lists=_lists(run.load.identity) if run.load else (),
        missing_load=sentence(run.lacks(LoadRecord)),
        notes=run.train.notes if run.train else (),
    )


def environments(run: RecordedRun) -> tuple[tuple[str, Environment], ...]:
    """The different environments, each with the attempts that ran in it."""
    found: list[tuple[list[int], Environment]] = []
    for attempt in run.attempts:
        if attempt.environment is None:
            continue
        same = next((numbers for numbers, environment in found if environment == attempt.environment), None)
        if same is None:
            found.append(([attempt.number], attempt.environment))
        else:
            same.append(attempt.number)
    return tuple((f"Attempt {listed(map(str, numbers))}", environment) for numbers, environment in found)


def _environments(run: RecordedRun) -> Table | None:
    known = environments(run)
    if not known:
        return None
    described = [_described(environment) for _, environment in known]
    names = list(dict.fromkeys(name for rows in described for name in rows))
    rows = [(name, *(rows.get(name) for rows in described)) for name in names]
    return Table(("", *(title for title, _ in known)), "l" * (len(known) + 1), tuple(rows))


def _described(environment: Environment) -> dict[str, Cell]:
    rows: dict[str, Cell] = {
        "Git commit": Code(environment.git_commit) if environment.git_commit else "none",
        "Git tree": git_tree(environment),
        "Sources of cardrunner": Code(environment.code_sha256[:12]) if environment.code_sha256 else None,
        **{f"Plug-ins of {code.package}": _plugin(code) for code in environment.plugins},
        "Host": environment.hostname,
        "Processor": f"{environment.cpu}, {environment.cores} cores",
        "Memory": format_bytes(environment.memory_bytes),
        "Device": environment.device,
        "Threads": str(environment.threads),
        "System": environment.platform,
        "Python": environment.python,
    }
    return {**rows, **dict(sorted(environment.packages.items()))}


def _plugin(code: PluginCode) -> str:
    return f"{code.version}, sources {code.sha256[:12]}: {listed(code.adds)}"


def git_tree(environment: Environment) -> Cell:
    """What the commit does not say of the files that were there; a record of an earlier version counted none."""
    if (tree := environment.git_tree) is None:
        known: dict[bool | None, Cell] = {True: Strong("⚠ uncommitted changes"), False: "clean", None: "not known"}
        return known[environment.git_dirty]
    own = {"changed": "the card was changed", "untracked": "the card is not committed"}.get(tree.card or "")
    found = (
        plural(tree.changed, "changed file") if tree.changed else None,
        plural(tree.untracked, "untracked file") if tree.untracked else None,
        own,
        f"{plural(tree.admissions, 'admission')} not committed" if tree.admissions else None,
    )
    text = ", ".join(filter(None, found))
    return Strong(f"⚠ {text}") if environment.git_dirty else text or "clean"


def _training(run: RecordedRun) -> Table:
    training, train = run.card.training, run.train
    made_of = (*code_rows(run), *interpreter_rows(run), *image_rows(run))
    if run.reported:
        return Table(("What", "Value", "From"), "lll", made_of)
    rows: tuple[tuple[Cell, Cell, Cell], ...] = (
        ("Seed", str(training.seed), "the card"),
        ("Precision", train.precision if train else training.precision, _source(run)),
        ("Device", train.device if train else training.device, _source(run)),
        ("Threads", str(train.threads) if train else _optional(training.threads), _source(run)),
        *_batches(run),
        (
            "Weights sha256",
            Code(train.weights_sha256) if train and train.weights_sha256 else None,
            "the tensors of the model at the last validation",
        ),
        *made_of,
    )
    return Table(("What", "Value", "From"), "lll", rows)


def _batches(run: RecordedRun) -> Iterator[tuple[Cell, Cell, Cell]]:
    train = run.train
    if train is None or train.batch_size is None:
        return
    yield ("Processes", str(train.processes), "the train stage")
    yield ("Batch size", f"{train.batch_size:,}", "per forward pass and process")
    yield ("Effective batch", f"{train.effective_batch:,}", "examples per optimizer step")
    for split in train.splits:
        yield (
            f"Out of memory at step {split.step:,}",
            f"batches in {split.pieces} pieces from there on",
            "the train stage",
        )


def _source(run: RecordedRun) -> str:
    return "the train stage" if run.train else "the card; the train stage left no record"


def _optional(value: object) -> str | None:
    return None if value is None else str(value)


def _identity(identity: Mapping[str, Any]) -> Table:
    """One row per value; a group of values, such as an encoding, is one row."""
    rows = [(name.replace("_", " "), _value(name, value)) for name, value in identity.items() if not _is_list(value)]
    return Table(("What", "Value"), "ll", tuple(rows))


def _lists(identity: Mapping[str, Any]) -> tuple[tuple[str, Table], ...]:
    return tuple((name.replace("_", " "), _list(value)) for name, value in identity.items() if _is_list(value))


def _list(entries: Sequence[Mapping[str, Any]]) -> Table:
    columns = list(dict.fromkeys(key for entry in entries for key in entry))
    rows = tuple(tuple(_value(name, entry.get(name)) for name in columns) for entry in entries)
    return Table(tuple(name.replace("_", " ") for name in columns), "l" * len(columns), rows)


def _is_list(value: object) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        return False
    return all(isinstance(entry, Mapping) and entry for entry in value)


def _value(name: str, value: object) -> Cell:
    if value == []:
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {json.dumps(item, ensure_ascii=False)}" for key, item in value.items())
    if value is None or (isinstance(value, str) and "sha256" not in name):
        return value
    if isinstance(value, str):
        return Code(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, kw_only=True)
class ProvenanceFacts:
    """What `provenance.md.j2` shows."""

    command: Code
    files: tuple[Code, ...]
    absent: tuple[Code, ...]
    unreadable: tuple[str, ...]
    version: str


def provenance_facts(run: RecordedRun) -> ProvenanceFacts:
    """The files of the run folder that the page was rendered from, and those that it could not use."""
    folder = run.folder
    stages = [folder.record(stage.name) for stage in run.stages]
    sources = [
        folder.card_yaml,
        folder.launch,
        folder.approvals,
        folder.checks,
        folder.ledger,
        folder.history,
        *stages,
        folder.manifest,
        folder.lease,
    ]
    names = {path.relative_to(folder.root).as_posix(): path.exists() for path in sources}
    return ProvenanceFacts(
        command=Code(f"cardrunner report {folder.name}"),
        files=tuple(Code(name) for name, exists in names.items() if exists),
        absent=tuple(Code(name) for name, exists in names.items() if not exists),
        unreadable=run.unreadable,
        version=own_version(),
    )

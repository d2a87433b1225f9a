"""load: open the data and compare it with the card, row by row; a row that disagrees ends the run."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from cardrunner.card.schema.card import Card
from cardrunner.card.schema.data import DataFile
from cardrunner.common.units import format_bytes, rounding_of
from cardrunner.contracts import Data, Fact, RunContext, RunsItself, Side, runs_itself
from cardrunner.errors import IntegrityError
from cardrunner.runs.data_lists import DataList
from cardrunner.runs.events import AttemptStarted, DataOpened, WarningGiven
from cardrunner.runs.file_memo import MemoPlace
from cardrunner.runs.files import explained
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.interrupts import StoppableProgress
from cardrunner.runs.records import DigestOrigin, Environment, FactRow, LoadRecord, readable_record, write_record
from cardrunner.stages.base import BaseStage
from cardrunner.stages.patterns import listed_data, pattern_facts
from cardrunner.stages.run_data import data_files, named_files, open_run_data


@dataclass(frozen=True)
class LoadStage(BaseStage):
    """Writes ``stages/load.json``, even if it fails."""

    name: ClassVar[str] = "load"
    side: ClassVar[Side] = "worker"
    record: ClassVar[type[LoadRecord]] = LoadRecord

    def run(self, ctx: RunContext) -> None:
        """Open and compare.

        Raises:
            EnvironmentFailed: a file is missing or cannot be read.
            IntegrityError: a row of the expected-against-actual table disagrees; names every such row.
        """
        if (itself := runs_itself(ctx.workload)) is not None:
            self._compare(ctx, itself)
            return
        began, files = time.monotonic(), data_files(ctx)
        known = {path for path in files if _memo(ctx, path).recall() is not None}
        facts = (*promise_facts(ctx), *file_facts(ctx, files))
        data: Data | None = None
        if not failures(facts):  # only bytes that match the card are parsed
            data, facts = _open(ctx, facts)
        digests = _digests(ctx, files, known)
        record = _record(data, facts, digests, time.monotonic() - began)
        self._conclude(ctx, record, facts, opened=data is not None)

    def _compare(self, ctx: RunContext, itself: RunsItself) -> None:
        """Compare the files, which the workload reads itself, and what else it knows before it begins."""
        began, files = time.monotonic(), data_files(ctx)
        lists = listed_data(ctx)
        facts = (*promise_facts(ctx), *file_facts(ctx, files, lists))
        if not failures(facts):  # what it does by itself needs the files
            facts = (*facts, *itself.facts(ctx))
        digests = _digests(ctx, files, set()) | {data.pattern: "computed" for data in lists}
        record = _record(None, facts, digests, time.monotonic() - began)
        identity = {
            "files": [
                _identity(ctx, entry.path, path)
                for entry, path in zip(named_files(ctx.card.data), files, strict=bool(files))
            ]
        }
        identity["files"] += [
            {"path": file.path, "bytes": file.bytes, "sha256": file.sha256} for data in lists for file in data.files
        ]
        record = record.model_copy(update={"mode": "by the script", "identity": identity})
        self._conclude(ctx, record, facts, opened=True)

    def _conclude(self, ctx: RunContext, record: LoadRecord, facts: Sequence[Fact], *, opened: bool) -> None:
        """Write the record; raise if a fact disagrees."""
        write_record(ctx.folder.record(self.name), record)
        if opened:
            digest = identity_digest(record.identity)
            ctx.ledger.append(DataOpened(attempt=ctx.attempt, digest=digest, mode=record.mode))
        for fact in facts:
            if not fact.ok and fact.severity == "warning":
                ctx.ledger.append(WarningGiven(attempt=ctx.attempt, message=_sentence(fact)))
        if failed := failures(facts):
            raise IntegrityError("the run does not match the card: " + "; ".join(_sentence(fact) for fact in failed))

    def done(self, folder: RunFolder, card: Card) -> bool:  # noqa: ARG002
        """Whether the data was compared with the card and agrees."""
        record = readable_record(folder.record(self.name), LoadRecord)
        return record is not None and all(fact.ok or fact.severity == "warning" for fact in record.facts)


def file_facts(ctx: RunContext, files: Sequence[Path], lists: Sequence[DataList] = ()) -> Iterator[Fact]:
    """Facts that need no parsing: sizes, and the sha256 of files that the card pins.

    Args:
        ctx: the run.
        files: those that the card names one by one.
        lists: those of its patterns.
    """
    data = ctx.card.data
    sizes = [_size(path) for path in files]
    if data.size is not None and (files or lists):
        yield _size_fact("size", data.size, sum(sizes) + sum(found.bytes for found in lists))
    for entry, found in zip((entry for entry in data.source if entry.is_pattern), lists, strict=True):
        if entry.size is not None:
            yield _size_fact(f"size of {entry.path}", entry.size, found.bytes)
    yield from pattern_facts(ctx, lists)
    for entry, path, size in zip(named_files(data) if files else (), files, sizes, strict=True):
        if entry.size is not None:
            yield _size_fact(f"size of {entry.path}", entry.size, size)
        if (pin := _pin(entry, data.sha256)) is not None:
            yield _digest_fact(entry.path, pin, _digest(ctx, path, size))


def example_facts(ctx: RunContext, data: Data) -> Iterator[Fact]:
    """The counts of examples, which follow from the files and the split."""
    yield _count_fact("train examples", ctx.card.data.counted[0], len(data.train))
    yield _count_fact("validation examples", ctx.card.data.counted[1], len(data.validation))


def failures(facts: Sequence[Fact]) -> list[Fact]:
    """The rows that end the run."""
    return [fact for fact in facts if not fact.ok and fact.severity == "error"]


def identity_digest(identity: Mapping[str, Any]) -> str:
    """The sha256 of the data's identity, as JSON with sorted keys: the same data has the same digest anywhere."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()


def _open(ctx: RunContext, facts: tuple[Fact, ...]) -> tuple[Data | None, tuple[Fact, ...]]:
    try:
        data = open_run_data(ctx)
    except IntegrityError as error:
        return None, (*facts, Fact(name="readable", expected="yes", actual=str(error), ok=False))
    own = tuple(data.facts())
    named = {fact.name for fact in own}
    general = (*facts, *example_facts(ctx, data))
    return data, (*(fact for fact in general if fact.name not in named), *own)


def _record(data: Data | None, facts: Sequence[Fact], digests: dict[str, DigestOrigin], seconds: float) -> LoadRecord:
    return LoadRecord(
        mode=data.mode if data else "not opened",
        train_examples=len(data.train) if data else 0,
        val_examples=len(data.validation) if data else 0,
        seconds=seconds,
        identity=dict(data.identity()) if data else {},
        facts=tuple(FactRow(**asdict(fact)) for fact in facts),
        digests=digests,
    )


def _size(path: Path) -> int:
    with explained(path, "read"):
        return path.stat().st_size


def _size_fact(name: str, expected: int, actual: int) -> Fact:
    agrees = abs(actual - expected) <= rounding_of(float(expected))
    return Fact(
        name=name, expected=format_bytes(expected), actual=f"{format_bytes(actual)} ({actual} bytes)", ok=agrees
    )


def _identity(ctx: RunContext, name: str, path: Path) -> dict[str, Any]:
    size = _size(path)
    return {"path": name, "bytes": size, "sha256": _digest(ctx, path, size)}


def _pin(entry: DataFile, single: str | None) -> str | None:
    return entry.sha256 or single


def _digest(ctx: RunContext, path: Path, size: int) -> str:
    """The sha256 of a file from its bytes."""
    with StoppableProgress(ctx.progress, ctx.stop).task(f"sha256 of {path.name}", size, unit="B") as task:
        return _memo(ctx, path).compute(task.advance, note=ctx.progress.note)


def _digests(ctx: RunContext, files: Sequence[Path], known: Collection[Path]) -> dict[str, DigestOrigin]:
    """How the sha256 of each file came about; a file that nothing took the sha256 of is left out.

    Args:
        ctx: the attempt.
        files: the files of the card.
        known: those that had a memo before they were opened.
    """
    data, found = ctx.card.data, dict[str, DigestOrigin]()
    for entry, path in zip(named_files(data) if files else (), files, strict=True):
        if _pin(entry, data.sha256) is None and path in known:
            found[entry.path] = "remembered"
        elif _memo(ctx, path).recall() is not None or _pin(entry, data.sha256) is not None:
            found[entry.path] = "computed"
    return found


def _memo(ctx: RunContext, path: Path) -> MemoPlace:
    return MemoPlace(path, ctx.folder.scratch)


def _digest_fact(name: str, pinned: str, actual: str) -> Fact:
    return Fact(name=f"sha256 of {name}", expected=pinned, actual=actual, ok=pinned == actual)


def _count_fact(name: str, expected: int | None, actual: int) -> Fact:
    shown = None if expected is None else str(expected)
    return Fact(name=name, expected=shown, actual=str(actual), ok=expected in (None, actual))


def _sentence(fact: Fact) -> str:
    note = f" ({fact.note})" if fact.note else ""
    if fact.name == "readable":
        return fact.actual
    return (
        f"{fact.name} is {fact.actual}, expected {fact.expected}{note}"
        if fact.expected
        else f"{fact.name}: {fact.actual}{note}"
    )


STAGE = LoadStage()


def promise_facts(ctx: RunContext) -> Iterator[Fact]:
    """The row about the pinned commit, from the environment that this attempt recorded."""
    pin = ctx.card.code
    if pin is not None and pin.commit is not None and pin.folder is None:  # else the digest decides
        yield _commit_fact(pin.commit, _environment(ctx))


def _environment(ctx: RunContext) -> Environment | None:
    started = ctx.ledger.last(AttemptStarted)
    return started.environment if started else None


def _commit_fact(pinned: str, environment: Environment | None) -> Fact:
    commit = environment.git_commit if environment else None
    tree = environment.git_tree if environment else None
    changed = bool(environment and environment.git_dirty if tree is None else tree.changed)
    return Fact(
        name="code commit",
        expected=pinned,
        actual=(commit or "not under git") + (" with uncommitted changes" if changed else ""),
        ok=commit is not None and commit.startswith(pinned) and not changed,
        note=None if commit and not changed else "check out the pinned commit, or have the card reviewed again",
    )

"""Data files that a card names by a pattern: rows of the expected-against-actual table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cardrunner.card.schema.data import DataFile
from cardrunner.contracts import Fact, RunContext
from cardrunner.runs.data_lists import DataList, known_list, list_data
from cardrunner.runs.interrupts import StoppableProgress


def listed_data(ctx: RunContext) -> tuple[DataList, ...]:
    """The files of every pattern of the card, with digests of their bytes.

    Raises:
        EnvironmentFailed: a pattern has no file, or a file cannot be read.
    """
    patterns = [entry.path for entry in ctx.card.data.source if entry.is_pattern]
    progress = StoppableProgress(ctx.progress, ctx.stop)
    found: list[DataList] = []
    for pattern in patterns:
        size = sum(path.stat().st_size for path in ctx.workspace.find_pattern(pattern).values())
        with progress.task(f"sha256 of {pattern}", size, unit="B") as task:
            found.append(list_data(ctx.workspace, pattern, task.advance))
    return tuple(found)


def pattern_facts(ctx: RunContext, lists: Sequence[DataList]) -> Iterator[Fact]:
    """Count, size and digest of each pattern; a difference is named by file."""
    entries = [entry for entry in ctx.card.data.source if entry.is_pattern]
    for entry, data in zip(entries, lists, strict=True):
        why = _differences(ctx, entry, data)
        if entry.counted is not None:
            count, ok = len(data.files), entry.counted == len(data.files)
            note = None if ok else why
            yield Fact(name=f"files of {entry.path}", expected=str(entry.counted), actual=str(count), ok=ok, note=note)
        if entry.sha256 is not None:
            ok = entry.sha256 == data.sha256
            note = None if ok else why
            yield Fact(
                name=f"sha256 of {entry.path}", expected=entry.sha256, actual=data.sha256, ok=ok, note=note
            )  # fmt: skip


def _differences(ctx: RunContext, entry: DataFile, data: DataList) -> str:
    pinned = None if entry.sha256 is None else known_list(ctx.workspace.record_places, entry.sha256)
    if pinned is None:
        return "which file differs is not known: the list that `cardrunner data CARD --write` keeps is not here"
    return data.differences(pinned)

"""The same figure in several records: history, train record, checkpoint record and manifest have to say the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cardrunner.report.recorded import RecordedRun
from cardrunner.runs.history import HistoryRow
from cardrunner.runs.records import CheckpointRecord, ManifestEntry

Said = tuple[str, object]
"""A record, and what it says."""


def disagreements(run: RecordedRun) -> Iterator[str]:
    """A sentence for each figure of which two records say something else."""
    entries = {entry.file: entry for entry in run.manifest.entries} if run.manifest else {}
    yield from _best(run)
    yield from _latest(run, entries)
    if run.checkpoint is not None:
        yield from _checkpoint(run, run.checkpoint, entries.get(run.checkpoint.file))


def _best(run: RecordedRun) -> Iterator[str]:
    best = run.train.best if run.train else None
    if best is not None and run.best_row is not None:
        measured = run.best_row.metrics.get(best.metric)
        place = f"{best.metric} at step {best.step}"
        yield from _differs(place, ("history.jsonl", measured), ("stages/train.json", best.value))


def _latest(run: RecordedRun, entries: Mapping[str, ManifestEntry]) -> Iterator[str]:
    """The train record and the manifest are written one after the other, so that a run that broke off may differ."""
    latest = entries.get(run.folder.latest.name)
    if run.status.state == "completed" and run.train is not None and latest is not None:
        one = ("stages/train.json", run.train.weights_sha256)
        yield from _differs("sha256 of the latest weights", one, ("the manifest", latest.weights_sha256))


def _checkpoint(run: RecordedRun, record: CheckpointRecord, entry: ManifestEntry | None) -> Iterator[str]:
    own = "stages/checkpoint.json"
    if entry is not None and run.status.state == "completed":
        yield from _differs(f"sha256 of {record.file}", (own, record.sha256), ("the manifest", entry.sha256))
        weights = (own, record.weights_sha256), ("the manifest", entry.weights_sha256)
        yield from _differs(f"sha256 of the weights in {record.file}", *weights)
    alike = run.best_row if run.reported else None
    row = alike or next((row for row in run.validation_rows if row.epoch == record.epoch), None)
    if row is not None:
        yield from _metrics(row, record)


def _metrics(row: HistoryRow, record: CheckpointRecord) -> Iterator[str]:
    for name, value in record.recorded.items():
        if name in row.metrics:
            place = f"{name} in epoch {row.epoch}"
            yield from _differs(place, ("history.jsonl", row.metrics[name]), ("stages/checkpoint.json", value))


def _differs(what: str, one: Said, other: Said) -> Iterator[str]:
    if str(one[1]) != str(other[1]):  # as text, since NaN equals nothing
        yield f"The records contradict each other: {what} is {one[1]} in {one[0]} and {other[1]} in {other[0]}."

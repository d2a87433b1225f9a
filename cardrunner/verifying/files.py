"""Bytes of files against their recorded digests: checkpoints, files of stages, pinned data, the downloaded copy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cardrunner.common.text import plural
from cardrunner.common.units import format_bytes
from cardrunner.errors import EnvironmentFailed
from cardrunner.gate.code import CodeFiles
from cardrunner.runs.copies import size_at
from cardrunner.runs.data_lists import known_list, list_data
from cardrunner.runs.events import CheckpointSaved
from cardrunner.runs.records import DemoRecord, KeptCode, ManifestEntry, StageRecord, find_record, readable_record
from cardrunner.verifying.evidence import READ_AT_MOST, Evidence
from cardrunner.verifying.findings import Finding, Notice, Unchecked, difference
from cardrunner.verifying.records import pins
from cardrunner.workspace import Workspace


class Reading:
    """Recomputes digests, the first gigabyte of them unless every byte is asked for."""

    def __init__(self, run: Evidence) -> None:
        self._run, self._left = run, READ_AT_MOST
        self.skipped: list[tuple[Path, int]] = []

    def sha256(self, path: Path) -> str | None:
        """The sha256 of the bytes that are there; None where the file is too large to be read unasked."""
        size = size_at(path)
        if size > self._left and not self._run.deep:
            self.skipped.append((path, size))
            return None
        self._left -= size
        return self._run.sha256(path)

    def unread(self) -> Iterator[Finding]:
        """What was not read."""
        if self.skipped:
            size = format_bytes(sum(size for _, size in self.skipped))
            named = ", ".join(path.name for path, _ in self.skipped[:3])
            yield Unchecked(f"sha256 not recomputed: {size} in {len(self.skipped)} files ({named}); use --deep")


def code_as_copied(run: Evidence) -> Iterator[Finding]:
    """The copy of a script's code is what the launch made; runs without a script have none."""
    if not run.folder.code_record.exists():
        return
    kept = readable_record(run.folder.code_record, KeptCode)
    if kept is None:
        yield difference(run.folder.code_record.name, "cannot be read")
        return
    place = run.folder.code / kept.folder
    for name, is_there in CodeFiles(place, kept.files).unlike(kept.sums):
        what = "is not what was signed and copied at the launch" if is_there else "is missing"
        file = (place / name).relative_to(run.folder.root).as_posix()
        yield difference(file, what, kind="changed" if is_there else "missing")


def checkpoints_whole(run: Evidence) -> Iterator[Finding]:
    """Every checkpoint of the manifest is there, with its size and sha256."""
    if run.manifest is None:
        yield Unchecked("there is no manifest")
        return
    reading, absent = Reading(run), 0
    newest = sorted(run.manifest.entries, key=lambda entry: -entry.step)
    listed = {name: entry for entry in newest[::-1] for name in (entry.source, entry.file)}
    folders = [entry for entry in newest if entry.content is not None]
    for name, entry in reversed(listed.items()):
        if (run.folder.root / name).is_file():
            yield from _bytes_differ(run, entry, name, reading)
        elif run.remote is not None:
            absent += 1
        elif name == entry.source or _is_published(run, entry):
            yield difference(name, "is missing, and the manifest lists it", kind="missing")
    for entry in folders:
        path = run.folder.root / str(entry.content)
        if path.is_dir() and (found := reading.sha256(path)) not in (None, entry.weights_sha256):
            yield difference(str(entry.content), f"its sha256 is {found}, and the manifest has {entry.weights_sha256}")
        elif not path.is_dir() and run.remote is None:
            yield difference(str(entry.content), "is missing, and the manifest lists it", kind="missing")
    if absent and run.remote is not None:
        yield Unchecked(f"{plural(absent, 'file')} on the volume {run.remote.volume} and not here")
    yield from reading.unread()


def _bytes_differ(run: Evidence, entry: ManifestEntry, name: str, reading: Reading) -> Iterator[Finding]:
    path = run.folder.root / name
    size = path.stat().st_size
    if name != entry.source and not _is_published(run, entry):
        yield Unchecked(f"{name} may be of an earlier save: the run ended before it recorded the newest one")
        return
    if size != entry.bytes:
        yield difference(name, f"has {size} bytes, and the manifest has {entry.bytes}")
    elif (found := reading.sha256(path)) is not None and found != entry.sha256:
        yield difference(name, f"its sha256 is {found}, and the manifest has {entry.sha256}")


def _is_published(run: Evidence, entry: ManifestEntry) -> bool:
    """Whether a second name belongs to this entry: it is given before the ledger has the save."""
    saved = any(event.file == entry.source for _, event in run.of(CheckpointSaved))
    return saved and (run.remote is None or run.completed)


def stage_files_whole(run: Evidence) -> Iterator[Finding]:
    """Every file that a stage recorded is there, with its size and sha256."""
    reading = Reading(run)
    for path in sorted(run.folder.record("x").parent.glob("*.json")):
        record = readable_record(path, StageRecord)
        for made in record.files if record is not None else ():
            file = run.folder.root / made.path
            if not file.is_file():
                yield difference(made.path, f"is missing, and stages/{path.name} lists it", kind="missing")
            elif file.stat().st_size != made.bytes:
                what = f"has {file.stat().st_size} bytes, and stages/{path.name} has {made.bytes}"
                yield difference(made.path, what)
            elif (found := reading.sha256(file)) is not None and found != made.sha256:
                yield difference(made.path, f"its sha256 is {found}, and stages/{path.name} has {made.sha256}")
    demo = find_record(run.folder.record("demo"), DemoRecord)
    shown = {file.path: file.sha256 for file in demo.made} if demo is not None else {}
    for name in demo.files if demo is not None else ():
        path = run.folder.root / name
        if not path.is_file():
            yield difference(name, "is missing, and stages/demo.json lists it", kind="missing")
        elif name in shown and (found := reading.sha256(path)) is not None and found != shown[name]:
            yield difference(name, f"its sha256 is {found}, and stages/demo.json has {shown[name]}")
    yield from reading.unread()


def pinned_data_whole(run: Evidence) -> Iterator[Finding]:
    """The data files that the card pins have the pinned sha256 now; no memo is believed."""
    pinned = tuple(pins(run))
    if not pinned:
        return
    if run.remote is not None or run.workspace is None:
        yield Unchecked("the data of a remote run is on its platform")
        return
    reading, patterns = Reading(run), {entry.path for entry in run.card.data.source if entry.is_pattern}
    for name, pin in pinned:
        try:
            if name in patterns:
                yield from _pattern_differs(run.workspace, name, pin)
                continue
            path = run.workspace.find_data(name)
        except EnvironmentFailed:
            yield Unchecked(f"{name} is not here")
            continue
        found = reading.sha256(path)
        if found is not None and found != pin:
            yield difference(name, f"{path} has the sha256 {found} now, and the card pins {pin}")
    yield from reading.unread()


def _pattern_differs(workspace: Workspace, name: str, pin: str) -> Iterator[Finding]:
    """Whether a pattern still stands for the files that the card pins."""
    found = list_data(workspace, name)
    if found.sha256 != pin:
        known = known_list(workspace.record_places, pin)
        told = f"; {found.differences(known)}" if known is not None else ""
        yield difference(name, f"its files have the digest {found.sha256} now, and the card pins {pin}{told}")


def copy_whole(run: Evidence) -> Iterator[Finding]:
    """The downloaded copy is where it was put; it is outside the run folder, and may have been replaced."""
    record = run.download
    if record is None or run.workspace is None:
        return
    path, reading = run.workspace.root / record.to, Reading(run)
    if not path.exists():
        yield Notice(f"{record.to}, the downloaded copy, is not there any more")
    elif (found := reading.sha256(path)) is not None and found != record.sha256:
        yield Notice(f"{record.to} is not what was downloaded any more: its sha256 is {found}, it was {record.sha256}")
    yield from reading.unread()

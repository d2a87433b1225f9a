"""Every quick check of a run folder: lines, records, how far the last save had come, seals, checkpoints by size."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cardrunner.common.text import listed
from cardrunner.errors import IntegrityError
from cardrunner.runs.damage import Damage
from cardrunner.runs.event_model import Event
from cardrunner.runs.events import AttemptEnded, AttemptStarted, CheckpointSaved, HistoryCut, parse
from cardrunner.runs.files import explained, open_regular
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.lease import is_live, is_supervised
from cardrunner.runs.lines import LinesAnchor, LinesReport, examine_lines
from cardrunner.runs.records import Manifest, check_records, readable_record
from cardrunner.runs.seals import check_seal

_ANCHORING = (b'"checkpoint_saved"', b'"attempt_ended"', b'"history_cut"', b'"attempt_started"')
_ATTEMPT = re.compile(rb'"attempt": (\d+)')


def run_damage(folder: RunFolder, *, at_work: bool | None = None) -> list[Damage]:
    """What is torn, missing, changed or unexpected in a run folder, or was written without a checksum.

    Checkpoints are compared by size alone; whatever reads one compares its sha256. While the run is at work, only lines
    and records are examined, and what the launch wrote.

    Args:
        folder: the run.
        at_work: whether it is at work; by default, whether a worker or supervisor holds its lock.

    Raises:
        EnvironmentFailed: a file cannot be read.
    """
    at_work = _at_work(folder) if at_work is None else at_work
    anchors = _Anchors() if at_work else _anchors(folder)
    ledger = examine_lines(folder.ledger, wanted=anchors.wanted_of_ledger)
    history = examine_lines(folder.history, wanted=anchors.wanted_of_history)
    found = [*ledger.damage, *history.damage, *check_records(folder)]
    if not at_work:
        found += anchors.damage(folder, ledger, history)
        found += _checkpoint_damage(folder)
    return _once([*found, *check_seal(folder)])


def in_lines(damage: Iterable[Damage]) -> list[str]:
    """One line for each file: how much of it is damaged, and the first finding; one line for all that is unsealed."""
    by_file: dict[str, list[Damage]] = {}
    bare = []
    for one in damage:
        if one.kind == "unsealed":
            bare.append(one.file)
        else:
            by_file.setdefault(one.file, []).append(one)
    lines = [_line(file, found) for file, found in by_file.items()]
    if bare:
        why = "an earlier version of cardrunner wrote them, or the folder is a copy"
        lines.append(f"unsealed: {listed(dict.fromkeys(bare))} without checksums; {why}")
    return lines


def needed_to_resume(folder: RunFolder, damage: Iterable[Damage]) -> list[Damage]:
    """What of it a resume depends on: what the launch wrote, the ledger, the history and the manifest.

    Everything else is made anew, and a checkpoint is compared with the manifest before it is used.
    """
    needed = {folder.ledger, folder.history, folder.manifest}
    return [
        one for one in damage if one.grave and ((path := folder.root / one.file) in needed or folder.is_frozen(path))
    ]


def _line(file: str, found: Sequence[Damage]) -> str:
    kinds = list(dict.fromkeys(one.kind for one in found))
    if len(found) == 1:
        return f"{file}: {found[0].kind}: {found[0].what}"
    counts = ", ".join(f"{sum(one.kind == kind for one in found)} {kind}" for kind in kinds)
    first = next((one for one in found if one.grave), found[0])
    return f"{file}: {counts}; first: {first.what}"


def _at_work(folder: RunFolder) -> bool:
    try:
        return is_live(folder) or is_supervised(folder)
    except IntegrityError:  # elsewhere.json is damaged, which its own check says
        return False


def _once(found: Sequence[Damage]) -> list[Damage]:
    """Without findings that only repeat, about a whole file, what is said of its lines or its content already."""
    told: set[str] = set()
    kept = []
    for one in found:
        whole = one.file in told and "seal" in one.what
        if not whole:
            kept.append(one)
        if one.grave:
            told.add(one.file)
    return kept


@dataclass(frozen=True)
class _Anchors:
    """How far history and ledger had come when this was last recorded."""

    history: LinesAnchor | None = None
    ledger: LinesAnchor | None = None
    saves: int = 0
    """The number of saves that the ledger knows of."""
    manifest: Manifest | None = None
    attempts: frozenset[int] = frozenset()
    """The attempts that the ledger knows of."""

    @property
    def wanted_of_history(self) -> frozenset[str]:
        return frozenset(filter(None, (self.history.last if self.history else None,)))

    @property
    def wanted_of_ledger(self) -> frozenset[str]:
        return frozenset(filter(None, (self.ledger.last if self.ledger else None,)))

    def damage(self, folder: RunFolder, ledger: LinesReport, history: LinesReport) -> Iterator[Damage]:
        for file, anchor, report in (
            (folder.ledger.name, self.ledger, ledger),
            (folder.history.name, self.history, history),
        ):
            if anchor is not None and anchor.last is not None and anchor.last not in report.found:
                what = (
                    f"its line {anchor.last}, at byte {anchor.bytes:,}, was there when it was last recorded and is gone"
                )
                yield Damage(file=file, kind="missing", what=what)
        unknown = _attempts_of_history(folder) - self.attempts if not folder.remote_run.exists() else frozenset()
        for attempt in sorted(unknown):
            what = f"it has no attempt {attempt}, which wrote rows of {folder.history.name}"
            yield Damage(file=folder.ledger.name, kind="missing", what=what)
        name = folder.manifest.relative_to(folder.root).as_posix()
        if self.saves and not folder.manifest.exists():
            yield Damage(file=name, kind="missing", what=f"the ledger has {self.saves} saves, and it is gone")
        elif self.manifest is not None and self.manifest.saves < self.saves and not folder.remote_run.exists():
            what = f"it is of save {self.manifest.saves}, and the ledger has {self.saves}: it is an older one"
            yield Damage(file=name, kind="changed", what=what)


def _anchors(folder: RunFolder) -> _Anchors:
    """The newest records of how far the files had come; a cut of the history, which is recorded too, takes it back."""
    history: LinesAnchor | None = None
    saves, attempts = 0, set[int]()
    for event in _anchoring(folder):
        match event:
            case AttemptStarted():
                attempts.add(event.attempt)
            case HistoryCut():
                history = event.kept
            case CheckpointSaved() | AttemptEnded():
                if event.history is not None and (history is None or event.history.bytes >= history.bytes):
                    history = event.history
                if isinstance(event, CheckpointSaved):
                    saves = max(saves, event.saves or 0)
    manifest = readable_record(folder.manifest, Manifest)
    return _Anchors(history, manifest.ledger if manifest else None, saves, manifest, frozenset(attempts))


def _attempts_of_history(folder: RunFolder) -> frozenset[int]:
    if not folder.history.exists():
        return frozenset()
    with explained(folder.history, "read"), open_regular(folder.history) as stream:
        return frozenset(int(found[1]) for line in stream if (found := _ATTEMPT.search(line)))


def _anchoring(folder: RunFolder) -> Iterator[Event]:
    if not folder.ledger.exists():
        return
    with explained(folder.ledger, "read"), open_regular(folder.ledger) as stream:
        for line in stream:
            if any(name in line for name in _ANCHORING):
                event = parse(line)
                if event is not None:
                    yield event


def _checkpoint_damage(folder: RunFolder) -> Iterator[Damage]:
    """Files of the manifest that are missing or have another size; those of a remote run may be elsewhere."""
    manifest = readable_record(folder.manifest, Manifest) or Manifest()
    sizes: Mapping[str, int] = {entry.source: entry.bytes for entry in manifest.entries}
    for file, size in sizes.items():
        path = folder.root / file
        if not path.is_file():
            if not folder.remote_run.exists():
                yield Damage(file=file, kind="missing", what="the manifest lists it, and it is gone")
        elif (found := path.stat().st_size) != size:
            yield Damage(file=file, kind="changed", what=f"it has {found:,} bytes, and the manifest says {size:,}")

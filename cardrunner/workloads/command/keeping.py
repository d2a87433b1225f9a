"""Keeps checkpoints that a script may overwrite or remove.

A script may have one file that it overwrites in place: its content is copied as soon as it is whole and at rest. One
that writes a new file or folder for each checkpoint needs no copy: hard links keep what it may remove later.
"""

from __future__ import annotations

import queue
import shutil
import threading
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cardrunner.common.units import format_bytes
from cardrunner.errors import CardrunnerError, EnvironmentFailed
from cardrunner.runs.copies import put, sha256_at
from cardrunner.runs.files import explained, flush_folder
from cardrunner.runs.records import Record, readable_record, write_record
from cardrunner.workloads.command.checkpoints import Checkpoint, CheckpointRules, Kind, Mark, find, mark_of
from cardrunner.workloads.command.steps import ReportedSteps, StepSource, step_of
from cardrunner.workloads.command.whole import flaw

RECORD: Final = "checkpoint.json"
"""The record beside a kept checkpoint."""
_STAGING: Final = ".staging"
_SPARE_BYTES: Final = 256_000_000
"""Left free on the disk, for what the script writes next."""
_LOOK_SECONDS: Final = 0.5
_MOST_NAMES: Final = 8
"""Of files that are overwritten in place, each with copies of its own."""


class KeptCheckpoint(Record):
    """The record of a kept checkpoint."""

    path: str
    """Where the script wrote it, from the run folder; records of earlier versions have the whole path."""
    kind: Kind
    numbered: bool
    """The next checkpoint of the script has another name."""
    step: int | None
    step_from: StepSource | None
    """What tells the step; None where nothing does."""
    reported_step: int | None
    """The newest step that the script had reported when it had written this, as far as the looks at it tell."""
    modified: int
    """When the script wrote it last, in nanoseconds since 1970."""
    size: int
    sha256: str
    """Of the file, or of the paths, sizes and digests of a folder's files."""


@dataclass(frozen=True)
class Kept:
    """A kept checkpoint in its place."""

    folder: Path
    record: KeptCheckpoint

    @property
    def content(self) -> Path:
        """The kept file or folder."""
        return self.folder / self.path.name

    @property
    def path(self) -> Path:
        """Where the script wrote it."""
        return self.folder.parent.parent / self.record.path

    @property
    def intact(self) -> bool:
        """Whether its bytes are those that were kept."""
        with suppress(CardrunnerError, OSError):
            return sha256_at(self.content) == self.record.sha256
        return False

    def is_of(self, checkpoint: Checkpoint) -> bool:
        """Whether it keeps what a checkpoint holds now, by name, size and time."""
        state = checkpoint.path, checkpoint.size, checkpoint.modified
        return state == (self.path, self.record.size, self.record.modified)


@dataclass(frozen=True)
class Looked:
    """What one look found."""

    kept: tuple[Kept, ...]
    problems: tuple[str, ...]
    """Sentences about what could not be kept or is no checkpoint; each is said once."""


def kept_in(folder: Path) -> list[Kept]:
    """The checkpoints that are kept in a folder, the newest first."""
    entries = sorted((int(entry.name), entry) for entry in folder.glob("[0-9]*") if entry.name.isdigit())
    records = ((entry, readable_record(entry / RECORD, KeptCheckpoint)) for _, entry in reversed(entries))
    return [Kept(entry, record) for entry, record in records if record is not None]


class Keeper:
    """Keeps the checkpoints of a running script; `look` is to be called about twice a second.

    Args:
        rules: what the card says.
        folder: where they are kept: outside the folder of the script.
        spare_bytes: left free on the disk.

    Raises:
        EnvironmentFailed: the folder cannot be made.
    """

    def __init__(self, rules: CheckpointRules, folder: Path, *, spare_bytes: int = _SPARE_BYTES) -> None:
        self.rules, self.folder, self._spare = rules, folder, spare_bytes
        with explained(folder, "write"):
            folder.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(folder / _STAGING, ignore_errors=True)
        kept = kept_in(folder)
        self._seen: dict[Path, Mark] = {}
        self._torn: dict[Path, Mark] = {}
        newest = max((entry.record.modified for entry in kept if entry.record.numbered), default=0)
        self._done: dict[Path, Mark] = {
            found.path: found.mark
            for found in find(rules)[0]
            if any(entry.is_of(found) for entry in kept) or (found.numbered and found.modified < newest)
        }
        self._overwritten: set[Path] = set()
        self._pinned: frozenset[str] = frozenset()
        self._said: set[str] = set()

    def pin(self, digests: Collection[str]) -> None:
        """Keep these in any case, such as the best one.

        Args:
            digests: the sha256 of kept checkpoints; they take the place of those that were given before.
        """
        self._pinned = frozenset(digests)

    def look(self, reported: ReportedSteps | None = None) -> Looked:
        """Keep what is whole and has not changed since the look before.

        Args:
            reported: the steps that the script has reported.
        """
        found, refused = find(self.rules)
        problems = [str(entry) for entry in refused]
        kept: list[Kept] = []
        for checkpoint in reversed(found[: self.rules.keep + 1]):
            if not self._is_due(checkpoint):
                continue
            try:
                kept += self._keep(checkpoint, reported or ReportedSteps())
            except (CardrunnerError, OSError) as error:
                self._done[checkpoint.path] = checkpoint.mark
                problems.append(f"no copy of {checkpoint.path} was kept: {error}")
            finally:
                shutil.rmtree(self.folder / _STAGING, ignore_errors=True)
        return Looked(tuple(kept), tuple(self._unsaid(problems)))

    def _unsaid(self, problems: list[str]) -> list[str]:
        fresh = [problem for problem in problems if problem not in self._said]
        self._said.update(fresh)
        return fresh

    def _is_due(self, checkpoint: Checkpoint) -> bool:
        """Whether it is at rest, whole, and not kept yet; notes by the way which ones are overwritten."""
        path, mark = checkpoint.path, checkpoint.mark
        if self._done.get(path, mark) != mark:
            self._overwritten.add(path)
        if mark in (self._done.get(path), self._torn.get(path)):
            return False
        if self._seen.get(path) != mark:
            self._seen[path] = mark
            return False
        if flaw(path, self.rules.complete) is not None:
            self._torn[path] = mark
            return False
        return True

    def _keep(self, checkpoint: Checkpoint, reported: ReportedSteps) -> list[Kept]:
        """Copy or link it into a folder that appears whole; empty if it changed meanwhile."""
        link = checkpoint.numbered and checkpoint.path not in self._overwritten
        if not link:
            self._check_room(checkpoint)
        staging = self.folder / _STAGING
        content = staging / checkpoint.path.name
        digest = put(checkpoint.path, content, link=link)
        if mark_of(checkpoint.path) != checkpoint.mark or flaw(content, self.rules.complete) is not None:
            self._seen.pop(checkpoint.path, None)
            return []
        record = _record(checkpoint, digest, reported.before(checkpoint.modified), self.folder.parent)
        write_record(staging / RECORD, record)
        # of those whose record cannot be read, too: their folders are in the way
        newest = max((int(entry.name) for entry in self.folder.glob("[0-9]*") if entry.name.isdigit()), default=0)
        place = self.folder / f"{newest + 1:04d}"
        with explained(place, "write"):
            staging.rename(place)
            flush_folder(self.folder)
        self._done[checkpoint.path] = checkpoint.mark
        self._prune()
        return [Kept(place, record)]

    def _check_room(self, checkpoint: Checkpoint) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < checkpoint.size + self._spare:
            raise EnvironmentFailed(
                f"the disk has {format_bytes(free)} free, and a copy takes {format_bytes(checkpoint.size)}; free some "
                "space, or a stop while the script overwrites it loses the run"
            )

    def _prune(self) -> None:
        """Remove what is older than the newest few: of each name that is overwritten, and of all numbered ones."""
        counts: dict[str, int] = {}
        for number, kept in enumerate(kept_in(self.folder)):
            group = "" if kept.record.numbered else kept.record.path
            counts[group] = counts.get(group, 0) + 1
            superfluous = counts[group] > self.rules.keep or number >= self.rules.keep * _MOST_NAMES
            if superfluous and kept.record.sha256 not in self._pinned:
                shutil.rmtree(kept.folder, ignore_errors=True)


@dataclass
class KeepingThread:
    """Looks for checkpoints in a thread of its own, and hands on what it kept."""

    keeper: Keeper
    reported: ReportedSteps = field(default_factory=ReportedSteps)
    found: queue.SimpleQueue[Looked] = field(default_factory=queue.SimpleQueue)
    _over: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Begin to look, twice a second."""
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        """Look once."""
        looked = self.keeper.look(self.reported)
        if looked.kept or looked.problems:
            self.found.put(looked)

    def end(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()

    def new(self) -> Iterator[Looked]:
        """What was found since the last call."""
        with suppress(queue.Empty):
            while True:
                yield self.found.get_nowait()


def _record(checkpoint: Checkpoint, digest: str, reported_step: int | None, run: Path) -> KeptCheckpoint:
    step, source = step_of(checkpoint.path) or (None, None)
    inside = checkpoint.path.is_relative_to(run)
    return KeptCheckpoint(
        path=str(checkpoint.path.relative_to(run) if inside else checkpoint.path),
        kind=checkpoint.kind,
        numbered=checkpoint.numbered,
        step=step,
        step_from=source,
        reported_step=reported_step,
        modified=checkpoint.modified,
        size=checkpoint.size,
        sha256=digest,
    )

"""Seals: what a run holds after an attempt, and after each later command that changes it.

A seal is a record of its own, ``seals/0001.json``, and never changes: it names the seal before, the length and sha256
of the ledger so far, and size and sha256 of every file that counts; checkpoints it holds by the sha256 of their
manifest. The ledger gets an event that names the seal. The launch makes the first one. Before a run is changed, an
event in the ledger opens it: from there until the next seal, the files that this change is about may differ, so that a
command that is killed leaves an open run and no damage. A file that was damaged when a command began, and that the
command did not write anew, stays under the seal that it had.

Seals prove integrity against damage and carelessness. Who can write the folder can write its seals anew: against that
there are signed ones (`cardrunner seal`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Final

from cardrunner.common.clock import utc_now
from cardrunner.errors import EnvironmentFailed, IntegrityError
from cardrunner.runs.damage import Damage
from cardrunner.runs.event_model import Event
from cardrunner.runs.events import (
    AttemptStarted,
    ContainerStarted,
    Finishing,
    Opened,
    Sealed,
    Submitted,
    parse,
)
from cardrunner.runs.files import explained, locked, open_regular, read_blocks, sha256_of
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.lease import is_live, is_supervised
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.lines import seal_of
from cardrunner.runs.records import LaunchRecord, Record, checksum_of, read_record, readable_record, write_record

OUTSIDE: Final = (
    "lease.json", "supervisor.json", "submitting.lock", "pulse.json", "stop.json", "worker.log", "elsewhere.json",
    "data/*", "tracking/*", "tensorboard/*", "wandb/*", "workspace/*", "checkpoints/rejected/*", "*.pt",
    "checkpoints/*.pt", "stages/train-processes.jsonl", "seals/*", "ledger.jsonl", "code.tar", "code/*", "out/*",
    "files/*", "modules/*", "kept/*", "beside/*", "script*.log", "reported.jsonl*",
)  # fmt: skip
"""What no seal holds, beside hidden files: leases, locks, heartbeats, logs, what trackers keep, what is made again.
Checkpoints are held by their manifest, the ledger by its length and sha256, seals by the ones after them, and a
script's code by its digest."""
_STAGES = ("stages/load.json", "stages/train.json", "stages/checkpoint.json")
_WORKER_FILES = ("history.jsonl", "checkpoints/*", "interpreter.json", *_STAGES)
_FROZEN = (
    "card.yaml",
    "card.json",
    "launch.json",
    "approvals.json",
    "checks.json",
    "plan.json",
    "code.json",
    "code.patch",
    "sources/*",
    "trust/*",
)
_READ = ("stages/*", *_FROZEN)
"""Files that count wherever they come from: one that no seal holds does not belong there."""


@dataclass(frozen=True)
class _Change:
    """The files that a command may change: all that fit `only`, without those that fit `but`."""

    only: tuple[str, ...] = ("*", "*/*")
    but: tuple[str, ...] = _FROZEN

    def covers(self, name: str) -> bool:
        return _fits(name, self.only) and not _fits(name, self.but)


_ATTEMPT = _Change()
CHANGES: Final[Mapping[str, _Change]] = {
    "finish": _Change(but=(*_FROZEN, *_WORKER_FILES)),
    "report": _Change(("results.*", "results/*")),
    "demo": _Change(("demo/*", "stages/demo.json")),
    "download": _Change(("stages/download.json",)),
}
"""What each later command may change; any other command may change all but what the launch wrote."""


class FileMark(Record):
    """The content of a file."""

    bytes: int
    sha256: str


class Seal(Record):
    """``seals/*.json``: what a run held."""

    number: int
    """Counts from 1, which the launch makes."""
    command: str
    """What had changed the run before."""
    made: str
    after: str | None
    """The checksum of the seal before; null for the first."""
    ledger: FileMark
    """The ledger up to then; it only grows."""
    files: dict[str, FileMark]
    """Every file that counts, by its path in the folder."""
    changed: tuple[str, ...] = ()
    """The files that are not what the seal before said."""


@dataclass(frozen=True)
class KeptSeal:
    """A seal as it stands in the folder, with its checksum."""

    seal: Seal
    digest: str


def newest_seal(folder: RunFolder) -> KeptSeal | None:
    """The newest seal; None for a run of an earlier version, or a copy that was never sealed.

    Raises:
        IntegrityError: it cannot be read, or is not what was written.
    """
    numbers = _numbers(folder)
    return read_seal(folder, numbers[-1]) if numbers else None


def read_seal(folder: RunFolder, number: int) -> KeptSeal:
    """One seal.

    Raises:
        IntegrityError: it is missing, cannot be read, or is not what was written.
    """
    path = folder.seal(number)
    return KeptSeal(read_record(path, Seal), checksum_of(path) or "")


def is_open(folder: RunFolder) -> bool:
    """Whether an attempt or a command has begun since the newest seal, or there is no seal."""
    now = _Folder(folder)
    return now.last is None or bool(now.changes)


def check_seal(folder: RunFolder) -> list[Damage]:
    """Compare a run with its newest seal, apart from what an attempt or a command is changing or was changing.

    Raises:
        EnvironmentFailed: a file cannot be read.
    """
    before, found = -1, list[Damage]()
    while (size := _size(folder.ledger)) != before:  # a command that began meanwhile has opened it
        before, found = size, _Folder(folder).damage()
        if not found:
            break
    return found


def seal_launch(folder: RunFolder) -> None:
    """Make the first seal of a run that is being made."""
    _write(folder, _Folder(folder), command="launch", carried=None)


@contextlib.contextmanager
def changing(
    folder: RunFolder,
    command: str,
    *,
    warn: Callable[[str], object],
    opening: Event | None = None,
    supervising: bool = False,
) -> Iterator[None]:
    """Check the newest seal, let a command change the run, and seal it again; a live run is left to its own end.

    Args:
        folder: the run.
        command: the subcommand of ``cardrunner``.
        warn: called with a sentence for each damage that is found.
        opening: the event that says what begins; by default `Opened`.
        supervising: the caller supervises the run, and its worker has ended.

    Raises:
        EnvironmentFailed: the folder cannot be written.
    """
    if not supervising and _at_work(folder):
        yield
        return
    with locked(folder.seal_lock):
        before = _Folder(folder)
        for damage in before.damage():
            if damage.grave:
                warn(str(damage))
        with contextlib.suppress(EnvironmentFailed):  # a full disk must not hide how the run ended
            Ledger(folder.ledger).append(opening or Opened(command=command))
        try:
            yield
        finally:
            with contextlib.suppress(EnvironmentFailed, IntegrityError):
                after = _Folder(folder)
                if supervising or not _at_work(folder):  # what a worker writes comes after the ledger's mark
                    _seal_again(folder, after, command, before)


def _seal_again(folder: RunFolder, after: _Folder, command: str, before: _Folder) -> None:
    kept = _write(folder, after, command=command, carried=before)
    seal = kept.seal
    Ledger(folder.ledger).append(Sealed(command=command, number=seal.number, seal=kept.digest, changed=seal.changed))


def _at_work(folder: RunFolder) -> bool:
    return is_live(folder) or is_supervised(folder)


def _write(folder: RunFolder, now: _Folder, *, command: str, carried: _Folder | None) -> KeptSeal:
    last = carried.last if carried else None
    files = dict(now.marks) if carried is None else carried.kept_by(now.marks)
    numbers = _numbers(folder)
    sealed = last.seal.files if last else {}
    seal = Seal(
        number=numbers[-1] + 1 if numbers else 1,
        command=command,
        made=utc_now(),
        after=last.digest if last else None,
        ledger=last.seal.ledger if carried and last and carried.ledger_damage() else now.ledger,
        files=dict(sorted(files.items())),
        changed=tuple(sorted(name for name in files.keys() | sealed.keys() if files.get(name) != sealed.get(name))),
    )
    write_record(folder.seal(seal.number), seal)
    return KeptSeal(seal, checksum_of(folder.seal(seal.number)) or "")


@dataclass
class _Folder:
    """A run folder at one time, against its newest seal."""

    folder: RunFolder
    last: KeptSeal | None = field(init=False)
    ledger: FileMark = field(init=False)
    marks: Mapping[str, FileMark] = field(init=False)

    def __post_init__(self) -> None:
        self.last = _readable(self.folder)  # first: what a command changes from here on, it opens after this seal
        self.ledger = _mark(self.folder.ledger) if self.folder.ledger.exists() else FileMark(bytes=0, sha256=_EMPTY)
        self.marks = {name: mark for name in _names(self.folder) if (mark := _found(self.folder.root / name))}

    def damage(self) -> list[Damage]:
        chain = list(_chain_damage(self.folder))
        if self.last is None:
            return chain or [*_never_sealed(self.folder)]
        return [*chain, *self.ledger_damage(), *self._file_damage()]

    def ledger_damage(self) -> list[Damage]:
        name = self.folder.ledger.name
        if self.last is None:
            return []
        mark = self.last.seal.ledger
        if self.ledger.bytes < mark.bytes:
            return [_lacks(name, f"it has {self.ledger.bytes:,} bytes, and {mark.bytes:,} were sealed")]
        if _mark(self.folder.ledger, mark.bytes) != mark:
            return [_differs(name, f"its first {mark.bytes:,} bytes are not those that were sealed")]
        return []

    def kept_by(self, after: Mapping[str, FileMark]) -> dict[str, FileMark]:
        """The marks of a new seal: of what was damaged before and stayed as it was, those of the seal before."""
        sealed = self.last.seal.files if self.last else {}
        bad = {damage.file for damage in self._file_damage()}
        found = {}
        for name in after.keys() | sealed.keys():
            kept = name in bad and after.get(name) == self.marks.get(name)
            mark = sealed.get(name) if kept else after.get(name)
            if mark is not None:
                found[name] = mark
        return found

    def _file_damage(self) -> list[Damage]:
        if self.last is None:
            return []
        sealed, changes = self.last.seal.files, self.changes
        found = []
        for name in sorted(self.marks.keys() | sealed.keys()):
            here, mark = self.marks.get(name), sealed.get(name)
            if here == mark or any(change.covers(name) for change in changes):
                continue
            if here is None:
                found.append(_lacks(name, "it was sealed and is gone"))
            elif mark is not None:
                found.append(_differs(name, f"it is not what was sealed: {_compared(here, mark)}"))
            elif _fits(name, _READ):
                what = "it appeared after the run was sealed, and no command of cardrunner made it"
                found.append(Damage(file=name, kind="unexpected", what=what))
        return found

    @cached_property
    def changes(self) -> tuple[_Change, ...]:
        """What may differ from the newest seal, by the events since."""
        if self.last is None or not self.folder.ledger.exists():
            return ()
        with explained(self.folder.ledger, "read"), open_regular(self.folder.ledger) as stream:
            if not self.ledger_damage():
                stream.seek(self.last.seal.ledger.bytes)
            return tuple(filter(None, (_change_of(parse(line)) for line in stream)))


def _change_of(event: Event | None) -> _Change | None:
    match event:
        case Opened():
            return CHANGES.get(event.command, _ATTEMPT)
        case Finishing():
            return CHANGES["finish"]
        case Submitted() | AttemptStarted() | ContainerStarted():
            return _ATTEMPT
    return None


def _chain_damage(folder: RunFolder) -> Iterator[Damage]:
    """What is wrong with the seals themselves: each names the one before, and the ledger names each but the first."""
    before: str | None = None
    numbers, told = _numbers(folder), _told_by_ledger(folder)
    for expected, number in enumerate(numbers, 1):
        name = _seal_name(folder, number)
        try:
            kept = read_seal(folder, number)
        except IntegrityError:
            yield _differs(name, "it is not what was written")
            return
        if number == 1 and _is_of_another(folder, kept.seal):
            yield _differs(name, "it holds another launch.json than the run has: one of the two is of another run")
        if number != expected:
            yield _lacks(_seal_name(folder, expected), "it is gone, and a later seal is there")
            return
        if kept.seal.number != number:
            yield _differs(name, f"it is the seal {kept.seal.number} under another name")
            return
        if kept.seal.after != before:
            wrong = number - 1 if before is not None and told.get(number) == kept.digest else number
            yield _differs(
                _seal_name(folder, wrong),
                f"it and the seal {'after' if wrong < number else 'before'} it do "
                "not belong together: one of them is of another run",
            )
            return
        before = kept.digest
    yield from _unsealed_events(folder, numbers, before)


def _is_of_another(folder: RunFolder, seal: Seal) -> bool:
    """Whether a seal holds another launch than the one that is here and was not changed since it was written."""
    mark = seal.files.get(folder.launch.name)
    return mark not in (None, _found(folder.launch)) and readable_record(folder.launch, LaunchRecord) is not None


def _told_by_ledger(folder: RunFolder) -> dict[int, str]:
    """The checksum of each seal that the ledger names."""
    events = Ledger(folder.ledger).events(Sealed) if folder.ledger.exists() else []
    return {event.number: event.seal for event in events}


def _unsealed_events(folder: RunFolder, numbers: list[int], last: str | None) -> Iterator[Damage]:
    """Seals that the ledger names and that are gone. The ledger of a remote run names those of other copies too."""
    if folder.remote_run.exists() or not folder.ledger.exists():
        return
    event = Ledger(folder.ledger).last(Sealed)
    newest = numbers[-1] if numbers else 0
    if event is None:
        return
    if event.number > newest:
        yield _lacks(_seal_name(folder, event.number), "the ledger names it, and it is gone")
    elif event.number == newest and event.seal != last:
        yield _differs(_seal_name(folder, newest), "it is not the seal that the ledger names")


def _never_sealed(folder: RunFolder) -> Iterator[Damage]:
    """A run of this version was sealed by its launch; one of an earlier version, and a copy, were not."""
    first = next(iter(Ledger(folder.ledger).lines()), "")
    if seal_of(first.encode()) is not None and not folder.remote_run.exists():
        yield _lacks(_seal_name(folder, 1), "the launch sealed the run, and its seal is gone")
    else:
        yield Damage(file=folder.seals.name, kind="unsealed", what="the run was never sealed here")


def _names(folder: RunFolder) -> Iterator[str]:
    """The files that a seal holds, by their path in the folder."""
    for above, folders, names in os.walk(folder.root):
        inside = Path(above).relative_to(folder.root)
        shown = [(inside / name).as_posix() for name in names if not name.startswith(".")]
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and not _fits(f"{(inside / name).as_posix()}/", OUTSIDE)
        ]
        yield from (name for name in shown if not _fits(name, OUTSIDE))


def _fits(name: str, patterns: Iterable[str]) -> bool:
    """Whether a path fits; a pattern without a folder is one of a file in the run folder itself."""
    return any(fnmatchcase(name, pattern) and ("/" in pattern or "/" not in name) for pattern in patterns)


def _found(path: Path) -> FileMark | None:
    """The mark of a file; None if it was removed meanwhile, or is no file of its own."""
    with contextlib.suppress(FileNotFoundError):
        return _mark(path) if path.is_file() and not path.is_symlink() else None
    return None


_EMPTY = hashlib.sha256().hexdigest()


def _mark(path: Path, most: int | None = None) -> FileMark:
    """The mark of a file, or of its first bytes."""
    try:
        with open_regular(path) as stream:
            size = os.fstat(stream.fileno()).st_size if most is None else most
            return FileMark(bytes=size, sha256=sha256_of(_first(read_blocks(stream), size)))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise EnvironmentFailed(f"cannot read {path}: {error.strerror}") from error


def _first(blocks: Iterable[bytes], size: int) -> Iterator[bytes]:
    for block in blocks:
        yield block[:size]
        size -= len(block)
        if size <= 0:
            return


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _numbers(folder: RunFolder) -> list[int]:
    found = folder.seals.glob("[0-9]*.json") if folder.seals.is_dir() else ()
    return sorted(int(path.stem) for path in found if path.stem.isdigit())


def _readable(folder: RunFolder) -> KeptSeal | None:
    """The newest seal that can be read."""
    for number in reversed(_numbers(folder)):
        with contextlib.suppress(IntegrityError):
            return read_seal(folder, number)
    return None


def _seal_name(folder: RunFolder, number: int) -> str:
    return folder.seal(number).relative_to(folder.root).as_posix()


def _compared(here: FileMark, sealed: FileMark) -> str:
    if here.bytes != sealed.bytes:
        return f"it has {here.bytes:,} bytes, and had {sealed.bytes:,}"
    return f"its sha256 is {here.sha256[:12]}, and was {sealed.sha256[:12]}"


def _lacks(name: str, what: str) -> Damage:
    return Damage(file=name, kind="missing", what=what)


def _differs(name: str, what: str) -> Damage:
    return Damage(file=name, kind="changed", what=what)

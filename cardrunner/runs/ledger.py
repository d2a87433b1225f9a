"""The ledger of a run: an append-only file of events."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, overload

from cardrunner.common.clock import utc_now
from cardrunner.common.redaction import hide_in
from cardrunner.runs.event_model import Event
from cardrunner.runs.events import Acknowledged, AttemptStarted, Created, Finished, JobStarted, Submitted, parse
from cardrunner.runs.files import explained, open_regular
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.jsonl import Tail, append_bytes, append_line, line_of, lines_of, parse_object
from cardrunner.runs.lines import is_as_written, seal_of, sealed

E = TypeVar("E", bound=Event)


@dataclass(frozen=True)
class Ledger:
    """``ledger.jsonl``. Several processes may append to it; existing lines never change."""

    path: Path

    def append(self, event: Event) -> None:
        """Append an event with the current time. It is on the disk when this returns.

        Raises:
            EnvironmentFailed: the disk is full, read-only or failing.
        """
        append_line(self.path, event.row() | {"at": utc_now()}, durable=True)

    @overload
    def events(self) -> list[Event]: ...

    @overload
    def events(self, kind: type[E], /, *kinds: type[E]) -> list[E]: ...

    def events(self, *kinds: type[Event]) -> list[Any]:
        """Every event, oldest first, or those of the given kinds, without torn lines."""
        found = [event for line in lines_of(self.path) if (event := parse(line)) is not None]
        return [event for event in found if isinstance(event, kinds)] if kinds else found

    def last(self, kind: type[E], /, *kinds: type[E]) -> E | None:
        """The newest event of these kinds; None if there is no such event."""
        return next(reversed(self.events(kind, *kinds)), None)

    def lines(self) -> tuple[str, ...]:
        """Its complete lines, unchanged, oldest first.

        Raises:
            EnvironmentFailed: it cannot be read.
        """
        return whole_lines(b"\n".join(lines_of(self.path)))

    def add_missing(self, lines: Iterable[str]) -> None:
        """Append the lines of another copy that this one lacks, unchanged and in their order.

        Lines are compared in the form in which this process would write them. Secrets of this environment are
        hidden in the lines that are added, whose checksum is then a new one that names the old.

        Raises:
            EnvironmentFailed: the disk is full, read-only or failing.
        """
        known = Counter(map(_rewritten, self.lines()))
        for line in lines:
            if known[key := _rewritten(line)]:
                known[key] -= 1
            elif (row := parse_object(line.encode())) is not None:
                kept = line.encode() if hide_in(row) == row else _hidden(line.encode(), row)
                append_bytes(self.path, kept + b"\n", durable=True)

    def attempts(self) -> int:
        """The number of attempts that were started."""
        return len(self.events(AttemptStarted))


def whole_lines(data: bytes) -> tuple[str, ...]:
    """The lines in the bytes of a ledger, without torn ones."""
    return tuple(line.decode() for line in data.split(b"\n") if parse_object(line) is not None)


def _rewritten(line: str) -> bytes:
    seal = seal_of(line.encode())
    place = f" {seal.by} {seal.after}" if seal else ""
    return line_of(parse_object(line.encode()) or {}) + place.encode()


def _hidden(line: bytes, row: Mapping[str, Any]) -> bytes:
    """A line with this environment's secrets hidden; the checksum of a damaged one stays wrong."""
    seal = seal_of(line)
    if seal is None:
        return line_of(row).rstrip(b"\n")
    if not is_as_written(line):
        return line_of({**row, "by": seal.by, "after": seal.after, "sum": seal.sum}).rstrip(b"\n")
    return sealed(line_of(row), by=seal.by, after=seal.after, was=seal.link).rstrip(b"\n")


class LedgerTail(Tail):
    """Reads the events that were appended to a ledger since the last call."""

    def events(self) -> Iterator[Event]:
        """The new events."""
        return (event for line in self.lines() if (event := parse(line)) is not None)


_TAIL = 1 << 16
_OF_THIS_SIDE = (Created, Submitted, JobStarted, Acknowledged, Finished)


def latest_events(runs: Path) -> Iterator[tuple[str, str]]:
    """The last event of each run in a folder, as ``(description, time)``, from the end of its ledger.

    Of a remote run, only events that were written here count: the others have the time of another clock.

    Raises:
        EnvironmentFailed: a ledger cannot be read.
    """
    for folder in RunFolder.all(runs):
        yield from last_event(folder)


def last_event(folder: RunFolder) -> Iterator[tuple[str, str]]:
    """The same of one run; nothing where it has recorded nothing.

    Raises:
        EnvironmentFailed: its ledger cannot be read.
    """
    with explained(folder.ledger, "read"), open_regular(folder.ledger) as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - _TAIL))
        lines = stream.read().split(b"\n")
    remote = folder.remote_run.exists()
    events = (event for line in reversed(lines) if (event := parse(line)) is not None)
    own = (event.at for event in events if not remote or isinstance(event, _OF_THIS_SIDE))
    at = next(filter(None, own), None)
    if at is not None:
        yield f"the last event of run {folder.name}", at

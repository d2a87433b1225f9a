"""The checksum of each line of a ledger and a history: writing it, and finding what is torn, missing or changed.

The last keys of a line are ``by`` (the writer: random for each process and file), ``after`` (the checksum of that
writer's line before; null for its first) and ``sum``: the first 16 digits of the sha256 over all bytes of the line
before ``, "sum": "``. Several processes may append to a file, and copies may be merged in another order: each writer's
own lines stay a chain. Where a secret was hidden in a merged line, ``was`` is the checksum that the line had.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from cardrunner.runs.damage import Damage, Kind
from cardrunner.runs.files import explained, open_regular

KEYS = frozenset(("was", "by", "after", "sum"))
"""The keys that belong to the checksum, not to what the line says."""
_DIGITS = 16
_SUM = b', "sum": "'
_TAIL = re.compile(
    rb'(?:"was": "(?P<was>[0-9a-f]{16})", )?"by": "(?P<by>[0-9a-f]{8})", '
    rb'"after": (?:null|"(?P<after>[0-9a-f]{16})"), "sum": "(?P<sum>[0-9a-f]{16})"\}$'
)
_BEGUN_TAIL = re.compile(rb'"by": "[0-9a-f]{8}", "after": ')
_WRITTEN_SUM = re.compile(rb'"sum": "[0-9a-f]{16}')
_TAIL_BYTES = 140
_TEMPLATES = tuple(
    b'"by": "hhhhhhhh", "after": ' + after + b', "sum": "hhhhhhhhhhhhhhhh"}'
    for after in (b"null", b'"hhhhhhhhhhhhhhhh"')
)
_MOST_NAMED = 20
_TAIL_READ = 1 << 16


@dataclass(frozen=True)
class LineSeal:
    """What the end of a line says about it."""

    by: str
    after: str | None
    sum: str
    was: str | None = None

    @property
    def link(self) -> str:
        """What the writer's next line has under ``after``."""
        return self.was or self.sum


class LinesAnchor(BaseModel):
    """How far a file of lines has come: what stands there is never less afterwards, except by a recorded cut."""

    model_config = ConfigDict(frozen=True)
    bytes: int
    """Up to the end of its last whole line."""
    last: str | None
    """The checksum of that line; None where it has none."""


def sealed(line: bytes, *, by: str, after: str | None, was: str | None = None) -> bytes:
    """A line with its checksum.

    Args:
        line: one JSON object, with its end.
        by: the writer.
        after: the checksum of the writer's line before.
        was: the checksum that the line had before secrets were hidden in it.
    """
    body = line.rstrip(b"\n").removesuffix(b"}")
    told = ({"was": was} if was else {}) | {"by": by, "after": after}
    head = body + (b"" if body == b"{" else b", ") + json.dumps(told).encode()[1:-1]
    return head + _SUM + checksum(head).encode() + b'"}\n'


def checksum(head: bytes) -> str:
    """The checksum of a line, from its bytes before ``, "sum": "``."""
    return hashlib.sha256(head).hexdigest()[:_DIGITS]


def seal_of(line: bytes) -> LineSeal | None:
    """The checksum at the end of a line, right or wrong; None where it has none."""
    found = _TAIL.search(line, max(0, len(line) - _TAIL_BYTES))
    if found is None:
        return None
    texts = {name: text.decode() if text else None for name, text in found.groupdict().items()}
    return LineSeal(by=texts["by"] or "", after=texts["after"], sum=texts["sum"] or "", was=texts["was"])


def is_as_written(line: bytes) -> bool:
    """Whether a line has a checksum, and it is right."""
    seal = seal_of(line)
    return seal is not None and seal.sum == checksum(line[: line.rindex(_SUM)])


@dataclass(frozen=True)
class _Writer:
    by: str
    last: str | None = None
    end: int = 0
    """Where its last line ends in the file."""


_WRITERS: dict[tuple[int, int, int], _Writer] = {}
_LOCK = threading.RLock()
os.register_at_fork(after_in_child=lambda: globals().update(_LOCK=threading.RLock()))


def write_sealed(descriptor: int, line: bytes, write: Callable[[bytes], object]) -> None:
    """Write the next line of this process to a file, with its checksum.

    Args:
        descriptor: the file, open for reading and appending.
        line: one JSON object, with its end.
        write: appends bytes to the file.
    """
    found = os.fstat(descriptor)
    key = os.getpid(), found.st_dev, found.st_ino
    with _LOCK:
        # taken out first: after a write that broke off, the next line begins a chain of its own
        writer = _WRITERS.pop(key, None)
        if writer is None or not _stands(descriptor, writer):
            writer = _Writer(secrets.token_hex(4))
        made = sealed(line, by=writer.by, after=writer.last)
        write(made)
        last = made[-_DIGITS - 3 : -3].decode()
        _WRITERS[key] = _Writer(writer.by, last, os.lseek(descriptor, 0, os.SEEK_CUR))


def _stands(descriptor: int, writer: _Writer) -> bool:
    """Whether the writer's last line is in this file: another file may have the number of one that is gone."""
    end = f'{writer.last}"}}\n'.encode()
    return os.pread(descriptor, len(end), max(0, writer.end - len(end))) == end


def anchor_of(path: Path) -> LinesAnchor:
    """How far a file has come; one that does not exist has no bytes.

    Raises:
        EnvironmentFailed: it cannot be read.
    """
    if not path.exists():
        return LinesAnchor(bytes=0, last=None)
    with explained(path, "read"), open_regular(path) as stream:
        size, read = stream.seek(0, os.SEEK_END), 0
        while read < size:
            read = min(size, max(_TAIL_READ, 2 * read))
            stream.seek(size - read)
            data = stream.read(read)
            whole = data[: data.rfind(b"\n") + 1]
            lines = whole.splitlines(keepends=True)[0 if read == size else 1 :]
            if lines:
                seal = seal_of(lines[-1].rstrip(b"\n"))
                return LinesAnchor(bytes=size - len(data) + len(whole), last=seal.sum if seal else None)
    return LinesAnchor(bytes=0, last=None)


@dataclass(frozen=True, kw_only=True)
class LinesReport:
    """What the lines of a file say about themselves."""

    lines: int
    """Whole lines, with and without a checksum."""
    sealed: int
    """Lines with a checksum."""
    damage: tuple[Damage, ...]
    """The first findings of each kind, and one that counts the rest."""
    counts: Mapping[str, int]
    """All findings by kind."""
    last: Mapping[str, str]
    """The checksum of each writer's last line."""
    found: frozenset[str]
    """Those of the wanted checksums that a line has, right or wrong."""

    @property
    def unsealed(self) -> bool:
        """Whether some lines are of a version that wrote no checksums."""
        return bool(self.counts.get("unsealed"))


def examine_lines(path: Path, *, wanted: Collection[str] = ()) -> LinesReport:
    """Examine every line of a file: what is torn, missing, changed, or more than was written. Reads it line by line.

    Args:
        path: a ledger or a history; one that does not exist has no lines.
        wanted: checksums that are looked for.

    Raises:
        EnvironmentFailed: it cannot be read.
    """
    examination = _Examination(path.name, frozenset(wanted))
    if path.exists():
        with explained(path, "read"), open_regular(path) as stream:
            for line in stream:
                examination.take(line.rstrip(b"\n"))
            examination.end()
            if examination.gaps:
                stream.seek(0)
                examination.explain_gaps(line.rstrip(b"\n") for line in stream)
    return examination.report()


@dataclass(frozen=True)
class _Gap:
    """A line whose writer's line before is not where it should be."""

    number: int
    seal: LineSeal


@dataclass
class _Examination:
    name: str
    wanted: frozenset[str]
    number: int = 0
    whole: int = 0
    bare: int = 0
    """Lines without a checksum, before the first that has one."""
    written: int = 0
    heads: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What each writer's next line may follow: of a changed line, also the checksum that its bytes have now."""
    sums: dict[str, str] = field(default_factory=dict)
    gaps: list[_Gap] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    damage: list[Damage] = field(default_factory=list)
    found: set[str] = field(default_factory=set)

    def take(self, line: bytes) -> None:
        self.number += 1
        if not line:
            return
        seal = seal_of(line)
        if seal is None:
            self._unsealed(line)
            return
        self.whole += 1
        self.written += 1
        right = checksum(line[: line.rindex(_SUM)])
        if seal.sum != right:
            self._note("changed", f"line {self.number} is not what was written: its checksum differs")
        if seal.sum in self.wanted:
            self.found.add(seal.sum)
        if seal.after not in self.heads.get(seal.by, (None,)):
            self.gaps.append(_Gap(self.number, seal))
        self.heads[seal.by], self.sums[seal.by] = (seal.link, seal.was or right), seal.sum

    def _unsealed(self, line: bytes) -> None:
        row = object_of(line)
        if row is None:
            if is_torn(line):
                self._note("torn", f"line {self.number} is torn, as a crash leaves it")
            else:
                self._note("changed", f"line {self.number} is not what was written: it can no longer be read")
            return
        self.whole += 1
        if len(row.keys() & {"by", "after", "sum"}) > 1:
            self._note("changed", f"line {self.number} is not what was written: its checksum was damaged")
        elif self.written:
            self._note("unexpected", f"line {self.number} has no checksum, unlike the lines before it")
        else:
            self.bare += 1

    def end(self) -> None:
        if self.bare:
            self._note("unsealed", f"{self.bare} of {self.whole} lines have no checksum: an earlier version wrote them")

    def explain_gaps(self, lines: Iterator[bytes]) -> None:
        """Say of each gap whether a line is missing, stands elsewhere, or stands there twice."""
        where: dict[str, list[int]] = {}
        asked = {text for gap in self.gaps for text in (gap.seal.after, gap.seal.link) if text}
        for number, line in enumerate(lines, 1):
            seal = seal_of(line)
            if seal is not None and seal.link in asked:
                where.setdefault(seal.link, []).append(number)
        for gap in self.gaps:
            self._note(*_said(gap, where))

    def _note(self, kind: Kind, what: str) -> None:
        self.counts[kind] += 1
        if self.counts[kind] <= _MOST_NAMED:
            self.damage.append(Damage(file=self.name, kind=kind, what=what))

    def report(self) -> LinesReport:
        named = list(self.damage)
        for kind, count in self.counts.items():
            if count > _MOST_NAMED:
                first = next(damage for damage in named if damage.kind == kind)
                named.append(Damage(file=self.name, kind=first.kind, what=f"{count - _MOST_NAMED} more like these"))
        return LinesReport(
            lines=self.whole,
            sealed=self.written,
            damage=tuple(named),
            counts=dict(self.counts),
            last=dict(self.sums),
            found=frozenset(self.found),
        )


def _said(gap: _Gap, where: Mapping[str, list[int]]) -> tuple[Kind, str]:
    own, before = where.get(gap.seal.link, []), where.get(gap.seal.after or "", [])
    if own and own[0] < gap.number:
        return "unexpected", f"line {gap.number} repeats line {own[0]}"
    if any(number > gap.number for number in before):
        return "changed", f"line {gap.number} stands before line {before[-1]}, which was written earlier"
    if before:
        return (
            "changed",
            f"line {gap.number} does not follow the line that its writer wrote before it, line {before[-1]}",
        )
    if gap.seal.after is None:
        return "changed", f"line {gap.number} was its writer's first, and others of the same writer stand before it"
    return (
        "missing",
        f"one or more lines before line {gap.number} are missing: its writer's line {gap.seal.after} is gone",
    )


def is_torn(line: bytes) -> bool:
    """Whether a line that is no JSON object may be the beginning of one, as a crash in the middle of a write leaves it.

    The end of a line says a lot about it: where some of the checksum is there, all before it has to be whole.
    """
    line = line.rstrip(b"\0")  # a power cut may leave zeros where a line was to come
    end = line[-_TAIL_BYTES:]
    begun = list(_BEGUN_TAIL.finditer(end))
    if begun:
        return any(_begins(template, end[begun[-1].start() :]) for template in _TEMPLATES)
    return not line or (line.startswith(b"{") and not _WRITTEN_SUM.search(end))


def _begins(template: bytes, end: bytes) -> bool:
    return len(end) < len(template) and all(
        byte in b"0123456789abcdef" if sign == ord("h") else byte == sign
        for byte, sign in zip(end, template, strict=False)
    )


def object_of(line: bytes) -> dict[str, Any] | None:
    """The JSON object of a line, its checksum included; None for anything else."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None

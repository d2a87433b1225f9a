"""JSON lines: one object a line, whose nested objects give names such as ``val/loss``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cardrunner.workloads.command.reports.base import MOST_NAMES, Garbage, Reading, Taking
from cardrunner.workloads.command.reports.files import Files
from cardrunner.workloads.command.reports.per_file import PerFile
from cardrunner.workloads.command.reports.tail import Known, Tail

_DEPTH = 4
_decode = json.JSONDecoder().decode


def json_lines(pattern: str, *, name: str, wanted: frozenset[str] = frozenset(), step: str | None = None) -> PerFile:
    """The files of a pattern, absolute; see `Taking` for `wanted` and `step`."""
    garbage = Garbage()
    taking = Taking(name, garbage, wanted, step)
    return PerFile(name, Files(pattern, garbage), lambda path: JsonLines(path, taking), garbage)


class JsonLines:
    """See `cardrunner.workloads.command.reports.per_file.FileReader`."""

    def __init__(self, path: Path, taking: Taking) -> None:
        self._tail, self._taking = Tail(path, taking.garbage), taking
        self._known = Known()

    def begin(self, size: int) -> None:
        for number, line in self._tail.lines(ended=True, most=size + 1):
            self._known.is_new(number, hash(line))

    def new(self, *, ended: bool = False) -> Iterator[Reading]:
        for number, line in self._tail.lines(ended=ended):
            if self._known.is_new(number, hash(line)) and (text := line.strip(b" \t\r\n\0")):
                cells = unfolded(json_object(text, self._taking))
                reading = self._taking.reading(cells) if cells else None
                if reading is not None:
                    yield reading


def json_object(text: bytes, taking: Taking) -> dict[str, Any]:
    """The object of a line; empty for garbage."""
    try:
        found = _decode(text.removeprefix(b"\xef\xbb\xbf").decode())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        taking.garbage.add(text, taking.where)
        return {}
    return found


def unfolded(cells: Mapping[str, Any], *, by: str = "/") -> dict[str, Any]:
    """``{"val": {"loss": 1}}`` as ``{"val/loss": 1}``, to a depth of four and at most `MOST_NAMES` entries."""
    for value in cells.values():
        if isinstance(value, dict):
            return dict(_unfolded(cells, "", by, _DEPTH))
    return dict(cells)


def _unfolded(cells: Mapping[str, Any], before: str, by: str, depth: int) -> Iterator[tuple[str, Any]]:
    for name, value in list(cells.items())[:MOST_NAMES]:
        if isinstance(value, dict) and depth:
            yield from _unfolded(value, f"{before}{name}{by}", by, depth - 1)
        else:
            yield f"{before}{name}", value

"""The lines of a foreign history, from a CSV or from JSON lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from cardrunner.errors import UsageError
from cardrunner.histories.cells import Line

_DELIMITERS = ",;\t"


def csv_lines(path: Path, stream: TextIO) -> Iterator[Line]:
    """Every line below the head; separated by commas, semicolons or tabs.

    Raises:
        UsageError: a line has more or fewer cells than the head, a quote is never closed, or a column stands twice.
    """
    first = next((line for line in stream if line.strip()), "")
    stream.seek(0)
    reader = csv.reader(stream, delimiter=max(_DELIMITERS, key=first.count), strict=True)
    try:
        head = [name.strip().removeprefix("\ufeff") for name in next(filter(any, reader), [])]
        for name in head:
            if name and head.count(name) > 1:
                raise UsageError(f'{path}:1: column "{name}" stands twice')
        for cells in reader:
            if cells:
                _check_width(path, reader.line_num, cells, head)
                yield Line(str(path), reader.line_num, dict(zip(head, cells, strict=True)))
    except csv.Error as error:
        raise UsageError(f"{path}:{reader.line_num}: this is not valid CSV: {error}") from None


def json_lines(path: Path, stream: TextIO) -> Iterator[Line]:
    """Every line as an object.

    Raises:
        UsageError: a line is no JSON object.
    """
    for number, text in enumerate(stream, start=1):
        if not text.strip():
            continue
        try:
            value = json.loads(text, object_pairs_hook=_each_once)
        except json.JSONDecodeError as error:
            raise UsageError(f"{path}:{number}:{error.colno}: this is not JSON: {error.msg}") from None
        except _StandsTwice as error:
            raise UsageError(f'{path}:{number}: "{error}" stands twice') from None
        except (RecursionError, ValueError):
            raise UsageError(f"{path}:{number}: this is not JSON that holds a row of a history") from None
        if not isinstance(value, dict):
            raise UsageError(f"{path}:{number}:1: a row of a history is an object; write one a line")
        yield Line(str(path), number, value)


class _StandsTwice(ValueError):
    """A key of an object."""


def _each_once(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _StandsTwice(next(name for name in names if names.count(name) > 1)[:32])
    return found


def _check_width(path: Path, number: int, cells: Sequence[str], head: Sequence[str]) -> None:
    if len(cells) != len(head):
        raise UsageError(f"{path}:{number}: this line has {len(cells)} cells, the head has {len(head)} columns")

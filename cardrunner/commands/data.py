"""`cardrunner data`: the data files of a card, with their sizes and sha256."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cardrunner import registry
from cardrunner.card.load import LoadedCard, load_card
from cardrunner.card.reading.edit import Edit
from cardrunner.card.schema.data import DataFile
from cardrunner.commands.card_edits import save_edits
from cardrunner.common.text import plural
from cardrunner.common.units import format_bytes
from cardrunner.errors import UsageError
from cardrunner.runs.data_lists import DataList, ListedFile, keep_list, list_data
from cardrunner.runs.files import sha256_file
from cardrunner.workspace import Workspace

HELP = "list the data files of a card with their sizes and sha256, or write these into the card"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The card, and whether to write."""
    parser.add_argument("card", type=Path, metavar="CARD")
    parser.add_argument(
        "--write", action="store_true", help="pin the files as they are now in the card, before it is signed"
    )


def run(options: argparse.Namespace) -> int:
    """Print every file; with `--write`, pin them in the card and keep the lists of its patterns."""
    loaded = load_card(options.card, registry.workload_spec)
    workspace = Workspace.around(options.card)
    if loaded.card.data.is_synthetic:
        raise UsageError(f"{options.card}: data.source names no file")
    lists = [_listed(workspace, entry) for entry in loaded.card.data.source]
    for data in lists:
        for file in data.files:
            print(f"{file.sha256}  {file.bytes:>15,}  {file.path}")
    if options.write:
        for entry, data in zip(loaded.card.data.source, lists, strict=True):
            if entry.is_pattern:
                keep_list(workspace.records, data)
        save_edits(loaded, list(_edits(loaded, lists)), signed_content=True)
    if not options.quiet:
        for data in lists:
            size = f"{plural(len(data.files), 'file')}, {format_bytes(data.bytes)}"
            print(f"{data.pattern}: {size}, sha256 {_pin(data)}", file=sys.stderr)
    return 0


def _listed(workspace: Workspace, entry: DataFile) -> DataList:
    if entry.is_pattern:
        return list_data(workspace, entry.path)
    path = workspace.find_data(entry.path)
    return DataList(entry.path, (ListedFile(entry.path, path.stat().st_size, sha256_file(path)),))


def _pin(data: DataList) -> str:
    """What the card pins: the digest of the list, or that of the one file that is named by its path."""
    alone = len(data.files) == 1 and data.files[0].path == data.pattern
    return data.files[0].sha256 if alone else data.sha256


def _edits(loaded: LoadedCard, lists: list[DataList]) -> Iterator[Edit]:
    entries: list[dict[str, Any]] = []
    for entry, data in zip(loaded.card.data.source, lists, strict=True):
        count = {"files": len(data.files)} if entry.is_pattern else {}
        entries.append({"path": entry.path, **count, "size": f"{data.bytes} B", "sha256": _pin(data)})
    yield Edit(("data", "source"), entries)

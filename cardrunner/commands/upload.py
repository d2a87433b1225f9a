"""`cardrunner upload`: the data file of a card to the volume that the card names."""

from __future__ import annotations

import argparse
from pathlib import Path

from cardrunner import registry
from cardrunner.card.load import load_card
from cardrunner.card.platforms import platform_of
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.data import DataFile
from cardrunner.commands.run_arguments import progress_of
from cardrunner.common.units import format_bytes, rounding_of
from cardrunner.contracts import RemoteExecutor
from cardrunner.errors import EnvironmentFailed, IntegrityError, UsageError

HELP = "put a card's data file on the volume that the card names, with its checksum"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The file and the card."""
    parser.add_argument("file", type=Path, metavar="FILE", help="the file here")
    parser.add_argument("card", type=Path, metavar="CARD", help="the card, which names the place of its data")
    parser.add_argument("--force", action="store_true", help="replace an existing file")


def run(options: argparse.Namespace) -> int:
    """Upload, and print the file's place, size and digest."""
    card = load_card(options.card, registry.workload_spec).card
    platform = platform_of(card.infra)
    executor, storage = registry.executor(platform.executor_of(card.infra)), platform.storage(card.infra)
    if storage is None or not isinstance(executor, RemoteExecutor):
        raise UsageError(f"{options.card}: the card runs on this machine; its data needs no volume")
    entry = _entry(options.file, card)
    _check_size(options.file, card, entry)
    volume, progress = storage.volume, progress_of(options)
    pinned = entry.sha256 or card.data.sha256
    digest = executor.upload(
        options.file, volume=volume, path=entry.path, sha256=pinned, force=options.force, progress=progress
    )
    pin = "" if pinned else "; the card can pin it under data.sha256"
    print(f"{entry.path} on the volume {volume}: {format_bytes(options.file.stat().st_size)}, sha256 {digest}{pin}")
    return 0


def _entry(file: Path, card: Card) -> DataFile:
    """The card's data file that a local file stands for."""
    if not file.is_file():
        raise EnvironmentFailed(f"{file}: there is no such file")
    if card.data.is_synthetic:
        raise UsageError("data.source: the card's data is made when the run begins; there is nothing to upload")
    entries = card.data.source
    meant = [entry for entry in entries if Path(entry.path).name == file.name] or list(entries[:1])
    if len(entries) > 1 and Path(meant[0].path).name != file.name:
        names = ", ".join(Path(entry.path).name for entry in entries)
        raise UsageError(f"{file}: the card has several data files ({names}); {file.name} is not among them")
    return meant[0]


def _check_size(file: Path, card: Card, entry: DataFile) -> None:
    expected = entry.size or (card.data.size if len(card.data.source) == 1 else None)
    size = file.stat().st_size
    if expected is not None and abs(size - expected) > rounding_of(float(expected)):
        raise IntegrityError(f"{file} has {format_bytes(size)} ({size} bytes), the card says {format_bytes(expected)}")

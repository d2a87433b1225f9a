"""Blocks, kept beside the signed contents: a run stays blocked when the reviewer's mark is removed from the card.

`cardrunner sign` writes a file per block and removes it when the same reviewer signs again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cardrunner.card.digest import Change, content_changes, content_digest, signed_content
from cardrunner.card.reading.document import printable
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.sign_off import Signature
from cardrunner.gate.case import Case
from cardrunner.gate.findings import Finding

_LARGEST_BLOCK = 64 << 10


@dataclass(frozen=True)
class RecordedBlock:
    """A block that was recorded: by whom, when and why, as far as its file can be read."""

    reviewer: str
    at: str
    note: str

    def __str__(self) -> str:
        return printable(f"has blocked this run{self.at}{self.note}")  # anyone may have written the file


def block_path(records: Path, run: str, reviewer: str) -> Path:
    """Where a reviewer's block of a run is kept, under the workspace's records folder."""
    return records / "blocks" / run / f"{reviewer}.json"


def encode_block(statement: Signature, *, run: str, reviewer: str) -> bytes:
    """The content of a block's file."""
    said = {"run": run, "reviewer": reviewer, **statement.model_dump(mode="json", exclude_defaults=True)}
    return (json.dumps(said, indent=2, ensure_ascii=False) + "\n").encode()


def recorded_blocks(records: Sequence[Path], run: str) -> tuple[RecordedBlock, ...]:
    """Every block of a run that is kept, one for each reviewer. A file that cannot be read still blocks."""
    folders = (block_path(place, run, "").parent for place in records)
    paths = [path for folder in folders if folder.is_dir() for path in sorted(folder.glob("*.json"))]
    nearest = {path.stem: path for path in reversed(paths)}
    return tuple(_read(nearest[name]) for name in sorted(nearest))


def standing_blocks(case: Case) -> Iterator[Finding]:
    """Recorded blocks whose mark is no longer in the card; those in the card are judged there."""
    in_card = {
        reviewer.id
        for reviewer in case.card.sign_off.reviewers
        if isinstance(reviewer.signed, Signature) and reviewer.signed.verdict == "block"
    }
    for block in recorded_blocks(case.records, case.card.name):
        if block.reviewer not in in_card:
            why = f"{block}, and the card no longer says so; only {block.reviewer} can lift it by signing again"
            yield Finding(f"reviewer {block.reviewer}", why, case.command("sign", "--as", block.reviewer))


def _read(path: Path) -> RecordedBlock:
    try:
        said = json.loads(path.read_bytes()[:_LARGEST_BLOCK])
        note = f' ("{said["note"]}")' if said.get("note") else ""
        return RecordedBlock(path.stem, f" on {said['at']}", note)
    except (OSError, ValueError, KeyError, AttributeError, RecursionError):
        return RecordedBlock(path.stem, "", "")


_LARGEST = 4 << 20
"""A card is at most 256 KB; its effective content with every default stays far below."""


def signed_content_path(records: Path, digest: str) -> Path:
    """Where the content behind a digest is kept, under the workspace's records folder."""
    return records / "signed" / f"{digest}.json"


def encode_signed_content(card: Card) -> bytes:
    """The content of a card as people can read and diff it."""
    return (json.dumps(signed_content(card), indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def read_signed_content(records: Sequence[Path], digest: str) -> dict[str, Any] | None:
    """The content behind a digest; None when it is not kept, or the file is not what its name says."""
    found = (_read_content(signed_content_path(place, digest), digest) for place in records)
    return next((content for content in found if content is not None), None)


def _read_content(path: Path, digest: str) -> dict[str, Any] | None:
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return None
        content = json.loads(path.read_bytes())
        return content if isinstance(content, dict) and content_digest(content) == digest else None
    except (OSError, ValueError, RecursionError):
        return None


def changes_since(records: Sequence[Path], digest: str, card: Card) -> tuple[Change, ...] | None:
    """What changed in a card since a digest was signed; None when the signed content is not kept."""
    before = read_signed_content(records, digest)
    return None if before is None else content_changes(before, signed_content(card))

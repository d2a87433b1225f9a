"""Blocks, kept beside the signed contents: what a reviewer blocks stays blocked when the mark leaves the card.

`cardrunner sign` writes a file per block and takes it away when the same reviewer signs again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cardrunner.card.document import printable
from cardrunner.card.schema.sign_off import Signature
from cardrunner.gate.case import Case
from cardrunner.gate.findings import Finding

_LARGEST = 64 << 10


@dataclass(frozen=True)
class Block:
    """A block that was recorded: by whom, when and why, as far as its file can be read."""

    reviewer: str
    at: str
    note: str

    def __str__(self) -> str:
        return printable(f"has blocked this run{self.at}{self.note}")  # the file is one that anybody may have written


def block_path(records: Path, run: str, reviewer: str) -> Path:
    """Where a reviewer's block of a run is kept, under the workspace's records folder."""
    return records / "blocks" / run / f"{reviewer}.json"


def encode_block(statement: Signature, *, run: str, reviewer: str) -> bytes:
    """The content of such a file."""
    said = {"run": run, "reviewer": reviewer, **statement.model_dump(mode="json", exclude_defaults=True)}
    return (json.dumps(said, indent=2, ensure_ascii=False) + "\n").encode()


def recorded_blocks(records: Path, run: str) -> tuple[Block, ...]:
    """Every block of a run that is kept. A file that cannot be read still blocks."""
    folder = block_path(records, run, "").parent
    return tuple(_read(path) for path in sorted(folder.glob("*.json"))) if folder.is_dir() else ()


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


def _read(path: Path) -> Block:
    try:
        said = json.loads(path.read_bytes()[:_LARGEST])
        note = f' ("{said["note"]}")' if said.get("note") else ""
        return Block(path.stem, f" on {said['at']}", note)
    except (OSError, ValueError, KeyError, AttributeError, RecursionError):
        return Block(path.stem, "", "")

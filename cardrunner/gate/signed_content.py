"""The contents that reviewers signed, kept beside the cards so that the gate can say what changed since."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cardrunner.card.digest import Change, content_changes, content_digest, signed_content
from cardrunner.card.schema.card import Card

_LARGEST = 4 << 20
"""A card is at most 256 KB; its effective content with every default stays far below."""


def signed_content_path(records: Path, digest: str) -> Path:
    """Where the content behind a digest is kept, under the workspace's records folder."""
    return records / "signed" / f"{digest}.json"


def encode_signed_content(card: Card) -> bytes:
    """The content of a card as people can read and diff it."""
    return (json.dumps(signed_content(card), indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def read_signed_content(records: Path, digest: str) -> dict[str, Any] | None:
    """The content behind a digest; None when it is not kept, or the file is not what its name says."""
    path = signed_content_path(records, digest)
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return None
        content = json.loads(path.read_bytes())
        return content if isinstance(content, dict) and content_digest(content) == digest else None
    except (OSError, ValueError, RecursionError):
        return None


def changes_since(records: Path, digest: str, card: Card) -> tuple[Change, ...] | None:
    """What changed in a card since a digest was signed; None when the signed content is not kept."""
    before = read_signed_content(records, digest)
    return None if before is None else content_changes(before, signed_content(card))

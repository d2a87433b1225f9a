"""The best checkpoint of a script, a file or a folder, as it was kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cardrunner.contracts import RunContext
from cardrunner.errors import IntegrityError
from cardrunner.runs.copies import sha256_at
from cardrunner.runs.records import Manifest, ManifestEntry, readable_record


@dataclass(frozen=True)
class BestKept:
    """A checkpoint whose bytes were compared with the manifest."""

    entry: ManifestEntry
    """Its row; for a folder, that of the record with the digest of its files."""
    content: Path
    """The kept file or folder, under the name that the script gave it."""


def best_kept(ctx: RunContext) -> BestKept | None:
    """The best checkpoint; None if the card chooses none, or none was kept.

    Raises:
        IntegrityError: its bytes are not those that were kept.
    """
    folder = ctx.folder
    manifest = readable_record(folder.manifest, Manifest) or Manifest()
    if (entry := manifest.find(folder.best.name)) is None:
        return None
    _compare(folder.root / entry.source, entry.sha256)
    content = folder.root / entry.whole
    if entry.content is not None:
        _compare(content, entry.whole_sha256)
    return BestKept(entry, content)


def _compare(path: Path, expected: str) -> None:
    if (found := sha256_at(path)) != expected:
        raise IntegrityError(f"{path}: its sha256 is {found}, the manifest says {expected}")

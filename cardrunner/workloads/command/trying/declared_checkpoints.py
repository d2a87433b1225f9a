"""What the checkpoint patterns of a card match in a trial."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cardrunner.common.text import plural
from cardrunner.workloads.command.checkpoints import CheckpointRules, Kind, find


@dataclass
class DeclaredCheckpoints:
    """Remembers what the patterns matched in the first start.

    Args:
        rules: what the card says.
        patterns: the same as it is written there.
    """

    rules: CheckpointRules
    patterns: tuple[str, ...]
    matched: dict[Path, tuple[int, Kind]] = field(default_factory=dict)
    """When each was written last, in nanoseconds since 1970."""

    def look(self) -> None:
        """Take note of what is there now."""
        for checkpoint in find(self.rules)[0]:
            self.matched[checkpoint.path] = checkpoint.modified, checkpoint.kind

    def lines(self) -> Iterator[str]:
        """What they matched; empty where the card has none."""
        if not self.patterns:
            return
        written = ", ".join(self.patterns)
        if not self.matched:
            yield f"  training.checkpoints.at: {written} matches nothing that the script wrote"
            return
        newest = max(self.matched, key=lambda path: self.matched[path][0])
        files = plural(len(self.matched), self.matched[newest][1])
        yield f"  training.checkpoints.at: {written} matches {files}, the newest {newest.name}"

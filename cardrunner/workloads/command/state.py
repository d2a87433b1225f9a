"""What is known of a script between two attempts: ``script.json``."""

from __future__ import annotations

import os
import uuid
import zlib
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import BestRecord, Record, readable_record, write_record


class ScriptRecord(Record):
    """``script.json``; rewritten whenever something of it changes."""

    mark: str
    """Names the processes of this run in their environment, with the place of its folder; see `ScriptState.mark`."""
    starts: int = 0
    """How often the script was started, in all attempts."""
    open: bool = False
    """Whether it was started, and what ended it was not seen: its watcher was killed."""
    began_from: str | None = None
    """The sha256 of the checkpoint that it resumed from last; None after a beginning, and once a new row has come."""
    died: tuple[str, ...] = ()
    """The checkpoints from which it died before a new row, in order, since the last new row."""
    read_from: dict[str, int] = Field(default_factory=dict)
    """How many bytes of each file with metrics were there when it was started last: they are of earlier starts. Paths
    are relative to the run folder."""
    seconds: float = 0.0
    """How long it has run, in all attempts."""
    first_epoch: float | None = None
    """The first epoch that it reported, by its own count; None before that."""
    best: BestRecord | None = None
    best_sha256: str | None = None
    """The kept checkpoint that is the best one; None before it is kept."""
    facts: dict[str, Any] = Field(default_factory=dict)
    """What the script has said itself, the newest value of each."""


@dataclass
class ScriptState:
    """The record, and where it is kept."""

    folder: RunFolder
    record: ScriptRecord

    @classmethod
    def of(cls, folder: RunFolder) -> ScriptState:
        """The state of a run; a new one for a run whose script was never started."""
        found = readable_record(folder.script_state, ScriptRecord)
        return cls(folder, found or ScriptRecord(mark=uuid.uuid4().hex))

    @property
    def mark(self) -> str:
        """Names the processes of this run folder; those of a copy of it elsewhere have another name."""
        return f"{self.record.mark}-{zlib.crc32(os.fsencode(self.folder.root.absolute())):08x}"

    def keep(self) -> None:
        """Write it if it is not there yet, so that what runs under its mark is found again.

        Raises:
            EnvironmentFailed: it cannot be written.
        """
        if not self.folder.script_state.exists():
            write_record(self.folder.script_state, self.record)

    def update(self, **changes: Any) -> None:
        """Change some of it, and write it if that is another state.

        Raises:
            EnvironmentFailed: it cannot be written.
        """
        changed = self.record.model_copy(update=changes)
        if changed != self.record:
            self.record = changed
            write_record(self.folder.script_state, changed)

"""The run folder brought here: whatever the run has recorded on the volume, as of its last commit.

The worker's records are copied as they are. The ledger alone has two writers, the worker there and people's commands
here. So events from there are appended in the order in which they are found, which is the order in which they were
learned here, and no clock of two machines is compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from cardrunner.errors import IntegrityError
from cardrunner.executors.modal_cloud.orders import append_lines, ledger_lines, missing_lines, whole_lines
from cardrunner.executors.modal_cloud.volumes import Shelf, Stamp
from cardrunner.runs.files import write_durably
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.lock import locked

_KINDS = {".json", ".jsonl", ".log"}
_LARGEST = 64 << 20
"""Bytes; a record that is larger is left where it is."""
_CLOCK_TICK = 2
"""Seconds within which a file may change twice and be listed alike."""


@dataclass
class Mirror:
    """One run, there and here."""

    folder: RunFolder
    shelf: Shelf
    _seen: dict[str, Stamp] = field(default_factory=dict)

    def pull(self) -> bool:
        """Bring everything that changed since the last pull.

        Returns:
            whether there is anything there.

        Raises:
            EnvironmentFailed: the disk here refuses.
        """
        files = self.shelf.files()
        now = max((stamp.mtime for stamp in files.values()), default=0)
        with locked(self.folder.mirror_lock):
            for name, stamp in files.items():
                settled = stamp.mtime < now - _CLOCK_TICK
                if self._is_record(name, stamp) and not (settled and self._seen.get(name) == stamp):
                    self._bring(name)
                    self._seen[name] = stamp
        return bool(files)

    def _is_record(self, name: str, stamp: Stamp) -> bool:
        path = PurePosixPath(name)
        parts_hidden = any(part.startswith(".") for part in path.parts)
        frozen = self.folder.is_frozen(self.folder.root / name)
        local = name in (self.folder.stop_request.name, self.folder.elsewhere.name)
        return path.suffix in _KINDS and not (parts_hidden or frozen or local) and stamp.size <= _LARGEST

    def _bring(self, name: str) -> None:
        data = self.shelf.read(name)
        if data is None:
            return  # it was pushed out since it was listed
        target = inside(self.folder.root, name)
        if target == self.folder.ledger:
            append_lines(target, missing_lines(whole_lines(data), ledger_lines(target)))
        elif not target.exists() or target.read_bytes() != data:
            write_durably(target, lambda stream: stream.write(data))


def inside(root: Path, name: str) -> Path:
    """The place of a file in a folder.

    Raises:
        IntegrityError: the name leads out of it.
    """
    target = root / name
    if not target.resolve().is_relative_to(root.resolve()):
        raise IntegrityError(f"{name} on the volume leads out of the run folder; remove it there")
    return target

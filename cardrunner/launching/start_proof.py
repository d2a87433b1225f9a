"""The proof that a launch has started: the first training batches are done, and every tracker has said where it is.

Only then is a launch reported as started. One that fails earlier shows the end of its log.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from cardrunner.card.load import LoadedCard
from cardrunner.common.redaction import hide
from cardrunner.contracts import Progress
from cardrunner.launching.finish import RunEnd
from cardrunner.runs.events import TrackerSaid, TrainingBegan
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.ledger import LedgerTail

TRACKER_SECONDS: Final = 5.0
"""How long a launch waits for trackers once training has begun."""
_LOG_LINES: Final = 40
_LOG_BYTES: Final = 1 << 16
_QUIET_CODES: Final = frozenset({0, 5, 8, 130, 143})
"""Exit codes that need no log: the run completed, or was ended on purpose."""


class StartProof:
    """Reads the ledger for the proof that a submission has started. Made before the submission.

    Args:
        folder: the run.
        loaded: its card.
    """

    def __init__(self, folder: RunFolder, loaded: LoadedCard) -> None:
        self.folder, self.loaded = folder, loaded
        self.since = _size(folder.ledger)
        self._log_from = _size(folder.log)
        self._ledger = LedgerTail(folder.ledger, self.since)
        self._missing = set(loaded.card.infra.tracking.wanted)
        self._trained_at: float | None = None

    def given(self) -> bool:
        """True once it trains and each tracker has reported its place, or `TRACKER_SECONDS` have passed."""
        trained = self.trained()
        return trained and (not self._missing or time.monotonic() - (self._trained_at or 0.0) > TRACKER_SECONDS)

    def trained(self) -> bool:
        """True once the first batches are trained."""
        for event in self._ledger.events():
            if isinstance(event, TrainingBegan):
                self._trained_at = self._trained_at or time.monotonic()
            if isinstance(event, TrackerSaid):
                self._missing.discard(event.name)
        return self._trained_at is not None

    def complain(self, progress: Progress) -> None:
        """Warn about the trackers that have not reported."""
        self.trained()
        for name in sorted(self._missing):
            progress.note(
                f"warning: {name} has not reported {TRACKER_SECONDS:g} s after the first batches; the run goes on "
                f"and history.jsonl has everything; look again with `cardrunner status {self.folder.name}`"
            )

    def with_log(self, ending: RunEnd) -> RunEnd:
        """The end of the run, with the last lines of the log if it failed before it trained."""
        if self.trained() or ending.exit_code in _QUIET_CODES:
            return ending
        return RunEnd(ending.folder, ending.status, ending.exit_code, ending.problem, self._log())

    def _log(self) -> str | None:
        try:
            with self.folder.log.open("rb") as stream:
                stream.seek(max(self._log_from, _size(self.folder.log) - _LOG_BYTES))
                lines = stream.read().decode(errors="replace").splitlines()
        except OSError:
            return None
        return hide("\n".join(lines[-_LOG_LINES:])) or None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0

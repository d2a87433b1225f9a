"""tensorboard: the run as TensorBoard event files in ``tensorboard/`` of the run folder, one file an attempt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tensorboardX import SummaryWriter

from cardrunner.common.clock import utc_seconds
from cardrunner.contracts import Tracked, TrackedRun
from cardrunner.errors import EnvironmentFailed
from cardrunner.runs.history import HistoryRow
from cardrunner.tracking.run_view import values_of

_FLUSH_SECONDS = 5


@dataclass
class TensorboardTracker:
    """Writes event files, which ``tensorboard --logdir`` shows while they grow."""

    _writer: Any = None
    _step: int = 0

    def open(self, facts: TrackedRun) -> Tracked:
        """Begin a new file beside those of earlier attempts.

        Raises:
            EnvironmentFailed: the folder cannot be written.
        """
        folder = facts.folder / "tensorboard"
        try:
            self._writer = SummaryWriter(str(folder), flush_secs=_FLUSH_SECONDS)
        except OSError as error:
            raise EnvironmentFailed(f"{folder}: {error.strerror or error}") from None
        self._text("card", json.dumps(facts.config, indent=2, ensure_ascii=False))
        return Tracked(facts.run, str(folder), "offline")

    def log(self, row: HistoryRow) -> None:
        """Write a scalar for each number, at the row's step and time."""
        self._step = row.step
        when = utc_seconds(row.clock.at)
        for name, value in values_of(row).items():
            self._writer.add_scalar(name, value, row.step, walltime=when)

    def alert(self, title: str, text: str) -> None:
        """Write the alert as a text entry."""
        self._text("alerts", f"{title}\n{text}")

    def close(self, summary: Mapping[str, Any]) -> None:
        """Write the summary and close the file."""
        self._text("summary", json.dumps(dict(summary), indent=2, ensure_ascii=False))
        self._writer.close()

    def _text(self, name: str, text: str) -> None:
        block = "\n".join(
            f"    {line}" for line in text.splitlines()
        )  # a code block of markdown, so that nothing is markup
        self._writer.add_text(name, block, self._step)

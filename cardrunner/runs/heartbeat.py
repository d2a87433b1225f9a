"""The heartbeat of a training: its progress, written in place about once a second, without waiting for the disk.

It is not part of the record: it is only shown while a run lives.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path

from pydantic import ValidationError

from cardrunner.common.clock import utc_now
from cardrunner.common.units import format_duration
from cardrunner.runs.files import read_regular
from cardrunner.runs.kept_folder import check_in_place
from cardrunner.runs.records import Record

_BYTES = 256
_EVERY_SECONDS = 1.0


class HeartbeatRecord(Record):
    """``pulse.json``."""

    at: str
    attempt: int
    epoch: int
    step: int
    examples: int
    """Trained on so far, in all attempts."""
    train_seconds: float
    """Spent training so far, in all attempts."""


class Heartbeat:
    """Writes the heartbeat of an attempt.

    Args:
        path: the file; None to write nothing.
        attempt: the number of the attempt that writes.
    """

    def __init__(self, path: Path | None, *, attempt: int) -> None:
        self._path, self._attempt, self._due = path, attempt, 0.0

    def restart(self) -> None:
        """Make the next beat due at once."""
        self._due = 0.0

    def beat(self, *, epoch: int, step: int, examples: int, train_seconds: float) -> None:
        """Write the position of the training, if a beat is due."""
        now = time.monotonic()
        if now < self._due or self._path is None:
            return
        self._due = now + _EVERY_SECONDS
        check_in_place(self._path)
        body = HeartbeatRecord.model_construct(
            at=utc_now(),
            attempt=self._attempt,
            epoch=epoch,
            step=step,
            examples=examples,
            train_seconds=round(train_seconds, 3),
        )
        with contextlib.suppress(OSError):  # a full disk must not end a run that still computes
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                os.pwrite(descriptor, body.model_dump_json().encode().ljust(_BYTES - 1) + b"\n", 0)
            finally:
                os.close(descriptor)


def read_heartbeat(path: Path) -> HeartbeatRecord | None:
    """The last beat; None if it is missing or incomplete."""
    try:
        return HeartbeatRecord.model_validate(json.loads(read_regular(path)))
    except (OSError, ValueError, ValidationError):
        return None


SILENCE_SECONDS = 300.0
"""Seconds of silence before a warning. Every step and every validation batch is a sign of life."""


def silence_warning(run: str, seconds: float) -> str | None:
    """The warning after a silence of some seconds; None if it is short."""
    if seconds < SILENCE_SECONDS:
        return None
    minutes = format_duration(seconds // 60 * 60)
    return f"no step for {minutes}; if it hangs, `cardrunner stop {run} --force` ends it at once"

"""A run that is asked to end at a chosen moment."""

from __future__ import annotations

from typing import Any

from cardrunner.runs.interrupts import StopRequest


class StopAfter(StopRequest):
    """Asks the run to end when it has been looked at so many times: after a step, or after a batch of a validation."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.left = looks

    @property
    def reason(self) -> Any:
        self.left -= 1
        if self.left < 0:
            self.request("terminated")
        return super().reason

"""``event: out_of_memory``: something that happens in a step rather than a metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from cardrunner.kill_rules.base import Rule, Validation, Verdict


class EventRule(Rule):
    """Fires when the training loop reports the event; validations never fire it."""

    event: Literal["out_of_memory"]
    """The event's name."""

    def describe(self) -> str:
        """For example ``out of memory``."""
        return self.event.replace("_", " ")

    def verdict(self, history: Sequence[Validation]) -> Verdict | None:  # noqa: ARG002
        """Validations say nothing about events."""
        return None

    def on_event(self, event: str, *, epoch: int, step: int) -> Verdict | None:
        """Judge an event of the training loop."""
        if event != self.event:
            return None
        return Verdict(
            rule=-1,
            action=self.action,
            condition=self.describe(),
            epoch=epoch,
            step=step,
            value=None,
            limit=None,
            message=f"{self.describe()} at step {step}",
        )

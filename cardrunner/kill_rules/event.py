"""``event``: something that happens in the training loop rather than a metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from cardrunner.kill_rules.base import Rule, Verdict
from cardrunner.kill_rules.history import Row, reached

Event = Literal["out_of_memory", "non_finite_loss", "non_finite_weights"]


class EventRule(Rule):
    """Fires when the training loop reports the event, each time; rows of the history do not fire it.

    A step that runs out of memory is split in two unless a rule ends the run. Non-finite weights end it in any case.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "event": "out_of_memory",
        "action": "restart",
        "set": {"training.batch_size": 512},
        "why": "half the batch needs less memory",
    }

    event: Event
    """out_of_memory: a step did not fit. non_finite_loss: the mean loss of a log point or a validation is not finite.
    non_finite_weights: a weight is not finite; checked whenever the loss is not."""

    def condition(self, limit: str = "") -> str:  # noqa: ARG002
        """For example ``out of memory``."""
        return self.event.replace("_", " ").replace("non finite", "non-finite")

    def on_event(self, event: str, at: Row) -> Verdict | None:
        """Judge an event of the training loop."""
        early = self.not_before is not None and not reached(at, self.not_before)
        if event != self.event or early or not self.in_scope(at):
            return None
        return Verdict(
            rule=-1,
            action=self.action,
            condition=self.describe(),
            kind="event",
            epoch=at.epoch,
            step=at.step,
            value=None,
            limit=None,
            message=f"{self.condition()} at step {at.step}",
        )

"""tensorboard: the settings of TensorBoard files, which `cardrunner.tracking.tensorboard_run` writes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cardrunner.card.trackers import TrackerSpec


class TensorboardSpec(TrackerSpec):
    """TensorBoard event files."""

    title = "TensorBoard"
    tracker = "cardrunner.tracking.tensorboard_run:TensorboardTracker"
    settings = bool
    needs = ("tensorboardX",)
    description = "Write TensorBoard event files into the run folder."

    @property
    def purpose(self) -> str:
        """What the package is needed for, as a verb phrase."""
        return "write TensorBoard files"

    def rows(self, settings: Any) -> Iterable[tuple[str, str]]:
        """The row of the review page."""
        del settings
        yield self.title, "event files in the run folder"

    def place(self, settings: Any) -> str:
        """Where the run can be watched, as a phrase."""
        del settings
        return "in TensorBoard files of the run folder"


SPEC = TensorboardSpec()

"""tensorboard: what a card says of TensorBoard files. `cardrunner.tracking.tensorboard_run` writes them."""

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
        """What its package is needed for."""
        return "write TensorBoard files"

    def rows(self, settings: Any) -> Iterable[tuple[str, str]]:
        """Where they are."""
        del settings
        yield self.title, "event files in the run folder"

    def place(self, settings: Any) -> str:
        """Where they are."""
        del settings
        return "in TensorBoard files of the run folder"


SPEC = TensorboardSpec()

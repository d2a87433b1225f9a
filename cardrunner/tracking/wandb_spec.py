"""wandb: the settings of a Weights & Biases run. Only `cardrunner.tracking.wandb_run` imports wandb."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cardrunner.card.schema.base import Line, Section
from cardrunner.card.trackers import TrackerSpec


class WandbTracking(Section):
    """A Weights & Biases project."""

    entity: Line | None = None
    """The team; by default that of the account that launches."""
    project: Line
    """The project."""
    tags: tuple[Line, ...] = ()
    """Labels of the run."""

    @property
    def path(self) -> str:
        """Team and project, as wandb writes them."""
        return "/".join(part for part in (self.entity, self.project) if part)


class WandbSpec(TrackerSpec):
    """Weights & Biases."""

    title = "wandb"
    tracker = "cardrunner.tracking.wandb_run:WandbTracker"
    settings = WandbTracking
    needs = ("wandb",)
    later = False

    def rows(self, settings: Any) -> Iterable[tuple[str, str]]:
        """The row of the review page: project and labels."""
        yield self.title, settings.path + (f", tags: {', '.join(settings.tags)}" if settings.tags else "")

    def place(self, settings: Any) -> str:
        """Where the run can be watched, as a phrase."""
        return f"by Weights & Biases in {settings.path}"

    def unchecked(self, settings: Any) -> Iterable[tuple[str, str]]:
        """What a plan cannot check: whether the server accepts the run."""
        del settings
        yield "whether Weights & Biases accepts the run", "a plan opens no connection"


SPEC = WandbSpec()

"""Where a run runs. Every executor starts the same worker on a run folder, by module name to avoid an import cycle."""

from __future__ import annotations

from typing import Final

WORKER: Final = "cardrunner.launching.worker"
SUPERVISOR: Final = "cardrunner.launching.supervisor"

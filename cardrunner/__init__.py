"""cardrunner: reviewed YAML run cards that launch, watch and report training runs.

What programs use of it; each name is imported when it is asked for, so that importing the package costs nothing::

    from cardrunner import LaunchOptions, NullProgress, launch_card, load_card, workload_spec

    card = load_card(Path("runcards/quickstart.yaml"), workload_spec).card
    ending = launch_card(Path("runcards/quickstart.yaml"), LaunchOptions(), progress=NullProgress())
"""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {
    "load_card": "cardrunner.card.load:load_card",
    "examine_card": "cardrunner.card.load:examine_card",
    "workload_spec": "cardrunner.registry:workload_spec",
    "plan_card": "cardrunner.plan:plan_card",
    "launch_card": "cardrunner.launching.launch:launch",
    "LaunchOptions": "cardrunner.launching.launch:LaunchOptions",
    "resume_run": "cardrunner.launching.launch:resume",
    "NullProgress": "cardrunner.tracking.progress:NullProgress",
    "RunFolder": "cardrunner.runs.folder:RunFolder",
    "derive_status": "cardrunner.runs.status:derive_status",
    "CardrunnerError": "cardrunner.errors:CardrunnerError",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _PUBLIC[name].partition(":")
    return getattr(importlib.import_module(module), attribute)

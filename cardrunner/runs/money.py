"""Price, budget and retries of the launched card, read without validating it."""

from __future__ import annotations

import json
from typing import Any

from cardrunner.runs.folder import RunFolder
from cardrunner.units import cost_of_seconds


def metered_cost(folder: RunFolder, seconds: float) -> float | None:
    """Dollars for `seconds` at the card's price. Without a price: 0 on a local machine, elsewhere None."""
    infra = _section(folder, "infra")
    price = infra.get("price")
    if price is None:
        return 0.0 if infra.get("platform") == "local" else None
    return cost_of_seconds(seconds, hourly=float(price), count=int(infra.get("gpus", 1)))


def spent_budget(folder: RunFolder, cost: float | None) -> float | None:
    """The budget in dollars, if the run has spent it; None otherwise, and for a card without a budget."""
    budget = _section(folder, "timing").get("budget")
    return None if budget is None or cost is None or not cost >= float(budget) else float(budget)


def has_retries(folder: RunFolder) -> bool:
    """Whether the card allows retries after a crash."""
    return bool(_section(folder, "infra").get("retries"))


def _section(folder: RunFolder, name: str) -> dict[str, Any]:
    try:
        return dict(json.loads(folder.card_json.read_bytes())[name])
    except (OSError, ValueError, KeyError, TypeError):
        return {}

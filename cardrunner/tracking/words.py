"""A run in a few words."""

from __future__ import annotations

from cardrunner.contracts import Snapshot
from cardrunner.units import format_dollars, format_duration


def described(snapshot: Snapshot) -> str:
    """A run in a line; what nobody knows is left out."""
    speed, left = snapshot.examples_per_second, snapshot.seconds_left
    share = f" ({snapshot.examples / snapshot.total:.0%})" if snapshot.total else ""
    parts = (
        f"epoch {snapshot.epoch}/{snapshot.epochs}, step {snapshot.step:,}{share}",
        snapshot.metrics,
        f"{speed:,.0f} examples/s" if speed else "",
        f"{format_duration(left)} left" if left is not None else "",
        money(snapshot),
        f"warning: {snapshot.warning}" if snapshot.warning else "",
    )
    return ", ".join(filter(None, parts))


def money(snapshot: Snapshot) -> str:
    """``$0.12 so far, $0.45 projected of $7.50``; empty where it costs nothing."""
    if not snapshot.spent and snapshot.budget is None:
        return ""
    parts = [f"{format_dollars(snapshot.spent or 0.0)} so far"]
    if snapshot.projected is not None:
        parts.append(f"{format_dollars(snapshot.projected)} projected")
    return ", ".join(parts) + (f" of {format_dollars(snapshot.budget)}" if snapshot.budget is not None else "")

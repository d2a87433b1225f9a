"""A run on a terminal: a bar and a few lines, redrawn below the lines that stay."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cardrunner.common.redaction import visible
from cardrunner.common.units import format_dollars, format_duration
from cardrunner.contracts import RunSnapshot


def described(snapshot: RunSnapshot) -> str:
    """A run as one line, without the unknown values."""
    speed, left = snapshot.examples_per_second, snapshot.seconds_left
    share = f" ({snapshot.examples / snapshot.total:.0%})" if snapshot.total else ""
    parts = (
        f"{_epochs(snapshot)}step {snapshot.step:,}{share}",
        snapshot.metrics,
        f"{speed:,.0f} examples/s" if speed else "",
        f"{format_duration(left)} left" if left is not None else "",
        money(snapshot),
        f"warning: {snapshot.warning}" if snapshot.warning else "",
    )
    return ", ".join(filter(None, parts))


def money(snapshot: RunSnapshot) -> str:
    """``$0.12 so far, $0.45 projected of $7.50``; empty for a run that costs nothing."""
    if not snapshot.spent and snapshot.budget is None:
        return ""
    parts = [f"{format_dollars(snapshot.spent or 0.0)} so far"]
    if snapshot.projected is not None:
        parts.append(f"{format_dollars(snapshot.projected)} projected")
    return ", ".join(parts) + (f" of {format_dollars(snapshot.budget)}" if snapshot.budget is not None else "")


_BAR_WIDTH = 24
_DRAW_SECONDS = 1.0


class RichBoard:
    """Redraws itself once a second.

    Args:
        console: the terminal.
    """

    def __init__(self, console: Console) -> None:
        self._due = 0.0
        self._live = Live(console=console, transient=True, auto_refresh=False)

    def show(self, snapshot: Callable[[], RunSnapshot]) -> None:
        """Redraw, if a second has passed."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + _DRAW_SECONDS
            self._live.update(drawn(snapshot()), refresh=True)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)


def drawn(snapshot: RunSnapshot) -> Group:
    """The lines: position, pace, metrics, cost, and the nearest kill thresholds."""
    lines: list[Table | Text] = [_bar(snapshot)]
    lines += [_line(label, text) for label, text in _rows(snapshot) if text]
    return Group(*lines)


def _bar(snapshot: RunSnapshot) -> Table:
    grid = Table.grid(padding=(0, 1))
    total, left = snapshot.total, snapshot.seconds_left
    share = f"{snapshot.examples / total:4.0%}" if total and snapshot.step else ""
    grid.add_row(
        Text(snapshot.run, style="bold"),
        Text(snapshot.stage, style="cyan"),
        ProgressBar(total=total or 1, completed=snapshot.examples if total else 0, width=_BAR_WIDTH),
        Text(share),
        Text(_epochs(snapshot).removesuffix(", ") if snapshot.step else ""),
        Text(f"{format_duration(left)} left" if left is not None else "", style="green"),
    )
    return grid


def _rows(snapshot: RunSnapshot) -> tuple[tuple[str, str], ...]:
    speed = snapshot.examples_per_second
    pace = f"step {snapshot.step:,}" if snapshot.step else ""
    if pace and speed:
        pace += f", {speed:,.0f} examples/s"
    return (
        ("warning", snapshot.warning or ""),
        ("pace", pace),
        ("metrics", snapshot.metrics),
        ("cost", money(snapshot)),
        *(("limits" if number == 0 else "", text) for number, text in enumerate(snapshot.thresholds)),
    )


def _line(label: str, text: str) -> Text:
    return Text.assemble((f"  {label:<9}", "dim"), visible(text), no_wrap=True, overflow="ellipsis")


def _epochs(snapshot: RunSnapshot) -> str:
    return "" if snapshot.epochs is None else f"epoch {snapshot.epoch}/{snapshot.epochs}, "

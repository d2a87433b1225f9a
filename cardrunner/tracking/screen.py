"""A run on a terminal: a bar and a few lines that change, below the lines that stay."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cardrunner.contracts import Snapshot
from cardrunner.tracking.words import money
from cardrunner.units import format_duration

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

    def show(self, snapshot: Callable[[], Snapshot]) -> None:
        """Draw it, if it is time again."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + _DRAW_SECONDS
            self._live.update(drawn(snapshot()), refresh=True)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)


def drawn(snapshot: Snapshot) -> Group:
    """The lines: where it is, how it goes, what it costs, what could end it."""
    lines: list[Table | Text] = [_bar(snapshot)]
    lines += [_line(label, text) for label, text in _rows(snapshot) if text]
    return Group(*lines)


def _bar(snapshot: Snapshot) -> Table:
    grid = Table.grid(padding=(0, 1))
    total, left = snapshot.total, snapshot.seconds_left
    share = f"{snapshot.examples / total:4.0%}" if total and snapshot.step else ""
    grid.add_row(
        Text(snapshot.run, style="bold"),
        Text(snapshot.stage, style="cyan"),
        ProgressBar(total=total or 1, completed=snapshot.examples if total else 0, width=_BAR_WIDTH),
        Text(share),
        Text(f"epoch {snapshot.epoch}/{snapshot.epochs}" if snapshot.step else ""),
        Text(f"{format_duration(left)} left" if left is not None else "", style="green"),
    )
    return grid


def _rows(snapshot: Snapshot) -> tuple[tuple[str, str], ...]:
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
    return Text.assemble((f"  {label:<9}", "dim"), text, no_wrap=True, overflow="ellipsis")

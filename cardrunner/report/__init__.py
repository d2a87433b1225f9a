"""Run folder → facts → results card: ``results.md`` and its plots, rendered only from what the run recorded."""

from __future__ import annotations

from cardrunner.report.render import render_report

__all__ = ["render_report"]

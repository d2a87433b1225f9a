"""No sign of life from training for long: it may hang, and people should hear of it."""

from __future__ import annotations

from cardrunner.units import format_duration

SILENCE_SECONDS = 300.0
"""How long nothing may be heard before it is worth a warning. Every step and every batch of a validation is a sign."""


def silence_warning(run: str, seconds: float) -> str | None:
    """What people are told after so long a silence; None where it is none."""
    if seconds < SILENCE_SECONDS:
        return None
    minutes = format_duration(seconds // 60 * 60)
    return f"no step for {minutes}; if it hangs, `cardrunner stop {run} --force` ends it at once"

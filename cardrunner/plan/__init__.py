"""What a launch would do, without doing any of it and without torch."""

from __future__ import annotations

from cardrunner.plan.build import Planned, executor_of, plan_card
from cardrunner.plan.platform import ask_platform
from cardrunner.plan.records import Plan
from cardrunner.plan.text import describe

__all__ = ["Plan", "Planned", "ask_platform", "describe", "executor_of", "plan_card"]

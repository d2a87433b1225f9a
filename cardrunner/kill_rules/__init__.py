"""Should the run go on? One file per rule; `cardrunner.kill_rules.table` is the table of them.

Rules are pure functions over the history (`RuleHistory`): the same rows always give the same verdicts.
"""

from cardrunner.kill_rules.base import Action, Observation, Rule, Verdict
from cardrunner.kill_rules.history import Baselines, Row, RuleHistory, View
from cardrunner.kill_rules.quantities import QUANTITIES
from cardrunner.kill_rules.table import KillRule, Moment, judge, judge_all, judge_event

__all__ = [
    "QUANTITIES",
    "Action",
    "Baselines",
    "KillRule",
    "Moment",
    "Observation",
    "Row",
    "Rule",
    "RuleHistory",
    "Verdict",
    "View",
    "judge",
    "judge_all",
    "judge_event",
]

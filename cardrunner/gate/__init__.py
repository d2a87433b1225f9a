"""May it run? Checklist and sign-off, bound to the card's digest."""

from __future__ import annotations

from cardrunner.gate.check_run import CheckResult, run_check
from cardrunner.gate.examine import examine_gate
from cardrunner.gate.findings import Approval, Finding, GateReport

__all__ = ["Approval", "CheckResult", "Finding", "GateReport", "examine_gate", "run_check"]

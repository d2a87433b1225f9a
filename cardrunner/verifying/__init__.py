"""Is a run folder what its run left? Checks of ledger, history, records, files and sign-off against each other."""

from cardrunner.verifying.check import Answer, Check
from cardrunner.verifying.evidence import Evidence
from cardrunner.verifying.table import CHECKS

__all__ = ["CHECKS", "Answer", "Check", "Evidence"]

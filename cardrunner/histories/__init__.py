"""Histories from anywhere as kill rules see them: a run, its ``history.jsonl``, a CSV, an export of wandb."""

from cardrunner.histories.read import FoundHistory, read_history
from cardrunner.histories.rehearse import Rehearsal, rehearse

__all__ = ["FoundHistory", "Rehearsal", "read_history", "rehearse"]

from __future__ import annotations

import errno

import pytest

from cardrunner import errors
from cardrunner.runs.outcome import outcome_of


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (errors.RunStopped("rule"), "stopped", 5),
        (errors.TimedOut("12h"), "timed_out", 5),
        (errors.RunPaused("look"), "investigate", 8),
        (errors.Interrupted("^C"), "interrupted", 130),
        (errors.Terminated("TERM"), "interrupted", 143),
        (KeyboardInterrupt(), "interrupted", 130),
        (errors.IntegrityError("bytes"), "failed", 4),
        (errors.EnvironmentFailed("disk"), "failed", 7),
        (errors.MissingExtra("torch", "train", "train"), "failed", 7),
        (errors.UsageError("card"), "failed", 2),
        (errors.GateClosed(["box"]), "failed", 3),
        (OSError(errno.ENOSPC, "No space left on device"), "failed", 7),
        (MemoryError(), "failed", 7),
        (ValueError("oops"), "failed", 1),
    ],
)
def test_every_end_has_its_state_and_exit_code(error: BaseException, state: str, code: int) -> None:
    outcome = outcome_of(error)
    assert (outcome.state, outcome.exit_code) == (state, code)
    assert outcome.reason


def test_a_bug_says_so() -> None:
    outcome = outcome_of(ValueError("oops"))
    assert outcome.bug
    assert outcome.reason == "a bug in cardrunner or the workload: ValueError: oops"

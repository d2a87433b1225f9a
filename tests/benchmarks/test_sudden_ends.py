"""A small part of what the benchmarks do at length."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

from benchmarks.launch_race import race
from benchmarks.runs_of_toys import write_card
from benchmarks.sudden_ends import CHANGES, KINDS, trial

CHOSEN = ("SIGTERM", "SIGINT twice", "SIGKILL worker")


def test_of_many_launches_of_one_name_at_once_exactly_one_runs(zygote: Any, tmp_path: Path) -> None:
    codes, wrong = race(zygote, tmp_path, launches=8, seed=1)
    assert wrong == []
    assert codes == {0: 1, 6: 7}


@pytest.fixture(scope="module")
def place(zygote: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that nobody touched."""
    root = tmp_path_factory.mktemp("struck")
    card = write_card(root / "plain", "plain", CHANGES)
    assert zygote.command("launch", card, "--quiet", cwd=root / "plain").wait() == 0
    return root


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name in CHOSEN], ids=lambda kind: kind.name)
def test_a_sudden_end_leaves_a_run_that_goes_on_as_if_nothing_had_been(zygote: Any, place: Path, kind: Any) -> None:
    (workspace := place / kind.name.replace(" ", "-")).mkdir()
    _, faults = trial(zygote, workspace, kind, delay=0.9, chance=Random(0))
    assert list(faults) == []

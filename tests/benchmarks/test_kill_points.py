"""A few of the points at which ``benchmarks.kill_points`` strikes 200 times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CODE = "import sys; from benchmarks.kill_points import main; sys.exit(main(['--points', '5', '--seed', '7']))"


def test_a_run_struck_anywhere_comes_to_the_same_verdicts_history_and_weights(zygote: Any) -> None:
    code, out, err = zygote.code(CODE, cwd=Path(__file__).parents[2]).finish()
    assert code == 0, err
    assert out.splitlines()[-1].endswith("attempts: 0 differences")

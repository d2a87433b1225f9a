"""The benchmark of judging judges what it says it judges."""

from __future__ import annotations

from pathlib import Path

from benchmarks.judging import _judging
from cardrunner.runs.ledger import Ledger
from tests.ledger_lines import recorded


def test_nothing_fires_on_the_rows_of_the_benchmark(tmp_path: Path) -> None:
    judged = _judging(tmp_path, 30)
    assert judged() is None
    assert recorded(Ledger(tmp_path / "ledger.jsonl")) == []

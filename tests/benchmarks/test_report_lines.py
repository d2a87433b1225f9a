"""A small run of the benchmark of metric readers."""

from __future__ import annotations

import pytest

from benchmarks import report_lines


def test_each_format_gives_all_of_its_rows(capsys: pytest.CaptureFixture[str]) -> None:
    report_lines.main(["--rows", "1000"])
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in printed] == [[name, "1,000"] for name in report_lines.FORMATS]

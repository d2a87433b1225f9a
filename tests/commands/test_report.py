from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cardrunner.main import main

MakeCard = Callable[..., Path]


def test_report_renders_the_page_again_and_prints_where_it_is(
    make_card: MakeCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    assert main(["launch", str(make_card()), "--runs", str(runs), "--quiet"]) == 0
    page = runs / "toy-run" / "results.md"
    first = page.read_bytes()
    page.unlink()
    capsys.readouterr()
    assert main(["report", "toy-run", "--runs", str(runs)]) == 0
    assert capsys.readouterr().out == f"{page}\n"
    assert page.read_bytes() == first


def test_report_of_a_run_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "nowhere", "--runs", str(tmp_path)]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_report_refuses_a_name_with_a_path_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "../elsewhere", "--runs", str(tmp_path)]) == 2
    assert "is not a run name" in capsys.readouterr().err

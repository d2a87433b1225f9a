from __future__ import annotations

from pathlib import Path

import pytest

from cardrunner.main import main

ROOT = Path(__file__).parents[2]
POLICY = str(ROOT / "runcards" / "policy-22k.yaml")


def test_the_page_goes_to_stdout_or_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", POLICY]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("# Run Card: policy-22k\n")
    assert main(["render", POLICY, "-o", str(tmp_path / "card.md")]) == 0
    assert capsys.readouterr().out == ""
    assert (tmp_path / "card.md").read_text(encoding="utf-8") == shown


def test_a_card_with_faults_is_not_rendered(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", str(ROOT / "tests" / "cards" / "invalid" / "typo-in-key.yaml")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "unknown key" in err


def test_a_page_that_cannot_be_written_is_an_environment_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", POLICY, "-o", str(tmp_path / "none" / "card.md")]) == 7
    assert "cannot write" in capsys.readouterr().err

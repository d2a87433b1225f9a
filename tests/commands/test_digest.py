from __future__ import annotations

from pathlib import Path

import pytest

from cardrunner.main import main

CARDS = Path(__file__).parents[1] / "cards"


def test_the_digest_stands_alone_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["digest", str(CARDS / "valid" / "policy-22k-short.yaml")]) == 0
    out, err = capsys.readouterr()
    assert len(out) == 65
    assert int(out, 16)
    assert err == ""


def test_a_card_with_faults_has_no_digest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["digest", str(CARDS / "invalid" / "typo-in-key.yaml")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "training.epochs: is missing" in err

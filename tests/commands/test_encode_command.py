from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from cardrunner.main import main


@pytest.fixture
def replay(tmp_path: Path) -> Path:
    """One short real replay."""
    pytest.importorskip("peppi_py", reason="peppi-py is not installed")
    folder = os.environ.get("CARDRUNNER_DATA")
    if not folder:
        pytest.skip("CARDRUNNER_DATA names no folder with real replays")
    return Path(shutil.copyfile(Path(folder) / "replays" / "1d97cccc.slp", tmp_path / "game.slp"))


def test_encode_says_what_it_wrote_and_what_it_skipped(replay: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (replay.parent / "broken.slp").write_text("not a replay")
    output = replay.parent / "games.pt"
    assert main(["encode", str(replay.parent), "-o", str(output)]) == 0
    out, err = capsys.readouterr()
    size = f"{output.stat().st_size:,}"
    assert out == f"{output}: 1 games, 827 frames, {size} bytes; 1 of 2 replays skipped\n"
    assert err.startswith(f"skipped {replay.parent / 'broken.slp'}: ")


def test_encode_refuses_an_existing_output_with_2(replay: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", str(replay), "-o", str(replay)]) == 2
    assert "exists already" in capsys.readouterr().err


def test_encode_of_nothing_is_7(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("peppi_py", reason="peppi-py is not installed")
    assert main(["encode", str(tmp_path / "absent"), "-o", str(tmp_path / "games.pt")]) == 7
    assert "there is no such file or folder" in capsys.readouterr().err


def test_encode_without_its_package_says_how_to_get_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peppi_py", None)
    assert main(["encode", str(tmp_path), "-o", str(tmp_path / "games.pt")]) == 7
    message = "peppi-py is not installed; to encode recordings: pip install 'cardrunner[melee]'\n"
    assert capsys.readouterr().err == message

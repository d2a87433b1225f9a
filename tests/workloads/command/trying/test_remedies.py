"""A script that died in a trial is told what to do about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cardrunner.runs.folder import RunFolder
from cardrunner.workloads.command.trying.place import TrialPlace
from cardrunner.workloads.command.trying.remedies import missing_data, remedy


@pytest.fixture
def place(tmp_path: Path) -> TrialPlace:
    team, copy = tmp_path / "team", tmp_path / "copy"
    for file in ("sub/train.py", "sub/helper.py", "sub/data/a.bin", "sub/data/deep/b.bin"):
        (team / file).parent.mkdir(parents=True, exist_ok=True)
        (team / file).write_text("x")
    (copy / "sub").mkdir(parents=True)
    (copy / "sub" / "train.py").write_text("x")
    return TrialPlace(tmp_path, RunFolder(copy, team), copy / "sub", team / "sub", "mark", ())


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("FileNotFoundError: [Errno 2] No such file or directory: 'data/a.bin'", "data/a.bin is in "),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'nowhere.bin'", "nowhere.bin is not there"),
        ("ModuleNotFoundError: No module named 'helper'", "is no tracked file: add it to git or to code.files"),
        ("ModuleNotFoundError: No module named 'einops.layers'", "has no package einops"),
        ("train.py: error: the following arguments are required: --data", "needs --data"),
        ("train.py: error: unrecognized arguments: --lrr 1", "does not know --lrr 1"),
        ("EOFError: EOF when reading a line", "it asks a person"),
        ("OSError: We couldn't connect to 'https://huggingface.co'", "from the network"),
        ("wandb: ERROR api_key not configured (no-tty)", "it wanted a login"),
        ("Segmentation fault", "run it by hand"),
    ],
)
def test_the_last_lines_tell_the_next_step(place: TrialPlace, line: str, said: str) -> None:
    assert said in remedy(["Traceback (most recent call last):", line], place)


def test_all_files_beside_a_missing_one_are_offered_as_data(place: TrialPlace) -> None:
    lines = ["FileNotFoundError: [Errno 2] No such file or directory: 'data/a.bin'"]
    assert missing_data(lines, place) == ("sub/data/a.bin", "sub/data/deep/b.bin")
    whole = [f"FileNotFoundError: [Errno 2] No such file or directory: '{place.code}/data'"]
    assert missing_data(whole, place) == ("sub/data/a.bin", "sub/data/deep/b.bin")


@pytest.mark.parametrize("name", ["nowhere.bin", "/etc/absent", "../../outside"])
def test_what_is_nowhere_is_offered_as_no_data(place: TrialPlace, name: str) -> None:
    assert missing_data([f"FileNotFoundError: [Errno 2] No such file or directory: '{name}'"], place) == ()

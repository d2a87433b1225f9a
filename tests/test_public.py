"""The names that programs import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import cardrunner


@pytest.mark.parametrize("name", cardrunner.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert callable(getattr(cardrunner, name))


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'lunch'"):
        _ = cardrunner.lunch


def test_importing_it_imports_nothing_more_of_it() -> None:
    code = "import sys, cardrunner; print([name for name in sys.modules if name.startswith('cardrunner')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['cardrunner']"


def test_a_card_is_launched_from_python(make_card: Any, tmp_path: Path) -> None:
    path = make_card({"training.epochs": 1})
    assert cardrunner.load_card(path, cardrunner.workload_spec).card.name == "toy-run"
    ending = cardrunner.launch_card(path, cardrunner.LaunchOptions(), progress=cardrunner.NullProgress())
    assert (ending.exit_code, ending.status.state) == (0, "completed")
    run = cardrunner.RunFolder.existing(tmp_path / "runs", "toy-run")
    assert cardrunner.derive_status(run).weights_sha256 == ending.status.weights_sha256

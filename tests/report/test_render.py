from __future__ import annotations

import hashlib
import importlib.util
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cardrunner import registry
from cardrunner.contracts import WorkloadSpec
from cardrunner.errors import IntegrityError, UsageError
from cardrunner.report import render_report
from cardrunner.runs.folder import RunFolder

Resolve = Callable[[str], WorkloadSpec]


def contents(folder: RunFolder) -> dict[str, str]:
    files = [folder.results, *sorted(folder.results_folder.glob("*"))]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_page_and_its_plots_are_written_and_written_again_alike(finished_run: RunFolder, resolve: Resolve) -> None:
    assert render_report(finished_run, resolve=resolve, stages=registry.stages_of) == finished_run.results
    first = contents(finished_run)
    assert set(first) == {"results.md", "loss.png", "metrics.png", "training.png"}
    render_report(finished_run, resolve=resolve, stages=registry.stages_of)
    assert contents(finished_run) == first


def test_every_image_of_the_page_is_there_and_wide_enough(finished_run: RunFolder, resolve: Resolve) -> None:
    text = render_report(finished_run, resolve=resolve, stages=registry.stages_of).read_text()
    images = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert len(images) == 3
    for image in images:
        data = (finished_run.root / image).read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        assert struct.unpack(">I", data[16:20]) == (1200,)


def test_a_run_of_one_epoch_has_plots_too(story: Any, resolve: Resolve) -> None:
    story.launched().attempt_started().loaded().epochs(1, 1).train_record(best_epoch=1, done=1)
    render_report(story.folder, resolve=resolve, stages=registry.stages_of)
    assert (story.folder.results_folder / "loss.png").exists()


def test_numbers_that_are_none_do_not_stop_the_page(story: Any, resolve: Resolve) -> None:
    story.launched().attempt_started().loaded().epochs(1, 2, score=lambda _epoch: (float("nan"),) * 6)
    story.train_record(best_epoch=None, done=2)
    text = render_report(story.folder, resolve=resolve, stages=registry.stages_of).read_text()
    assert "are not numbers (NaN or infinite)" in text
    assert "✓ met" not in text


def test_without_matplotlib_the_page_says_what_the_plots_need(
    finished_run: RunFolder, resolve: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "matplotlib" else found(name, *rest)
    )
    text = render_report(finished_run, resolve=resolve, stages=registry.stages_of).read_text()
    assert "The plots need matplotlib: `pip install 'cardrunner[train]'`" in text
    assert not finished_run.results_folder.exists()


def test_a_run_that_is_not_there_is_refused(tmp_path: Path, resolve: Resolve) -> None:
    with pytest.raises(UsageError, match="there is no run nowhere in "):
        render_report(RunFolder(tmp_path / "nowhere"), resolve=resolve, stages=registry.stages_of)


def test_without_its_card_a_run_has_no_page(finished_run: RunFolder, resolve: Resolve) -> None:
    finished_run.card_yaml.unlink()
    with pytest.raises(IntegrityError, match=r"card\.yaml cannot be read"):
        render_report(finished_run, resolve=resolve, stages=registry.stages_of)


def test_a_card_that_newer_checks_find_fault_with_still_has_its_page(finished_run: RunFolder, resolve: Resolve) -> None:
    text = finished_run.card_yaml.read_text()
    finished_run.card_yaml.write_text(text.replace("metric: val_error, below", "metric: val_forgotten, below"))
    page = render_report(finished_run, resolve=resolve, stages=registry.stages_of).read_text()
    assert "This version of cardrunner finds fault with the card: card.yaml:" in page
    assert "| `val_forgotten` | < 0.015 | – | not measured |" in page
    assert "| `val_right` |" in page


def test_a_card_that_is_none_any_more_is_refused(finished_run: RunFolder, resolve: Resolve) -> None:
    finished_run.card_yaml.write_text("card: [")
    with pytest.raises(IntegrityError, match="the frozen card is not a card"):
        render_report(finished_run, resolve=resolve, stages=registry.stages_of)

"""A card that was launched before a check was there is still read: what the check finds is a warning."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cardrunner import registry
from cardrunner.card.load import load_card_bytes
from cardrunner.main import main
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.frozen import load_frozen
from tests.forgeries.rewritten import as_older

MakeCard = Callable[..., Path]
PAUSES = {
    "targets": [{"metric": "val_accuracy", "above": 0.99}],
    "kill_thresholds": [{"metric": "val_loss/total", "above": 0, "action": "investigate", "why": "look at it"}],
}


@pytest.fixture
def launched(make_card: MakeCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run that paused, of a card that asks for a share above 99, as one could before shares had a range."""
    path = make_card(PAUSES)
    monkeypatch.chdir(tmp_path)
    assert main(["launch", str(path), "--quiet"]) == 8
    folder = RunFolder.of(tmp_path / "runs", "toy-run")
    older = folder.card_yaml.read_bytes().replace(b"0.99", b"99")
    folder.card_yaml.write_bytes(older)
    digest = load_card_bytes(older, file="", resolve=registry.workload_spec, admitted=True).digest
    folder.launch.write_text(json.dumps({**json.loads(folder.launch.read_text()), "card_digest": digest}))
    as_older(folder.root)
    (tmp_path / ".cardrunner" / "launched" / "toy-run.json").unlink()  # a version that kept no record
    return folder


def test_its_run_still_gives_status_report_and_resume(launched: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    (warning,) = load_frozen(launched, registry.workload_spec).warnings
    assert warning.message.startswith("is 99, but val_accuracy is a share")
    assert main(["status", "toy-run"]) == 0
    assert main(["report", "toy-run"]) == 0
    fault = "This version of cardrunner finds fault with the card: card.yaml:"
    assert fault in launched.results.read_text()
    assert main(["resume", "toy-run", "--quiet", "--acknowledge", "it is as it should be"]) == 0
    capsys.readouterr()
    assert main(["status", "toy-run"]) == 0
    assert "completed" in capsys.readouterr().out


def test_the_same_card_is_launched_no_more(launched: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    card = launched.root.parents[1] / "again.yaml"
    card.write_bytes(launched.card_yaml.read_bytes())
    assert main(["launch", str(card), "--run-name", "again"]) == 2
    assert "targets[0].above: is 99, but val_accuracy is a share" in capsys.readouterr().err

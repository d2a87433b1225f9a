"""``cardrunner rules test``: what it prints, and how it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cardrunner.main import main

MakeCard = Callable[..., Path]
RULES = [
    {"metric": "val_loss", "not_decreasing_for": "1 epoch", "min_delta": 0.5, "action": "stop"},
    {"metric": "val_accuracy", "below": "95%", "after": "2 epochs", "action": "investigate"},
    {"metric": "val_loss", "above": 0.1, "action": "warn"},
    {"metric": "wall_time", "above": "1h", "action": "stop"},
    {"event": "out_of_memory", "action": "restart", "set": {"training.batch_size": 16}},
]


@pytest.fixture
def card(make_card: MakeCard, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = make_card({"kill_thresholds": RULES})
    monkeypatch.chdir(path.parents[1])
    return path


@pytest.fixture
def history(card: Path) -> Path:
    path = card.parents[1] / "history.csv"
    path.write_text("epoch,step,val_loss,val_accuracy\n1,8,0.9,0.7\n2,16,0.3,0.8\n3,24,0.2,0.9\n4,32,0.05,0.99\n")
    return path


def test_it_says_what_would_have_fired_and_how_close_the_others_came(
    card: Path, history: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rules", "test", str(card), "--history", str(history)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{history}: 4 rows, 4 of them validations, up to step 32",
        "epoch 1: warn: rule 3, val_loss > 0.1: val_loss is 0.9 after epoch 1",
        "epoch 2: investigate: rule 2, val_accuracy < 0.95 after epoch 2: val_accuracy is 0.8 after epoch 2; "
        "the run would have ended here",
        "epoch 3: stop: rule 1, val_loss not decreasing by 0.5 for 1 epoch: val_loss is 0.2 after epoch 3; "
        "the best before was 0.3; the last epoch was trained",
        "never: stop: rule 4, wall_time > 1h: this history has no rows for it",
        "never: restart: rule 5, out of memory: this history has no rows for it",
    ]


def test_values_that_a_metric_cannot_have_are_named_once_and_no_rule_on_it_is_judged(
    card: Path, history: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history.write_text("epoch,step,val_loss,val_accuracy\n1,8,0.9,70\n2,16,0.3,80\n3,24,0.2,0.9\n4,32,0.05,99\n")
    assert main(["rules", "test", str(card), "--history", str(history)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == (
        'note: column "val_accuracy" has 70, but val_metric/accuracy is a share, from 0% to 100%; '
        "no rule on it is judged"
    )
    assert sum("is a share" in line for line in lines) == 1
    condition = "rule 2, val_accuracy < 0.95 after epoch 2"
    assert f"not judged: investigate: {condition}: this history has values that the metric cannot have" in lines
    assert "never: stop: rule 4, wall_time > 1h: this history has no rows for it" in lines
    assert main(["rules", "test", str(card), "--history", str(history), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [rule["judged"] for rule in found["rules"]] == [True, False, True, True, True]
    assert {verdict["rule"] for verdict in found["verdicts"]} == {0, 2}


def test_a_value_that_is_no_number_is_judged_as_such(
    card: Path, history: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history.write_text("epoch,step,val_accuracy\n1,8,0.7\n2,16,nan\n3,24,inf\n")
    assert main(["rules", "test", str(card), "--history", str(history)]) == 0
    out = capsys.readouterr().out
    assert "epoch 2: investigate: rule 2" in out
    assert "not judged" not in out


def test_it_says_so_to_scripts_too(card: Path, history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history.write_text(history.read_text() + "5,40,nan,0.99\n")
    assert main(["rules", "test", str(card), "--history", str(history), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["validations"], found["ended_by"], found["notes"]) == (5, 5, 1, [])
    verdicts = [(one["rule"], one["action"], one["epoch"], one["step"], one["ends"]) for one in found["verdicts"]]
    assert verdicts == [
        (2, "warn", 1, 8, False), (1, "investigate", 2, 16, True), (0, "stop", 3, 24, False), (2, "warn", 5, 40, False),
    ]  # fmt: skip
    assert found["verdicts"][-1]["value"] == "NaN"
    assert [(rule["fired"], rule["looked_at"]) for rule in found["rules"]] == [(1, 5), (1, 4), (2, 5), (0, 0), (0, 0)]
    assert found["rules"][1]["closest"] == {"value": 0.8, "limit": 0.95, "epoch": 2, "step": 16}


def test_a_run_is_named_or_its_folder_given(card: Path, toy_run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run = toy_run(name="old").train()
    for name in ("old", str(run.folder.root), str(run.folder.history)):
        assert main(["rules", "test", str(card), "--history", name, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["rows"], found["validations"]) == (11, 3)
        assert found["rules"][3]["looked_at"] == 11


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--history", "nobody"], "no run nobody in"),
        (["--history", "gone.csv"], "gone.csv is not a file with a history"),
        (["--history", "history.csv", "--column", "val_loss"], "--column val_loss: write METRIC=COLUMN"),
        (["--history", "history.csv", "--column", "val_loss=x"], 'history.csv: there is no column "x"'),
    ],
)
def test_what_cannot_be_used_ends_with_2(
    card: Path, history: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert main(["rules", "test", str(card), *arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_a_card_with_faults_ends_with_2(card: Path, history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card.write_text(card.read_text().replace("95%", "many"))
    assert main(["rules", "test", str(card), "--history", str(history)]) == 2
    assert "kill_thresholds[1].below: must be a number" in capsys.readouterr().err

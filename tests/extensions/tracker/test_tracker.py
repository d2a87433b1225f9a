"""A tracker of another package: shown before the launch, told every row once, and named when it fails."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import CompletedProcess

import pytest

HERE = Path(__file__).parent
ASKED = {"infra.tracking": {"csv": {"file": "rows.csv", "digits": 9}}}
Command = Callable[..., CompletedProcess[str]]


@pytest.fixture
def env(installed: Callable[..., dict[str, str]]) -> dict[str, str]:
    return installed(HERE)


@pytest.fixture
def card(tmp_path: Path, make_card: Callable[..., Path]) -> str:
    path = make_card(ASKED)
    return str(path.relative_to(tmp_path))


def broken(tmp_path: Path, module: str, old: str, new: str) -> None:
    """Change the installed package."""
    path = tmp_path / "site" / module
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_it_is_shown_before_the_launch(cardrunner: Command, env: Mapping[str, str], card: str) -> None:
    assert cardrunner("validate", card, env=env).returncode == 0
    assert "| CSV | file rows.csv, digits 9 |" in cardrunner("render", card, env=env).stdout
    plan = cardrunner("plan", card, env=env).stdout
    assert "tracked in rows.csv of the run folder" in plan
    assert "- whether rows.csv can be written: the run folder does not exist yet" in " ".join(plan.split())


def test_it_is_told_each_row_once_and_named_in_the_results_card(
    cold_cardrunner: Command, env: Mapping[str, str], card: str, tmp_path: Path
) -> None:
    done = cold_cardrunner("launch", card, env=env)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "runs" / "toy-run"
    with (run / "rows.csv").open() as file:
        told = [(kind, int(step), name) for kind, step, name, _ in csv.reader(file)]
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert told == [(row["kind"], row["step"], name) for row in history for name in row["metrics"]]
    tracking = (run / "results.md").read_text().partition("## Tracking")[2].partition("\n## ")[0]
    assert "| csv | offline |" in tracking
    assert "tracked to the end" in tracking


def test_a_mistake_in_its_settings_is_a_fault_of_the_card_with_a_guess(
    cardrunner: Command, env: Mapping[str, str], tmp_path: Path, make_card: Callable[..., Path]
) -> None:
    path = make_card({"infra.tracking": {"csv": {"fil": "rows.csv"}}})
    said = cardrunner("validate", str(path), env=env)
    assert said.returncode == 2
    assert 'infra.tracking.csv.fil: unknown key; did you mean "file"?' in said.stdout


def test_a_name_that_is_nearly_its_own_is_a_fault_with_a_guess(
    cardrunner: Command, env: Mapping[str, str], make_card: Callable[..., Path]
) -> None:
    said = cardrunner("validate", str(make_card({"infra.tracking": {"csvv": {}}})), env=env)
    assert said.returncode == 2
    assert 'infra.tracking.csvv: unknown key; did you mean "csv"?' in said.stdout


def test_a_spec_that_cannot_be_imported_is_named_and_other_cards_go_on(
    cardrunner: Command, env: Mapping[str, str], card: str, tmp_path: Path, make_card: Callable[..., Path]
) -> None:
    broken(tmp_path, "csv_tracker_spec.py", "from __future__ import annotations", "import no_such_thing")
    said = cardrunner("validate", card, env=env)
    assert said.returncode == 7
    assert "the tracker csv of csv-tracker 1.2 cannot be imported" in said.stderr
    assert "csv_tracker_spec.py:3" in said.stderr
    assert cardrunner("validate", str(make_card({})), env=env).returncode == 0
    assert cardrunner("schema", env=env).returncode == 0


@pytest.mark.parametrize(
    ("module", "old", "new", "sentence"),
    [
        (
            "csv_tracker.py",
            "import csv\n",
            "import csv\nimport no_such_thing\n",
            "cannot be imported: Module",
        ),
        ("csv_tracker.py", "class CsvTracker", "class Other", "has no attribute 'CsvTracker'"),
        ("csv_tracker.py", "def close", "def shut", "lacks close (ends it)"),
        ("csv_tracker_spec.py", '("csv",)', '("csv", "no_such_thing")', "needs no_such_thing; install it"),
    ],
)
def test_a_tracker_that_cannot_track_stops_the_launch(
    cardrunner: Command, env: Mapping[str, str], card: str, tmp_path: Path, module: str, old: str, new: str,
    sentence: str,
) -> None:  # fmt: skip
    broken(tmp_path, module, old, new)
    said = cardrunner("launch", card, env=env)
    assert said.returncode == 7
    assert "the tracker csv of csv-tracker 1.2" in said.stderr
    assert sentence in said.stderr
    assert not (tmp_path / "runs").exists()


def test_one_that_fails_on_the_way_is_named_in_the_results_card(
    cardrunner: Command, env: Mapping[str, str], card: str, tmp_path: Path
) -> None:
    broken(tmp_path, "csv_tracker.py", "for name, value", "for name, value, more")
    assert cardrunner("launch", card, env=env).returncode == 0
    page = (tmp_path / "runs" / "toy-run" / "results.md").read_text()
    assert "the tracker csv of csv-tracker 1.2 failed at" in page.replace("\\_", "_")
    assert "csv_tracker.py:" in page.replace("\\_", "_")


def test_the_schema_for_editors_has_it(cardrunner: Command, env: Mapping[str, str]) -> None:
    assert '"CsvSettings"' in cardrunner("schema", env=env).stdout

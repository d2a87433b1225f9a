"""Workloads of another package that fail: each is named as what it is, and everything else goes on."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SOURCE = (HERE / "acme_broken.py").read_text().splitlines()
CARD = """\
card: 1
name: broken
created: 2026-12-01
goal: Find out what is said.
workload: breaks
data: {source: synthetic, split: {train: 50%, by: example}}
model: {architecture: Linear}
training:
  {epochs: 1, batch_size: 2, learning_rate: 0.01, device: cpu, select: {metric: val_loss/total, mode: min}}
infra: {platform: local, executor: inline}
timing: {calibration: [1], epoch: 1s}
targets: [{metric: val_loss/total, below: 1000}]
after_training: {demo: {world_model: none, p0: a, p1: b, max_frames: 1}}
sign_off: {policy: boxes, reviewers: [{id: mattie, signed: true}]}
"""
UNUSABLE = {
    "absent": "cannot be imported: ModuleNotFoundError: No module named 'acme_absent'; install the package that has the"
    " module acme_absent",
    "misspelled": "cannot be made: KeyError: 'no such table' at {at}",
    "unfinished": ": acme_broken:Unfinished lacks loss, tensors; see CONTRIBUTING.md for what it needs",
    "nowhere": ": {file} has no attribute 'Nowhere', named by acme_broken:Nowhere",
    "halved": ": acme_broken:Halved lacks workload (module:object of the half that trains); see CONTRIBUTING.md for"
    " what it needs",
    "renamed": ": acme_broken:Renamed is called 'renamd'; give both the same name",
}
Installed = Callable[..., dict[str, str]]
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def env(installed: Installed, toy_card_text: Callable[..., str], tmp_path: Path) -> dict[str, str]:
    """The environment with all of them installed, and in the workspace a card of `Breaks` and one of the toy."""
    (tmp_path / "runcards").mkdir()
    (tmp_path / "runcards" / "broken.yaml").write_text(CARD)
    (tmp_path / "runcards" / "good.yaml").write_text(toy_card_text())
    return installed(HERE)


def place_of(line: str, tmp_path: Path) -> str:
    """A line of the source, where it is installed."""
    return f"{tmp_path / 'site' / 'acme_broken.py'}:{SOURCE.index(line) + 1}"


def named(name: str, tmp_path: Path) -> str:
    """What is said of a workload that cannot be used."""
    at = place_of('        raise KeyError("no such table")', tmp_path)
    said = UNUSABLE[name].format(at=at, file=at.partition(":")[0])
    return f"the workload {name} of acme-broken 1.2{'' if said.startswith(':') else ' '}{said}"


def failed(place: str, tmp_path: Path) -> str:
    """What is said of one that raises at a place."""
    where = place_of('        raise ValueError(f"no {place} today")', tmp_path)
    return f"the workload breaks of acme-broken 1.2 failed at {where}: ValueError: no {place} today"


@pytest.mark.parametrize("name", UNUSABLE)
def test_one_that_cannot_be_used_is_a_fault_of_its_card(
    name: str, env: Mapping[str, str], cardrunner: Command, tmp_path: Path
) -> None:
    card = tmp_path / "runcards" / "broken.yaml"
    card.write_text(CARD.replace("workload: breaks", f"workload: {name}"))
    found = cardrunner("validate", "runcards/broken.yaml", "runcards/good.yaml", env=env)
    assert (found.returncode, found.stderr) == (2, "2 cards, 1 fault, 0 warnings\n")
    assert found.stdout == f"runcards/broken.yaml:5:11: workload: {named(name, tmp_path)}\n"
    launched = cardrunner("launch", "runcards/broken.yaml", env=env)
    assert (launched.returncode, launched.stderr) == (2, found.stdout)


@pytest.mark.parametrize("place", ["check", "derive", "examples"])
def test_one_that_raises_while_its_card_is_read_is_a_fault_of_its_card(
    place: str, env: Mapping[str, str], cardrunner: Command, tmp_path: Path
) -> None:
    found = cardrunner("validate", "runcards/broken.yaml", "runcards/good.yaml", env={**env, "ACME_BREAKS": place})
    assert (found.returncode, found.stderr) == (2, "2 cards, 1 fault, 0 warnings\n")
    assert found.stdout == f"runcards/broken.yaml:5:11: workload: {failed(place, tmp_path)}\n"


def test_one_that_raises_while_its_page_is_made_is_named(
    env: Mapping[str, str], cardrunner: Command, tmp_path: Path
) -> None:
    found = cardrunner("render", "runcards/broken.yaml", env={**env, "ACME_BREAKS": "describe"})
    assert (found.returncode, found.stderr) == (7, f"{failed('describe', tmp_path)}\n")


@pytest.mark.parametrize("place", ["open_data", "build_model", "objective", "loss", "demo"])
def test_one_that_raises_in_a_run_is_named(
    place: str, env: Mapping[str, str], cardrunner: Command, tmp_path: Path
) -> None:
    ran = cardrunner("launch", "runcards/broken.yaml", env={**env, "ACME_BREAKS": place})
    assert ran.returncode == 7, ran.stderr
    assert failed(place, tmp_path) in ran.stderr
    assert "bug in cardrunner" not in ran.stderr


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (
            "lengths",
            "the workload breaks: tensors gave (16, 1), (8, 1); it has to give what the model takes and what it is to"
            " answer, of as many examples each",
        ),
        ("scalar", "the workload breaks: loss gave (2, 1); it has to give a scalar, the mean over the batch"),
    ],
)
def test_one_that_gives_what_cannot_be_trained_is_told_what_to_give(
    place: str, said: str, env: Mapping[str, str], cardrunner: Command
) -> None:
    ran = cardrunner("launch", "runcards/broken.yaml", env={**env, "ACME_BREAKS": place})
    assert ran.returncode == 7, ran.stderr
    assert said in ran.stderr


def test_a_missing_package_is_said_before_the_launch(
    env: Mapping[str, str], cardrunner: Command, tmp_path: Path
) -> None:
    card = tmp_path / "runcards" / "broken.yaml"
    card.write_text(CARD.replace("workload: breaks", "workload: needy"))
    said = "acme-missing-package is not installed; to run the workload needy: pip install acme-missing-package"
    launched = cardrunner("launch", "runcards/broken.yaml", env=env)
    assert (launched.returncode, launched.stderr) == (7, f"{said}\n")
    assert not (tmp_path / "runs").exists()
    plan = cardrunner("plan", "runcards/broken.yaml", env=env).stdout
    assert f"a launch would refuse: {said}" in " ".join(plan.split())


def test_the_list_says_what_is_wrong_with_each(
    env: Mapping[str, str], cold_cardrunner: Command, tmp_path: Path
) -> None:
    listed = cold_cardrunner("workloads", "--json", env=env)
    assert (listed.returncode, listed.stderr) == (0, "")
    faults = {row["name"]: row["fault"] for row in json.loads(listed.stdout) if row["package"] == "acme-broken"}
    said = "acme-missing-package is not installed; to run the workload needy: pip install acme-missing-package"
    assert faults == {"breaks": None, "needy": said, **{name: named(name, tmp_path) for name in UNUSABLE}}


def test_the_schema_and_new_cards_leave_them_out(env: Mapping[str, str], cardrunner: Command, tmp_path: Path) -> None:
    made = cardrunner("schema", env=env)
    assert made.returncode == 0
    assert json.loads(made.stdout)["properties"]["workload"]["enum"][-2:] == ["breaks", "needy"]
    left_out = [f"warning: left out of the schema: {named(name, tmp_path)}" for name in sorted(UNUSABLE)]
    assert made.stderr.splitlines() == left_out
    one = cardrunner("schema", "--workload", "absent", env=env)
    assert (one.returncode, one.stderr) == (7, f"{named('absent', tmp_path)}\n")
    started = cardrunner("new", "fresh", "--workload", "toy", env=env)
    assert started.returncode == 0
    assert (tmp_path / "runcards" / "fresh.yaml").exists()
    assert (tmp_path / "runcards" / "card.schema.json").read_text() == made.stdout

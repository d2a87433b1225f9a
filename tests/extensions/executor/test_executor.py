"""An executor of another package: read, reviewed, planned, launched, stopped and retried as those of cardrunner are."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cardrunner.runs.events import Retried, Submitted
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.ledger import Ledger
from tests.conftest import Zygote
from tests.executors.contract import CHECK_EXECUTOR

Installed = Callable[..., dict[str, str]]
Command = Callable[..., subprocess.CompletedProcess[str]]
MakeCard = Callable[..., Path]
HERE = Path(__file__).parent
NICE: dict[str, Any] = {"infra": {"platform": "nice", "niceness": 5}}


@pytest.fixture
def nice(installed: Installed) -> dict[str, str]:
    return installed(HERE)


@pytest.fixture
def run_folder(tmp_path: Path) -> RunFolder:
    return RunFolder.of(tmp_path / "runs", "toy-run")


def started(folder: RunFolder) -> list[str]:
    return [event.executor for event in Ledger(folder.ledger).events(Submitted)]


def test_its_section_is_read_and_its_faults_are_named(
    nice: dict[str, str], cardrunner: Command, make_card: MakeCard
) -> None:
    good = make_card(NICE)
    assert cardrunner("validate", str(good), env=nice).returncode == 0
    bad = make_card({"infra": {"platform": "nice", "niceness": 20, "nicenes": 5}}, name="bad")
    found = cardrunner("validate", str(bad), env=nice)
    assert found.returncode == 2
    assert "infra.niceness: must be at most 19" in found.stdout + found.stderr
    assert 'infra.nicenes: unknown key; did you mean "niceness"?' in found.stdout + found.stderr
    many = make_card({"infra": {"platform": "nice", "gpus": 2}}, name="many")
    assert "infra.gpus: is for platforms with more than one" in cardrunner("validate", str(many), env=nice).stdout


def test_an_unknown_platform_is_told_of_it_and_without_the_package_it_is_unknown(
    nice: dict[str, str], cardrunner: Command, make_card: MakeCard
) -> None:
    card = make_card({"infra.platform": "nicer"})
    found = cardrunner("validate", str(card), env=nice)
    assert "infra.platform: must be local, modal or nice" in found.stdout + found.stderr
    found = cardrunner("validate", str(make_card(NICE)), env={**nice, "PYTHONPATH": ""})
    assert "infra.platform: must be local or modal" in found.stdout + found.stderr


def test_reviewers_editors_and_plans_see_it(nice: dict[str, str], cardrunner: Command, make_card: MakeCard) -> None:
    card = str(make_card(NICE))
    page = cardrunner("render", card, env=nice).stdout
    assert "this machine, at niceness 5" in page
    assert "Niceness" in page
    plan = cardrunner("plan", card, env=nice).stdout
    assert "how often the worker gets a processor: it gives way to whatever else runs then" in " ".join(plan.split())
    schema = json.loads(cardrunner("schema", "--workload", "toy", env=nice).stdout)
    shown = schema["$defs"]["NiceInfra"]["properties"]["niceness"]
    assert (shown["maximum"], shown["description"]) == (19, "How far the worker gives way; 19 is the furthest.")


def test_a_launched_run_is_stopped_and_resumed_on_it(
    nice: dict[str, str], cardrunner: Command, make_card: MakeCard, run_folder: RunFolder
) -> None:
    card = make_card(NICE | {"training.toy.step_ms": 60, "training.epochs": 5})
    launched = cardrunner("launch", str(card), "--detach", env=nice)
    assert launched.returncode == 0, launched.stderr
    worker = json.loads(run_folder.lease.read_text())["pid"]
    assert int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[16]) == min(19, os.nice(0) + 5)
    assert cardrunner("stop", "toy-run", env=nice).returncode == 0
    status = json.loads(cardrunner("status", "toy-run", "--json", env=nice).stdout)
    assert status["state"] == "stopped"
    resumed = cardrunner("resume", "toy-run", env=nice)
    assert resumed.returncode == 0, resumed.stderr
    assert "completed" in cardrunner("status", "toy-run", env=nice).stdout
    assert started(run_folder) == ["nice", "nice"]
    assert json.loads(run_folder.launch.read_text())["executor"] == "nice"


def test_a_crashed_worker_is_started_again_on_it(
    nice: dict[str, str], cold_cardrunner: Command, make_card: MakeCard, run_folder: RunFolder
) -> None:
    card = make_card(NICE | {"infra.retries": 2, "training.toy.exit_at": 5})
    launched = cold_cardrunner("launch", str(card), env=nice)
    assert launched.returncode == 0, launched.stderr
    assert [event.retry for event in Ledger(run_folder.ledger).events(Retried)] == [1]
    assert started(run_folder) == ["nice", "nice"]
    assert "nice" in run_folder.results.read_text()


def test_another_executor_than_those_of_its_platform_is_refused(
    nice: dict[str, str], cardrunner: Command, make_card: MakeCard
) -> None:
    card = str(make_card(NICE))
    local = cardrunner("launch", card, "--executor", "local", env=nice)
    assert (local.returncode, "the card's platform is nice, not local" in local.stderr) == (2, True)
    unknown = cardrunner("launch", card, "--executor", "nise", env=nice)
    assert (unknown.returncode, "unknown executor 'nise'; did you mean \"nice\"?" in unknown.stderr) == (2, True)


def test_it_keeps_the_contract_of_every_executor(nice: dict[str, str], zygote: Zygote, tmp_path: Path) -> None:
    words = ("nice", tmp_path, json.dumps({"infra": {"platform": "nice"}}))
    code, out, err = zygote.code(CHECK_EXECUTOR, *words, cwd=tmp_path, environment=nice).finish()
    assert (code, out) == (0, "kept\n"), err


BREAKS = {
    "when it is imported": ("SPEC = NicePlatform()", "SPEC = NicePlatform(wrong=1)", "validate", "cannot be imported"),
    "in a method": ("return [(", "raise RuntimeError('no rows')\n        return [(", "render", "RuntimeError: no rows"),
    "without an attribute": (
        "SPEC = NicePlatform()",
        "SPEC = object()",
        "validate",
        "lacks name (the platform's name)",
    ),
    "under another name": ('name = "nice"', 'name = "nicer"', "validate", "is called 'nicer'"),
}


@pytest.mark.parametrize("how", BREAKS)
def test_a_broken_one_is_named_and_other_cards_go_on(
    how: str, installed: Installed, cardrunner: Command, make_card: MakeCard, tmp_path: Path
) -> None:
    old, new, command, said = BREAKS[how]
    env = installed(broken(tmp_path, old, new))
    found = cardrunner(command, str(make_card(NICE)), env=env)
    assert found.returncode == 7, found.stdout + found.stderr
    assert "the executor nice of acme-nice 0.3" in found.stderr
    assert said in found.stderr
    assert how in ("without an attribute", "under another name") or "acme_nice.py:" in found.stderr
    assert "bug in cardrunner" not in found.stderr
    other = str(make_card(name="other"))
    assert cardrunner("validate", other, env=env).returncode == 0
    assert cardrunner("launch", other, env=env).returncode == 0
    assert cardrunner("schema", env=env).returncode == 0


def test_one_that_cannot_start_a_worker_ends_the_run_with_its_name(
    installed: Installed, cardrunner: Command, make_card: MakeCard, tmp_path: Path
) -> None:
    env = installed(broken(tmp_path, "assert isinstance", "raise OSError('no nice here')\n        assert isinstance"))
    found = cardrunner("launch", str(make_card(NICE)), env=env)
    assert found.returncode == 7, found.stderr
    assert "the executor nice of acme-nice 0.3" in found.stderr
    assert "OSError: no nice here" in found.stderr
    assert "acme_nice.py:" in found.stderr


def broken(tmp_path: Path, old: str, new: str) -> Path:
    """The same package with another line."""
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "pyproject.toml").write_bytes((HERE / "pyproject.toml").read_bytes())
    text = (HERE / "acme_nice.py").read_text()
    assert old in text
    (folder / "acme_nice.py").write_text(text.replace(old, new, 1))
    return folder

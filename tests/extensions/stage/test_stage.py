"""Stages of another package: asked for by a card, run in their place, repeated by `finish`, named when they fail."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import CompletedProcess

import pytest

HERE = Path(__file__).parent
ASKED = {"extra_stages": ["archive", "audit"], "training.epochs": 1}
Command = Callable[..., CompletedProcess[str]]
MakeCard = Callable[..., Path]


@pytest.fixture
def env(installed: Callable[..., dict[str, str]]) -> dict[str, str]:
    return installed(HERE)


def broken(tmp_path: Path, old: str, new: str) -> int:
    """Change the installed package; the line of the change."""
    path = tmp_path / "site" / "acme_archive.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


def delivery(run: Path) -> str:
    return (run / "results.md").read_text().partition("## Download and demo")[2].partition("\n## ")[0]


def test_reviewers_see_the_stages_and_where_they_come_from(
    cardrunner: Command, env: Mapping[str, str], make_card: MakeCard
) -> None:
    card = make_card(ASKED)
    done = cardrunner("validate", str(card), env=env)
    assert done.returncode == 0, done.stderr
    assert "- Plug-in stage: `archive`" in cardrunner("render", str(card), env=env).stdout
    plan = cardrunner("plan", str(card), env=env).stdout
    assert "load → audit → train → checkpoint → download → demo → archive → report" in " ".join(plan.split())
    assert "archive is a stage of acme-archive 1.3" in plan
    stages = json.loads(cardrunner("plan", "--json", str(card), env=env).stdout)["stages"]
    assert {stage["name"]: stage["package"] for stage in stages if stage["package"]} == {
        "audit": "acme-archive 1.3",
        "archive": "acme-archive 1.3",
    }


def test_a_wrong_name_is_a_fault_of_the_card_with_a_guess(
    cardrunner: Command, env: Mapping[str, str], make_card: MakeCard
) -> None:
    card = make_card({"extra_stages": ["archiv", "audit", "audit"]})
    done = cardrunner("validate", str(card), env=env)
    assert done.returncode == 2
    told = done.stdout + done.stderr
    assert re.search(r'toy-run\.yaml:\d+:5: extra_stages\[0\]: unknown stage "archiv"; did you mean "archive"\?', told)
    assert "extra_stages[2]: audit is listed twice" in told
    plain = make_card({"extra_stages": ["download"]}, name="plain")
    assert 'unknown stage "download"; there are archive, audit' in str(cardrunner("validate", str(plain), env=env))


def test_it_runs_stands_in_the_results_card_and_is_repeated_when_its_file_is_gone(
    cardrunner: Command, env: Mapping[str, str], make_card: MakeCard, tmp_path: Path
) -> None:
    done = cardrunner("launch", str(make_card(ASKED)), env=env)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "runs" / "toy-run"
    with tarfile.open(run / "archive.tar") as tar:
        packed = tar.getnames()
    assert packed == [
        "best.pt",
        *(f"stages/{name}.json" for name in ("audit", "checkpoint", "download", "load", "train")),
    ]
    assert "| packed files | 6 |" in delivery(run)
    assert "| `archive.tar` |" in delivery(run)
    assert "| Stage audit |" in delivery(run)
    assert "stages/archive.json" in (run / "results.md").read_text().partition("## How this page was made")[2]
    (run / "archive.tar").unlink()
    assert cardrunner("report", "toy-run", env=env).returncode == 0
    assert "cardrunner finish toy-run` makes it again" in delivery(run).replace("\\", "")
    assert cardrunner("finish", "toy-run", env=env).returncode == 0
    with tarfile.open(run / "archive.tar") as tar:
        assert packed == [name for name in tar.getnames() if name != "stages/archive.json"]
    assert "makes it again" not in delivery(run)


def test_one_that_raises_is_named_and_the_results_card_says_so(
    cardrunner: Command, cold_cardrunner: Command, env: Mapping[str, str], make_card: MakeCard, tmp_path: Path
) -> None:
    line = broken(tmp_path, 'with tarfile.open(path, "w") as tar:', 'with tarfile.open(path / "x", "w") as tar:')
    done = cold_cardrunner("launch", str(make_card(ASKED)), env=env)
    run, place = tmp_path / "runs" / "toy-run", tmp_path / "site" / "acme_archive.py"
    told = f"the stage archive of acme-archive 1.3 failed: FileNotFoundError: .* at {re.escape(str(place))}:{line}"
    assert done.returncode == 7
    assert re.search(told, done.stderr)
    assert "a bug in cardrunner" not in done.stderr
    assert "Not recorded: the archive stage ended before it left a record." in delivery(run)
    events = (run / "results.md").read_text().replace("\\", "").partition("\n## Events")[2]
    assert "the archive stage ended with: the stage archive of acme-archive 1.3 failed" in events
    broken(tmp_path, 'path / "x"', "path")
    assert cardrunner("finish", "toy-run", env=env).returncode == 0
    assert (run / "archive.tar").exists()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("import tarfile", "import no_such_module", "install the package that has the module no_such_module"),
        ("class Archive(BaseStage)", "class Archive", "lacks after (cardrunner.stages.base.BaseStage has it)"),
        ('name = "archive"', 'name = "packer"', "is called 'packer'; give both the same name"),
        ('side = "launcher"', 'side = "moon"', 'has the side \'moon\'; write "worker" or "launcher"'),
        ('after = "load"', 'after = "demo"', "which is not a stage of its side; there are load, train, checkpoint"),
    ],
)
def test_one_that_cannot_be_used_is_named_before_anything_is_trained(
    cardrunner: Command, env: Mapping[str, str], make_card: MakeCard, tmp_path: Path, old: str, new: str, told: str
) -> None:
    broken(tmp_path, old, new)
    done = cardrunner("launch", str(make_card(ASKED)), env=env)
    assert done.returncode == 7
    assert told in done.stderr
    assert "acme-archive 1.3" in done.stderr
    assert not (tmp_path / "runs" / "toy-run").exists()


def test_a_run_whose_package_is_gone_still_has_a_status_and_a_results_card(
    cardrunner: Command, env: Mapping[str, str], make_card: MakeCard, tmp_path: Path
) -> None:
    assert cardrunner("launch", str(make_card(ASKED)), env=env).returncode == 0
    without = {name: value for name, value in env.items() if name != "PYTHONPATH"}
    assert cardrunner("status", "toy-run", env=without).returncode == 0
    assert cardrunner("report", "toy-run", env=without).returncode == 0
    page = delivery(tmp_path / "runs" / "toy-run")
    assert "The archive stage is not known here: no installed package adds the stage archive" in page
    done = cardrunner("finish", "toy-run", env=without)
    assert done.returncode == 7
    assert "no installed package adds the stage archive; install the one that does" in done.stderr

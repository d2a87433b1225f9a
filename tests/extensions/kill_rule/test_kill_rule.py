"""A kill rule of another package: read, reviewed, judged and reported as those of cardrunner are."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Zygote

Installed = Callable[..., dict[str, str]]
Command = Callable[..., subprocess.CompletedProcess[str]]
MakeCard = Callable[..., Path]
HERE = Path(__file__).parent
CONDITION = "val_loss/total rises by more than 0.01"
RISING: dict[str, Any] = {
    "training.learning_rate": 3,
    "training.gradient_clip": None,
    "training.epochs": 12,
    "kill_thresholds": [{"metric": "val_loss/total", "rises_by": 0.01, "action": "stop", "why": "it has to fall"}],
}
NOT_INSTALLED = "no kill rule of cardrunner has the key rises_by, and no installed package provides it"


@pytest.fixture
def installed_as(installed: Installed, tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """Installs the same package with another text of its module."""

    def install(text: str) -> dict[str, str]:
        folder = tmp_path / "package"
        folder.mkdir()
        (folder / "pyproject.toml").write_bytes((HERE / "pyproject.toml").read_bytes())
        (folder / "acme_rules.py").write_text(text)
        return installed(folder)

    return install


def test_it_keeps_the_contract_of_every_kill_rule(installed: Installed, zygote: Zygote, tmp_path: Path) -> None:
    code = """if True:
        from cardrunner.kill_rules.table import rule_class
        from tests.conftest import load_toy
        from tests.kill_rules.contract import check_kind
        check_kind(rule_class({"rises_by": 1}), load_toy)
        print("kept")
    """
    assert zygote.code(code, cwd=tmp_path, environment=installed(HERE)).finish() == (0, "kept\n", "")


LEVELS = """if True:
    import sys
    from pathlib import Path
    from cardrunner import registry
    from cardrunner.report.curves import figures
    from cardrunner.report.recorded import read_run
    from cardrunner.runs.folder import RunFolder
    run = read_run(RunFolder.of(Path(sys.argv[1]), "toy-run"), registry.workload_spec, registry.stages_of)
    levels = [level for figure in figures(run) for panel in figure.panels for level in panel.levels]
    print([level.value for level in levels if level.kind == "limit"] == [run.moments[-1].seen[0].limit])
"""


def test_a_run_is_stopped_by_it_and_says_so(
    installed: Installed, cardrunner: Command, make_card: MakeCard, zygote: Zygote, tmp_path: Path
) -> None:
    env, card = installed(HERE), str(make_card(RISING))
    assert cardrunner("validate", card, env=env).stderr == "1 card, 0 faults, 0 warnings\n"
    assert f"| {CONDITION} | Stop: it has to fall |" in cardrunner("render", card, env=env).stdout
    launched = cardrunner("launch", card, "--quiet", env=env)
    assert launched.returncode == 5, launched.stderr
    assert f"stopped by the kill threshold {CONDITION}: val_loss/total is" in launched.stderr
    results = (tmp_path / "runs" / "toy-run" / "results.md").read_text().splitlines()
    (row,) = [line for line in results if line.startswith(f"| 1 | {CONDITION} | stop |")]
    assert "**yes, epoch " in row
    levels = zygote.code(LEVELS, tmp_path / "runs", cwd=tmp_path, environment=env)
    assert levels.finish() == (0, "True\n", "")

    bare = {**env, "PYTHONPATH": ""}
    assert cardrunner("status", "toy-run", env=bare).returncode == 0
    for words in (("report", "toy-run"), ("resume", "toy-run", "--acknowledge", "go on")):
        refused = cardrunner(*words, env=bare)
        assert (refused.returncode, refused.stderr.count("\n")) == (7, 1), refused.stderr
        assert NOT_INSTALLED in refused.stderr


def test_its_direction_and_its_number_are_checked(
    installed: Installed, cardrunner: Command, make_card: MakeCard
) -> None:
    card = make_card({"kill_thresholds": [{"metric": "val_accuracy", "rises_by": 99, "action": "stop"}]})
    said = cardrunner("validate", str(card), env=installed(HERE)).stdout
    assert "kill_thresholds[0].rises_by: val_accuracy should rise; watch a metric that should fall" in said
    assert "kill_thresholds[0].rises_by: is a difference of 99, but val_accuracy is a share" in said


def test_a_misspelled_key_is_guessed(installed: Installed, cardrunner: Command, make_card: MakeCard) -> None:
    card = make_card({"kill_thresholds": [{"metric": "val_loss/total", "rise_by": 1, "action": "stop"}]})
    assert 'kill_thresholds[0].rise_by: unknown key; did you mean "rises_by"?' in (
        cardrunner("validate", str(card), env=installed(HERE)).stdout
    )


def test_the_schema_describes_it(installed: Installed, cardrunner: Command) -> None:
    schema = json.loads(cardrunner("schema", "--workload", "toy", env=installed(HERE)).stdout)
    assert schema["$defs"]["RisesBy"]["properties"]["rises_by"]["examples"] == [0.1]


def test_a_card_with_it_is_refused_where_no_package_provides_it(
    cardrunner: Command, make_card: MakeCard, installed: Installed
) -> None:
    ended = cardrunner("validate", str(make_card(RISING)), env={**installed(), "PYTHONPATH": ""})
    assert ended.returncode == 2
    assert (
        "kill_thresholds[0].rises_by: no kill rule of cardrunner has this key, and no installed package provides it"
        in ended.stdout
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("import no_such_module\n", "cannot be imported: ModuleNotFoundError: No module named 'no_such_module' at "),
        ("class RisesBy: ...\n", "acme_rules:RisesBy is not a subclass of cardrunner.kill_rules.Rule"),
        ("from cardrunner.kill_rules import Rule\nclass RisesBy(Rule): ...\n", "acme_rules:RisesBy lacks example"),
    ],
)
def test_one_that_cannot_be_used_is_named_and_hurts_no_other_card(
    installed_as: Callable[[str], dict[str, str]], cardrunner: Command, make_card: MakeCard, text: str, sentence: str
) -> None:
    env = installed_as(text)
    broken, other = str(make_card(RISING)), str(make_card({"targets": []}, name="other"))
    ended = cardrunner("validate", broken, other, env=env)
    assert ended.returncode == 7
    assert "the kill rule rises_by of acme-rules 1.2" in ended.stderr
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "targets: is missing" in ended.stdout
    assert cardrunner("validate", other, env=env).returncode == 2
    assert cardrunner("schema", "--workload", "toy", env=env).returncode == 0
    assert cardrunner("new", "fresh.yaml", "--workload", "toy", env=env).returncode == 0


def test_one_that_fails_at_a_row_ends_the_run_with_its_place(
    installed_as: Callable[[str], dict[str, str]], cold_cardrunner: Command, make_card: MakeCard
) -> None:
    text = (HERE / "acme_rules.py").read_text().replace("limit = before + self.rises_by", "limit = before / 0")
    line = next(number for number, code in enumerate(text.splitlines(), 1) if "before / 0" in code)
    ended = cold_cardrunner("launch", str(make_card(RISING)), "--quiet", env=installed_as(text))
    assert ended.returncode == 7, ended.stderr
    assert "the kill rule rises_by of acme-rules 1.2 failed at" in ended.stderr
    assert f"acme_rules.py:{line}: ZeroDivisionError" in ended.stderr

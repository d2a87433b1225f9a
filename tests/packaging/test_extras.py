"""Each extra can be installed alone, and what it is for works with it.

Most are not downloaded again: this environment lends them what they require, and pip looks whether anything is missing.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.packaging.conftest import Environment, MakeEnvironment

pytestmark = pytest.mark.extras

ROOT = Path(__file__).parents[2]
LOADS = {
    "train": "registry.workload('toy')",
    "melee": "registry.workload('melee-policy'), registry.tool('encode')",
    "modal": "registry.executor('modal')",
    "wandb": "registry.tracker('wandb')",
    "tensorboard": "registry.tracker('tensorboard')",
}
"""What each extra is for, as an expression that imports it."""


def requirements() -> dict[str, list[str]]:
    """The names that each extra requires; those of the base under an empty name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    return {extra: [Requirement(line).name for line in lines] for extra, lines in groups.items()}


def test_every_extra_for_users_is_tried() -> None:
    assert LOADS.keys() == requirements().keys() - {"", "all", "test"}


def of_users(extra: str) -> list[str]:
    """What an extra requires, with what it takes from other extras."""
    names = requirements()[extra]
    return [name for name in names if name != "cardrunner"] + (requirements()["train"] if "cardrunner" in names else [])


@pytest.mark.parametrize("extra", LOADS)
def test_an_extra_brings_what_it_is_for_out_of_what_it_requires(
    extra: str, make_environment: MakeEnvironment, tmp_path: Path
) -> None:
    downloaded = ("tensorboardX",)
    lent = [name for name in [*requirements()[""], *of_users(extra)] if name not in downloaded]
    works(make_environment(extra, lent=lent), extra, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("extra", LOADS)
def test_an_extra_installs_on_its_own_from_the_registry(
    extra: str, make_environment: MakeEnvironment, tmp_path: Path
) -> None:
    torch = ["torch"] if extra in ("train", "melee") else []
    works(make_environment(extra, lent=[*requirements()[""], *torch]), extra, tmp_path)


def works(alone: Environment, extra: str, tmp_path: Path) -> None:
    """Check that what an extra is for can be imported."""
    loaded = alone.run("python", "-c", f"from cardrunner import registry; {LOADS[extra]}", cwd=tmp_path)
    assert (loaded.returncode, loaded.stderr) == (0, "")


def test_a_card_trains_with_the_extra_for_it_alone(
    make_environment: MakeEnvironment, toy_card_text: Callable[[], str], tmp_path: Path
) -> None:
    alone = make_environment("train", lent=[*requirements()[""], *requirements()["train"]])
    (tmp_path / "toy-run.yaml").write_text(toy_card_text())
    launched = alone.run("cardrunner", "launch", "toy-run.yaml", cwd=tmp_path)
    assert launched.returncode == 0, launched.stdout + launched.stderr
    assert (tmp_path / "runs" / "toy-run" / "results.md").exists()

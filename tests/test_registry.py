"""The table of implementations: everything in it exists, and what is absent is said in one line."""

from __future__ import annotations

import sys

import pytest

from cardrunner import registry
from cardrunner.errors import MissingExtra, UsageError


@pytest.mark.parametrize("name", sorted(registry.WORKLOADS))
def test_both_halves_of_a_workload_resolve_and_agree(name: str) -> None:
    spec = registry.workload_spec(name)
    assert spec.name == name
    assert registry.workload(name).spec is spec


@pytest.mark.parametrize("name", sorted(registry.WORKLOADS))
def test_metric_names_and_aliases_of_a_workload_are_its_own(name: str) -> None:
    metrics = registry.workload_spec(name).metrics
    names = [known for metric in metrics for known in (f"val_{metric.name}", *metric.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("row", registry.STAGES, ids=lambda row: row.name)
def test_a_stage_is_what_its_row_says(row: registry.StageEntry) -> None:
    stage = registry.stage(row.name)
    assert (stage.name, stage.side) == (row.name, row.side)


def test_the_built_in_stages_stand_in_their_order() -> None:
    assert registry.stage_names("worker") == ("load", "train", "checkpoint")
    assert registry.stage_names("launcher") == ("download", "demo")


@pytest.mark.parametrize("name", sorted(registry.EXECUTORS))
def test_an_executor_is_what_its_row_says(name: str) -> None:
    assert registry.executor(name).name == name


def test_an_unknown_workload_is_guessed() -> None:
    with pytest.raises(UsageError, match="unknown workload 'melee-polcy'; did you mean \"melee-policy\""):
        registry.workload_spec("melee-polcy")


@pytest.mark.parametrize(
    ("package", "line"),
    [
        ("torch", "torch is not installed; to run the workload toy: pip install 'cardrunner[train]'"),
        ("numpy", "numpy is not installed; to run the workload toy: pip install 'cardrunner[train]'"),
    ],
)
def test_a_missing_package_is_one_line_that_says_what_to_install(
    package: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra) as caught:
        registry.check_installed("toy")
    assert str(caught.value) == line
    assert caught.value.exit_code == 7


def test_a_workload_of_another_package_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        name = "elsewhere"

        def load(self) -> object:
            return registry.WORKLOADS["toy"]

    monkeypatch.setattr(registry, "_others", lambda: (Point(),))
    assert "elsewhere" in registry.workload_names()
    assert registry.workload_spec("elsewhere").name == "toy"

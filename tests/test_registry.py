"""The table of implementations: everything in it exists, and what is absent is said in one line."""

from __future__ import annotations

import sys

import pytest

from cardrunner import registry
from cardrunner.errors import MissingExtra, UsageError
from cardrunner.platforms import executor_names


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


@pytest.mark.parametrize("name", sorted(registry.STAGES))
def test_a_stage_is_what_its_row_says(name: str) -> None:
    stage = registry.stage(name)
    assert stage.name == name
    assert stage.side in ("worker", "launcher")


@pytest.mark.parametrize("name", sorted(executor_names()))
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

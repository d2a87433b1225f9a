"""The table of implementations: everything in it exists, and what is absent is said in one line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cardrunner import plugins, registry
from cardrunner.card.platforms import executor_names
from cardrunner.errors import EnvironmentFailed, MissingExtra, UsageError
from cardrunner.plugins import find_plugin
from cardrunner.workloads.plugged import _made, plugged_workload


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


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """An installed package whose workload ``elsewhere`` is what the code given to it calls ``Elsewhere``."""
    monkeypatch.syspath_prepend(str(tmp_path))
    info = tmp_path / "acme_elsewhere-2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-elsewhere\nVersion: 2\n")
    (info / "entry_points.txt").write_text("[cardrunner.workloads]\nelsewhere = acme_elsewhere:Elsewhere\n")
    find_plugin.cache_clear()
    yield lambda code: void((tmp_path / "acme_elsewhere.py").write_text(code))
    find_plugin.cache_clear()
    plugged_workload.cache_clear()
    _made.cache_clear()
    plugins._LOADED.pop("acme_elsewhere", None)
    sys.modules.pop("acme_elsewhere", None)


def void(_: object) -> None: ...


HALVES = """
from cardrunner.workloads import simple

class Spec(simple.Spec):
    name = "elsewhere"

class Training(simple.Training):
    def tensors(self, card, files): ...
    def build_model(self, card): ...
    def loss(self, card, outputs, batch): ...

SPEC, WORKLOAD = Spec(), Training()
WORKLOAD.spec = SPEC
"""


def test_a_workload_of_another_package_may_name_its_halves(elsewhere: Callable[[str], None]) -> None:
    elsewhere(HALVES + "class Elsewhere:\n    spec, workload = 'acme_elsewhere:SPEC', 'acme_elsewhere:WORKLOAD'\n")
    assert registry.workload_names()[-1] == "elsewhere"
    assert registry.workload_spec("elsewhere").name == "elsewhere"
    assert registry.workload("elsewhere").spec is registry.workload_spec("elsewhere")


def test_or_be_one_class(elsewhere: Callable[[str], None]) -> None:
    elsewhere(HALVES + "class Elsewhere(Training, simple.SimpleWorkload):\n    name, needs = 'elsewhere', ('torch',)\n")
    assert registry.workload("elsewhere").spec is registry.workload_spec("elsewhere")


@pytest.mark.parametrize(
    ("needs", "said"),
    [
        ("('acme-nothing',)", "acme-nothing is not installed; to run the workload elsewhere: pip install acme-nothing"),
        ("'torch'", "the workload elsewhere of acme-elsewhere 2: its needs are 'torch'; write what pip installs, such"),
    ],
)
def test_what_it_needs_is_looked_for_without_importing_it(
    needs: str, said: str, elsewhere: Callable[[str], None]
) -> None:
    elsewhere(HALVES + f"class Elsewhere(Training, simple.SimpleWorkload):\n    name, needs = 'elsewhere', {needs}\n")
    with pytest.raises(EnvironmentFailed, match=said):
        registry.check_installed("elsewhere")


def test_its_name_is_guessed_too(elsewhere: Callable[[str], None]) -> None:
    elsewhere("")
    with pytest.raises(UsageError, match="unknown workload 'elswhere'; did you mean \"elsewhere\""):
        registry.workload_spec("elswhere")


def test_the_rows_name_package_version_and_what_is_wrong(elsewhere: Callable[[str], None]) -> None:
    elsewhere("import acme_nothing")
    *own, other = registry.workload_rows()
    assert [(row.name, row.package, row.fault) for row in own] == [(n, "cardrunner", None) for n in registry.WORKLOADS]
    assert (other.name, other.package, other.version, other.spec) == ("elsewhere", "acme-elsewhere", "2", None)
    assert str(other.fault).startswith("the workload elsewhere of acme-elsewhere 2 cannot be imported: ModuleNotFound")

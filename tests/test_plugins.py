"""Plug-ins of other packages: found by name, and named as theirs when they fail."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cardrunner import plugins
from cardrunner.errors import PluginFailed, UsageError
from cardrunner.plugins import Plugin, blamed, blamed_plugin, find_plugin


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package ``acme``: a folder of modules, and the metadata that names its entry points."""
    monkeypatch.syspath_prepend(str(tmp_path))
    info = tmp_path / "acme_rules-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-rules\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[cardrunner.kill_rules]\nrises_by = acme_plugin.rises:Rises\n")
    (tmp_path / "acme_plugin").mkdir()
    (tmp_path / "acme_plugin" / "__init__.py").touch()
    find_plugin.cache_clear()
    yield tmp_path
    find_plugin.cache_clear()
    for name in [name for name in sys.modules if name.startswith("acme_plugin")]:
        del sys.modules[name]
    plugins._LOADED.pop("acme_plugin", None)


def write(acme: Path, text: str) -> Plugin:
    (acme / "acme_plugin" / "rises.py").write_text(text)
    found = find_plugin("kill rule", "rises_by")
    assert found is not None
    return found


def test_a_plugin_is_found_by_its_entry_point_and_loaded(acme: Path) -> None:
    found = write(acme, "class Rises: ...\n")
    assert str(found) == "the kill rule rises_by of acme-rules 1.2"
    assert found.load().__name__ == "Rises"
    assert find_plugin("kill rule", "falls_by") is None


def test_an_import_that_fails_names_package_version_and_line(acme: Path) -> None:
    found = write(acme, "\n\nimport no_such_module\n")
    with pytest.raises(PluginFailed) as caught:
        found.load()
    place = acme / "acme_plugin" / "rises.py"
    assert str(caught.value) == (
        "the kill rule rises_by of acme-rules 1.2 cannot be imported: ModuleNotFoundError: No module named "
        f"'no_such_module' at {place}:3; install the package that has the module no_such_module"
    )
    assert caught.value.exit_code == 7


def test_a_syntax_error_names_the_line(acme: Path) -> None:
    found = write(acme, "class Rises:\n    def\n")
    with pytest.raises(PluginFailed, match=r"cannot be imported: SyntaxError: .* at .*rises\.py:2$"):
        found.load()


def test_an_object_that_is_absent_is_named(acme: Path) -> None:
    found = write(acme, "class Falls: ...\n")
    with pytest.raises(PluginFailed, match=r"rises\.py has no attribute 'Rises', named by acme_plugin\.rises:Rises"):
        found.load()


def test_missing_attributes_are_named_together(acme: Path) -> None:
    found = write(acme, "class Rises: ...\n")
    with pytest.raises(PluginFailed, match=r"lacks verdict \(its answer\), page_row \(its row\)"):
        found.check(found.load(), {"verdict": "its answer", "page_row": "its row"})


def test_what_a_plugin_raises_later_is_told_as_its_own(acme: Path) -> None:
    found = write(acme, "class Rises:\n    def verdict(self):\n        return {}['x']\n")
    with pytest.raises(KeyError) as caught:
        found.load()().verdict()
    place = acme / "acme_plugin" / "rises.py"
    assert blamed_plugin(caught.value) == f"the kill rule rises_by of acme-rules 1.2 failed at {place}:3: KeyError: 'x'"
    assert blamed_plugin(ValueError("of ours")) is None


def test_errors_of_cardrunner_pass_through(acme: Path) -> None:
    found = write(acme, "class Rises: ...\n")
    with pytest.raises(UsageError, match="yours"), blamed(found, "cannot be used"):
        raise UsageError("yours")


def test_two_packages_with_one_name_are_refused(acme: Path) -> None:
    other = acme / "other_rules-3.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: other-rules\nVersion: 3\n")
    (other / "entry_points.txt").write_text("[cardrunner.kill_rules]\nrises_by = elsewhere:Rises\n")
    with pytest.raises(PluginFailed, match=r"comes from .*acme-rules 1\.2.*; uninstall all but one"):
        find_plugin("kill rule", "rises_by")

"""The module that a script uses in its own environment."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import cardrunner
from cardrunner.workloads.command.reports.script_lines import ScriptLines, stop_request
from tests.workloads.command.reports.helpers import all_of, triples

MODULE = Path(cardrunner.__file__).parent / "workloads" / "command" / "script" / "cardrunner_script.py"


def script(source: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script whose only way to a module of ours is the folder of this one."""
    kept = {name: value for name, value in os.environ.items() if name not in ("RANK", "CARDRUNNER_METRICS")}
    return subprocess.run(
        [sys.executable, "-S", "-c", textwrap.dedent(source)],
        env={**kept, "PYTHONPATH": str(MODULE.parent), **environment},
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.fixture
def metrics(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def test_its_folder_gives_a_script_nothing_else_to_import() -> None:
    assert [path.name for path in MODULE.parent.glob("*.py")] == [MODULE.name]
    loaded = script(
        "import sys, cardrunner_script; print([m for m in sys.modules if 'pydantic' in m or m == 'cardrunner'])"
    )
    assert loaded.stdout.strip() == "[]"


def test_it_does_nothing_outside_a_run(tmp_path: Path) -> None:
    source = "import cardrunner_script as c; c.report(step=1, loss=1); c.fact('n', 1); print(c.should_stop())"
    done = script(source)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_what_it_reports_is_read(metrics: Path) -> None:
    script(
        """
        import cardrunner_script as cardrunner
        class Tensor:
            def item(self): return 0.25
        cardrunner.report(step=1, epoch=0.5, loss=0.5, **{"val/loss": Tensor()})
        cardrunner.report(step=2, loss=float("nan"), text="0.125", odd=[1, 2])
        cardrunner.report(epoch=3, acc="1")
        cardrunner.fact("parameters", 108_224)
        """,
        CARDRUNNER_METRICS=str(metrics),
    )
    source = ScriptLines(metrics, wanted=frozenset({"odd"}))
    assert [each for each in triples(all_of(source)) if each[1] != "epoch"] == [
        (1, "loss", 0.5), (1, "val/loss", 0.25), (2, "loss", "nan"), (2, "text", 0.125), (3, "acc", 1.0),
    ]  # fmt: skip
    assert source.facts == {"parameters": 108_224}
    assert source.garbage.count == 1


def test_many_values_are_several_lines_of_less_than_a_page(metrics: Path) -> None:
    script(
        "import cardrunner_script as c; c.report(step=1, **{f'name{n}': n / 7 for n in range(500)})",
        CARDRUNNER_METRICS=str(metrics),
    )
    assert max(map(len, metrics.read_bytes().splitlines())) < 4096
    assert len(triples(all_of(ScriptLines(metrics)))) == 500


def test_processes_that_write_at_once_tear_no_line(metrics: Path) -> None:
    source = (
        "import cardrunner_script as c\n"
        "for n in range(300): c.report(step=n, a='x' * 90, **{f'v{k}': n for k in range(99)})"
    )
    kept = {**os.environ, "PYTHONPATH": str(MODULE.parent), "CARDRUNNER_METRICS": str(metrics)}
    running = [subprocess.Popen([sys.executable, "-S", "-c", source], env=kept) for _ in range(3)]
    assert [each.wait() for each in running] == [0, 0, 0]
    assert sum(len(json.loads(line)["values"]) for line in metrics.read_bytes().splitlines()) == 3 * 300 * 100


def test_only_the_first_process_of_a_group_writes(metrics: Path) -> None:
    for rank in ("0", "1"):
        script("import cardrunner_script as c; c.report(step=1, loss=1)", CARDRUNNER_METRICS=str(metrics), RANK=rank)
    assert len(metrics.read_bytes().splitlines()) == 1


def test_should_stop_sees_the_request(metrics: Path) -> None:
    source = "import cardrunner_script as c; print(c.should_stop())"
    assert script(source, CARDRUNNER_METRICS=str(metrics)).stdout == "False\n"
    stop_request(metrics).touch()
    assert script(source, CARDRUNNER_METRICS=str(metrics)).stdout == "True\n"


def test_a_file_that_cannot_be_written_is_told_once_and_ends_nothing(tmp_path: Path) -> None:
    source = "import cardrunner_script as c\nfor n in range(3): c.report(step=n, loss=1)\nprint('done')"
    done = script(source, CARDRUNNER_METRICS=str(tmp_path / "missing" / "metrics"))
    assert done.stdout == "done\n"
    assert done.stderr.count("CARDRUNNER_METRICS cannot be written") == 1


def test_any_supported_python_can_parse_it() -> None:
    ast.parse(MODULE.read_text(), feature_version=(3, 8))

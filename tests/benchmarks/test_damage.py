"""A few of the damages of ``benchmarks.damage``, and whether its table is whole."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from benchmarks.damage_kinds import WAYS
from benchmarks.damage_table import FOLDER_WAYS, TABLE, UNDRAWN, printed
from benchmarks.damaged_runs import STATES, documented_files
from cardrunner.runs.folder import RunFolder

CODE = """
import sys
from benchmarks.damage import main
sys.exit(main(["--damages", "28", "--harmless", "2", "--seed", "7", "--states", "crashed", "completed"]))
"""
OF_RUNS = {name for name, value in inspect.getmembers(RunFolder) if isinstance(value, property)}
NO_FILES = {"arguments", "name", "frozen", "scripts", "_launched"}


def is_in_the_table(file: str) -> bool:
    """Whether a row is about a file, or the table says why none is."""
    return file in UNDRAWN or any(row.holds(file.replace("*", "1")) for row in TABLE if not row.whole)


@pytest.mark.parametrize("file", documented_files())
def test_every_documented_file_is_in_the_table(file: str) -> None:
    assert is_in_the_table(file)


@pytest.mark.parametrize("name", sorted(OF_RUNS - NO_FILES))
def test_every_path_of_a_run_folder_is_in_the_table(name: str) -> None:
    path: Path = getattr(RunFolder(Path("/run")), name)
    file = path.relative_to("/run").as_posix()
    inside = [row.file for row in TABLE if row.file.startswith(f"{file}/")]
    assert inside or is_in_the_table(file) or any(one.startswith(f"{file}/") for one in UNDRAWN)


def test_every_cell_is_of_a_known_state_and_a_known_damage() -> None:
    for row in TABLE:
        assert set(row.states) <= set(STATES)
        assert set(row.ways) <= set(FOLDER_WAYS if row.whole else WAYS)
        assert len(set(row.ways)) == len(row.ways)


def test_the_table_can_be_read() -> None:
    text = "\n".join(printed())
    assert all(f"  {row.file} | {', '.join(row.states)} | " in text for row in TABLE)


def test_a_few_damages_are_named_and_a_few_harmless_changes_are_not(zygote: Any) -> None:
    damaging = zygote.code(CODE, cwd=Path(__file__).parents[2])
    damaging.wait(timeout=300)
    code, out, err = damaging.finish()
    assert code == 0, err
    assert "28 damages: " in out
    assert out.endswith("2 harmless changes: 0 false alarms\n")

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from cardrunner.errors import EnvironmentFailed
from cardrunner.runs.jsonl import append_line, line_of, parse_line, read_lines
from tests.examples import examples

texts = st.text(max_size=10).filter(lambda text: text not in ("NaN", "Infinity", "-Infinity"))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@examples(60)
@given(st.dictionaries(texts, values, max_size=4))
def test_a_row_comes_back_as_it_was(row: dict[str, Any]) -> None:
    assert parse_line(line_of(row)) == row


def test_nan_travels_as_text_in_strict_json() -> None:
    line = line_of({"loss": math.nan, "limits": [math.inf, -math.inf]})
    assert json.loads(line, parse_constant=pytest.fail) == {"loss": "NaN", "limits": ["Infinity", "-Infinity"]}
    back = parse_line(line)
    assert back is not None
    assert math.isnan(back["loss"])
    assert back["limits"] == [math.inf, -math.inf]


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_torn_line_spoils_nothing_but_itself(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "rows.jsonl"
    for number in range(3):
        append_line(path, {"number": number, "text": "x" * 20}, durable=False)
    path.write_bytes(path.read_bytes()[:-cut])
    torn = 2 if cut > 1 else 3  # only the line end is missing: the row itself is whole
    assert len(read_lines(path)) == torn
    append_line(path, {"number": 3}, durable=False)
    assert read_lines(path)[-1] == {"number": 3}
    assert len(read_lines(path)) == torn + 1


def test_writers_in_several_processes_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    code = (
        "import sys; from pathlib import Path; from cardrunner.runs.jsonl import append_line\n"
        "for n in range(50):\n"
        "    append_line(Path(sys.argv[1]), {'who': sys.argv[2], 'n': n, 'text': 'x' * 500}, durable=False)"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), str(who)]) for who in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    rows = read_lines(path)
    assert len(rows) == 150
    assert all([row["n"] for row in rows if row["who"] == who] == list(range(50)) for who in "012")


def test_a_file_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed, match="cannot write"):
        append_line(tmp_path / "absent" / "rows.jsonl", {}, durable=True)


def test_a_full_disk_is_explained() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(EnvironmentFailed, match="the disk is full"):
        append_line(Path("/dev/full"), {"event": "note"}, durable=True)


def test_an_absent_file_has_no_rows(tmp_path: Path) -> None:
    assert read_lines(tmp_path / "rows.jsonl") == []

"""JSON lines."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings, strategies as st

from cardrunner.workloads.command.reports.json_lines import json_lines
from tests.workloads.command.reports.helpers import all_of, triples

ROWS = st.lists(st.fixed_dictionaries({"step": st.integers(0, 2**40), "loss": st.floats()}), max_size=20)
JUNK = st.lists(
    st.binary(max_size=60) | st.sampled_from([b"[]", b"null", b'"x"', b"[" * 9000, b'{"step": 1}', b"{", b"1" * 5000]),
    max_size=5,
).map(lambda parts: [part.replace(b"\n", b" ") for part in parts])


@settings(deadline=None, max_examples=50)
@given(rows=ROWS, end=st.integers(0, 80))
def test_every_whole_row_comes_wherever_the_file_is_torn(rows: list[dict[str, Any]], end: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, whole = Path(folder, "m.jsonl"), b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        source = json_lines(str(path), name="jsonl", wanted=frozenset({"loss"}))
        path.write_bytes(whole[: max(0, len(whole) - end)])
        found = all_of(source, ended=False)
        path.write_bytes(whole)
        found += all_of(source)
        assert triples(found) == [
            (row["step"], "loss", "nan" if row["loss"] != row["loss"] else row["loss"]) for row in rows
        ]
        assert source.garbage.count == 0


@settings(deadline=None, max_examples=50)
@given(junk=JUNK, row=st.integers(0, 100))
def test_garbage_is_counted_and_hides_no_row(junk: list[bytes], row: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "m.jsonl")
        path.write_bytes(b"\n".join([*junk, b'{"step": %d, "loss": 1}' % row, *junk]) + b"\n")
        source = json_lines(str(path), name="jsonl", wanted=frozenset({"loss"}))
        assert (row, "loss", 1.0) in triples(all_of(source))
        assert len(source.garbage.first) < 200


def test_nested_objects_texts_of_numbers_and_other_fields(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('\ufeff{"iter": "3", "val": {"loss": "0.25", "acc": null}, "at": "noon", "ok": true, "lr": NaN}\n')
    source = json_lines(str(path), name="jsonl", wanted=frozenset({"val/loss"}))
    assert triples(all_of(source)) == [(3, "val/loss", 0.25), (3, "lr", "nan")]
    assert source.garbage.count == 0


def test_a_wanted_value_that_is_no_number_is_shown_once(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"step": 1, "loss": "high"}\n' * 3)
    source = json_lines(str(path), name="jsonl", wanted=frozenset({"loss"}))
    assert all_of(source) == []
    assert source.garbage.told("jsonl") == "jsonl: 3 entries so far cannot be read; the first: jsonl: loss = 'high'"
    assert source.garbage.told("jsonl") is None


def test_what_was_there_at_the_beginning_is_left_out_even_when_it_is_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    old = '{"step": 1, "loss": 1}\n{"step": 2, "loss": 2}\n'
    path.write_text(old)
    source = json_lines(str(path), name="jsonl")
    source.begin()
    assert all_of(source) == []
    path.write_text(old + '{"step": 3, "loss": 3}\n')
    assert triples(all_of(source)) == [(3, "loss", 3.0)]
    path.write_text('{"step": 2, "loss": 2}\n')
    assert triples(all_of(source)) == [(2, "loss", 2.0)]


def test_new_files_of_a_pattern_are_found(tmp_path: Path) -> None:
    source = json_lines(f"{tmp_path}/run-*/**/m.jsonl", name="jsonl", step="n")
    assert all_of(source) == []
    for number in (1, 2):
        folder = tmp_path / f"run-{number}" / "deep"
        folder.mkdir(parents=True)
        (folder / "m.jsonl").write_text(f'{{"n": {number}, "loss": 0.5, "step": 9}}\n')
    assert {(step, name) for step, name, _ in triples(all_of(source))} == {
        (1, "loss"), (1, "step"), (2, "loss"), (2, "step"),
    }  # fmt: skip

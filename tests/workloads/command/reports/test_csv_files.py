"""CSV and TSV with a header."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

from hypothesis import given, settings, strategies as st

from cardrunner.workloads.command.reports.csv_files import csv_files
from tests.workloads.command.reports.helpers import REAL, all_of, triples

WANTED = frozenset({"loss", "val"})


def table(rows: list[dict[str, float]]) -> bytes:
    """A file as CSVLogger writes it: the columns are those of all rows so far."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


ROWS = st.lists(
    st.dictionaries(st.sampled_from(["loss", "val", "lr"]), st.floats(allow_nan=False), min_size=1), max_size=12
).map(lambda rows: [{"step": step, **row} for step, row in enumerate(rows)])


@settings(deadline=None, max_examples=50)
@given(rows=ROWS, looks=st.lists(st.integers(0, 12), max_size=5))
def test_a_file_rewritten_with_new_columns_gives_each_row_once(rows: list[dict[str, float]], looks: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "metrics.csv")
        source, found = csv_files(str(path), name="csv", wanted=WANTED), []
        for end in [*sorted(looks), len(rows)]:
            path.write_bytes(table(rows[:end]))
            found += all_of(source, ended=False)
        assert sorted(triples(found)) == sorted(
            (int(row["step"]), name, value) for row in rows for name, value in row.items() if name != "step"
        )
        assert source.garbage.count == 0


@settings(deadline=None, max_examples=50)
@given(rows=ROWS, looks=st.lists(st.integers(0, 700), max_size=6))
def test_a_file_read_while_it_is_written_gives_each_row_once(rows: list[dict[str, float]], looks: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, data = Path(folder, "metrics.csv"), table(rows)
        source, found = csv_files(str(path), name="csv", wanted=WANTED), []
        for end in [*sorted(looks), len(data)]:
            path.write_bytes(data[:end])
            found += all_of(source, ended=False)
        assert len(triples(found)) == sum(len(row) - 1 for row in rows)


@settings(deadline=None, max_examples=50)
@given(junk=st.binary(max_size=300))
def test_no_bytes_raise_and_garbage_stays_small(junk: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "metrics.csv")
        path.write_bytes(junk)
        source = csv_files(str(path), name="csv", wanted=WANTED)
        source.begin()
        path.write_bytes(junk + b"\n" + junk)
        all_of(source)
        assert len(source.garbage.first) < 200


def test_lightnings_own_file_is_read() -> None:
    source = csv_files(str(REAL / "lightning" / "metrics.csv"), name="csv", wanted=frozenset({"val/loss"}))
    readings = all_of(source)
    assert [step for step, name, _ in triples(readings) if name == "val/loss"] == [7, 15]
    assert [(reading.step, reading.epoch) for reading in readings][-2:] == [(15, 1.0), (15, 1.0)]
    assert source.garbage.count == 0


def test_tabs_semicolons_quotes_and_a_repeated_header(tmp_path: Path) -> None:
    for name, text in {
        "tabs.csv": "step\tloss\n1\t0.5\nstep\tloss\n2\t0.25\n",
        "semicolons.csv": "step;loss\r\n1;0.5\r\n2;0.25\r\n",
        "quotes.csv": '"step","note, long","loss"\n1,"a, b",0.5\n2,,"0.25"',
    }.items():
        (tmp_path / name).write_text(text)
        source = csv_files(str(tmp_path / name), name="csv", wanted=WANTED)
        assert [each for each in triples(all_of(source)) if each[1] == "loss"] == [(1, "loss", 0.5), (2, "loss", 0.25)]
        assert source.garbage.count == 0


def test_a_table_without_a_step_says_which_columns_it_has(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("batch,loss\n1,0.5\n")
    source = csv_files(str(path), name="csv", wanted=WANTED)
    assert all_of(source) == []
    assert source.garbage.first == "csv: it has no column step; its first line is batch,loss"
    assert triples(all_of(csv_files(str(path), name="csv", step="batch"))) == [(1, "loss", 0.5)]


def test_old_rows_stay_old_when_columns_are_added_after_the_beginning(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_bytes(table([{"step": 1, "loss": 0.5}]))
    source = csv_files(str(path), name="csv")
    source.begin()
    path.write_bytes(table([{"step": 1, "loss": 0.5}, {"step": 2, "val": 0.25}]))
    assert triples(all_of(source)) == [(2, "val", 0.25)]

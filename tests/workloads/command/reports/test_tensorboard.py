"""TensorBoard's event files, beside TensorBoard's own reader."""

from __future__ import annotations

import math
import struct
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cardrunner.workloads.command.reports.tensorboard import tensorboard
from tests.workloads.command.reports.helpers import REAL, all_of, triples

SCALARS = st.lists(
    st.tuples(st.integers(0, 2**40), st.sampled_from(["loss", "val/loss"]), st.floats(width=32)), max_size=12
)


def write(folder: Path, scalars: list[tuple[int, str, float]], *, suffix: str = "") -> Path:
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(str(folder), filename_suffix=suffix)
    for step, tag, value in scalars:
        writer.add_scalar(tag, value, step)
    writer.close()
    (path,) = folder.glob(f"*tfevents*{suffix}")
    return path


@settings(deadline=None, max_examples=50)
@given(scalars=SCALARS)
def test_what_tensorboardx_writes_is_read(scalars: list[tuple[int, str, float]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), scalars)
        source = tensorboard(folder, name="tensorboard")
        assert triples(all_of(source)) == [
            (step, tag, "nan" if math.isnan(value) else value) for step, tag, value in scalars
        ]
        assert source.garbage.count == 0


def test_a_file_torn_at_any_byte_gives_its_whole_records_and_the_rest_later(tmp_path: Path) -> None:
    scalars = [(1, "loss", 0.5), (2, "loss", math.inf), (3, "val/loss", 0.25)]
    data = write(tmp_path / "whole", scalars).read_bytes()
    torn = tmp_path / "torn" / "events.out.tfevents.1"
    torn.parent.mkdir()
    for end in range(len(data)):
        source = tensorboard(str(torn.parent), name="tensorboard")
        torn.write_bytes(data[:end])
        found = triples(all_of(source))
        assert found == scalars[: len(found)]
        with torn.open("ab") as stream:
            stream.write(data[end:])
        assert found + triples(all_of(source)) == scalars
        assert source.garbage.count == 0
        torn.unlink()


@settings(deadline=None, max_examples=50)
@given(place=st.integers(0, 400), byte=st.integers(0, 255))
def test_a_changed_byte_raises_nothing(place: int, byte: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), [(step, "loss", 0.5) for step in range(5)])
        data = bytearray(path.read_bytes())
        data[place % len(data)] = byte
        path.write_bytes(data)
        all_of(tensorboard(folder, name="tensorboard"))


def test_garbage_ends_the_reading_of_its_file_only(tmp_path: Path) -> None:
    write(tmp_path, [(1, "loss", 0.5)])
    (tmp_path / "events.out.tfevents.0").write_bytes(b"no event file at all")
    source = tensorboard(f"{tmp_path}/**", name="tensorboard")
    assert triples(all_of(source)) == [(1, "loss", 0.5)]
    assert source.garbage.count == 1
    assert "damaged at byte 0" in source.garbage.first


def test_new_versions_and_files_are_found_and_old_ones_left_out(tmp_path: Path) -> None:
    write(tmp_path / "version_0", [(1, "loss", 0.5)])
    source = tensorboard(f"{tmp_path}/version_*", name="tensorboard")
    source.begin()
    assert all_of(source) == []
    write(tmp_path / "version_1", [(1, "loss", 0.25)])
    write(tmp_path / "version_0", [(2, "loss", 0.125)], suffix=".second")
    assert sorted(triples(all_of(source))) == [(1, "loss", 0.25), (2, "loss", 0.125)]


def test_a_record_that_is_longer_than_one_look_is_passed_over(tmp_path: Path) -> None:
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(str(tmp_path))
    writer.add_scalar("loss", 0.5, 1)
    writer.add_text("text", "x" * 3_000_000, 1)
    writer.add_scalar("loss", 0.25, 2)
    writer.close()
    source = tensorboard(str(tmp_path), name="tensorboard")
    assert triples(all_of(source)) == [(1, "loss", 0.5), (2, "loss", 0.25)]
    assert source.garbage.count == 0


def test_tensors_of_no_dimension_are_scalars(tmp_path: Path) -> None:
    events = pytest.importorskip("tensorboard.compat.proto.event_pb2")
    summaries = pytest.importorskip("tensorboard.compat.proto.summary_pb2")
    writers = pytest.importorskip("tensorboard.summary.writer.event_file_writer")
    tensors = pytest.importorskip("tensorboard.util.tensor_util")
    values = {"float": np.float32(0.5), "double": np.float64(0.1), "array": np.ones(1), "text": np.array(b"x")}
    writer = writers.EventFileWriter(str(tmp_path))
    for tag, value in values.items():
        summary = summaries.Summary()
        summary.value.add(tag=tag, tensor=tensors.make_tensor_proto(value))
        writer.add_event(events.Event(step=7, summary=summary))
    writer.close()
    assert triples(all_of(tensorboard(str(tmp_path), name="tensorboard"))) == [(7, "float", 0.5), (7, "double", 0.1)]


@pytest.mark.parametrize("library", ["lightning", "hugging_face"])
def test_tensorboards_own_reader_finds_the_same(library: str) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    theirs = accumulator.EventAccumulator(str(REAL / library))
    theirs.Reload()
    expected = sorted(
        (event.step, tag, event.value) for tag in theirs.Tags()["scalars"] for event in theirs.Scalars(tag)
    )
    found = triples(all_of(tensorboard(str(REAL / library), name="tensorboard")))
    assert sorted(found) == expected
    assert len(found) > 5


def test_a_header_that_asks_for_a_huge_record_reads_nothing(tmp_path: Path) -> None:
    (tmp_path / "events.out.tfevents.1").write_bytes(struct.pack("<QI", 2**60, 0) + b"x" * 100)
    source = tensorboard(str(tmp_path), name="tensorboard")
    assert all_of(source) == []
    assert source.garbage.count == 1

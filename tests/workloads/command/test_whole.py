"""A torn checkpoint is told from a whole one."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import given, strategies as st

from cardrunner.workloads.command.whole import flaw

Parts = st.lists(st.binary(max_size=60), min_size=1, max_size=4)
JSON = st.integers() | st.text(max_size=8) | st.lists(st.booleans() | st.none() | st.floats(), max_size=3)


def zipped(parts: list[bytes], comment: bytes = b"") -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for number, part in enumerate(parts):
            archive.writestr(f"data/{number}", part)
        archive.comment = comment
    return whole.getvalue()


def safetensors(lengths: list[int]) -> bytes:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for number, length in enumerate(lengths):
        header[f"w{number}"] = {"dtype": "U8", "shape": [length], "data_offsets": [end, end + length]}
        end += length
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoints")


def check(path: Path, whole: bytes, cut: int) -> None:
    path.write_bytes(whole)
    assert flaw(path) is None
    path.write_bytes(whole[: cut % len(whole)])
    assert flaw(path) is not None


@given(Parts, st.text("abc", max_size=9).map(str.encode), st.integers(0, 10_000))
def test_no_part_of_a_zip_is_whole(folder: Path, parts: list[bytes], comment: bytes, cut: int) -> None:
    check(folder / "ckpt.pt", zipped(parts, comment), cut)


@given(Parts, st.integers(0, 10_000))
def test_no_part_of_a_zip_that_holds_a_zip_is_whole(folder: Path, parts: list[bytes], cut: int) -> None:
    check(folder / "model.ckpt", zipped([zipped(parts), zipped(parts), b"x"]), cut)


@given(st.lists(st.integers(0, 50), max_size=4), st.integers(0, 10_000))
def test_no_part_of_a_safetensors_file_is_whole(folder: Path, lengths: list[int], cut: int) -> None:
    check(folder / "model.safetensors", safetensors(lengths), cut)


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4) | st.lists(JSON, max_size=4), st.integers(0, 10_000))
def test_no_part_of_a_json_file_is_whole(folder: Path, value: object, cut: int) -> None:
    check(folder / "model.json", json.dumps(value).encode(), cut)


def test_every_part_of_what_torch_saves_is_torn(folder: Path) -> None:
    path = folder / "real.pt"
    torch.save({"model": torch.nn.Linear(3, 2).state_dict(), "step": 7}, path)
    whole = path.read_bytes()
    assert flaw(path) is None
    for cut in range(0, len(whole), 7):
        path.write_bytes(whole[:cut])
        assert flaw(path) is not None, cut


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("ckpt.pt", b"", "it has 0 bytes"),
        ("ckpt.pt", b"not a checkpoint", "it is neither a zip nor a pickle"),
        ("ckpt.pt", b"PK", "it is neither a zip nor a pickle"),
        ("ckpt.pt", pickle.dumps({"step": 1}), None),
        ("model.npz", zipped([b"a"])[:-1], "it is a zip without its directory"),
        ("model.safetensors", safetensors([8])[:-2], "it has 109 bytes, and its header says 111"),
        ("model.safetensors", b"\xff" * 20, "it is a safetensors file without its header"),
        ("model.safetensors", struct.pack("<Q", 2) + b"[]", "it is a safetensors file without its header"),
        ("model.json", b"12", "it is not a JSON object"),
        ("model.json", b"[" * 100_000, "it is not a JSON object"),
        ("forest.pkl", pickle.dumps([1, 2])[:-1], "it is a pickle without its end"),
        ("forest.pkl", pickle.dumps([1, 2]), None),
        ("booster.ubj", b"anything", None),
    ],
)
def test_a_file_says_what_is_wrong_with_it(tmp_path: Path, name: str, data: bytes, words: str | None) -> None:
    (tmp_path / name).write_bytes(data)
    assert flaw(tmp_path / name) == words


def saved(folder: Path) -> Path:
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(safetensors([8]))
    (folder / "trainer_state.json").write_text('{"global_step": 60, "best_metric": NaN}')
    return folder


def test_a_folder_is_whole_when_all_of_it_is(tmp_path: Path) -> None:
    folder = saved(tmp_path / "checkpoint-60")
    assert flaw(folder, ["trainer_state.json"]) is None
    assert flaw(folder, ["optimizer.pt"]) == "optimizer.pt is missing"
    (folder / "checkpoint-is-incomplete.txt").touch()
    assert flaw(folder) == "checkpoint-is-incomplete.txt in it says that it is not complete"
    (folder / "checkpoint-is-incomplete.txt").unlink()
    (folder / "rng").mkdir()
    (folder / "rng" / "state.pth").touch()
    assert flaw(folder) == "rng/state.pth: it has 0 bytes"


def test_an_empty_file_may_be_the_mark_of_a_complete_folder(tmp_path: Path) -> None:
    folder = saved(tmp_path / "checkpoint-60")
    (folder / "COMPLETE").touch()
    assert flaw(folder, ["COMPLETE"]) is None
    assert flaw(folder) == "COMPLETE: it has 0 bytes"


def test_a_shard_that_the_index_names_must_be_there(tmp_path: Path) -> None:
    folder = saved(tmp_path / "checkpoint-60")
    index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert flaw(folder) == "model.safetensors.index.json: it names model-2.safetensors, which is missing"


def test_what_is_absent_empty_or_no_file_is_not_whole(tmp_path: Path) -> None:
    assert flaw(tmp_path / "absent.pt") == "it was removed meanwhile"
    (tmp_path / "empty").mkdir()
    assert flaw(tmp_path / "empty") == "it is empty"
    os.mkfifo(tmp_path / "pipe.pt")
    assert flaw(tmp_path / "pipe.pt") == "it is not a file"

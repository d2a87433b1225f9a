"""Files that look like checkpoints, and how they are written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cardrunner.workloads.command.trying.checkpoint_files import CheckpointFiles, Series, best_series


def watch(out: Path) -> CheckpointFiles:
    return CheckpointFiles({out: "{out}"})


def the_only(watched: CheckpointFiles) -> Series:
    watched.look()
    (series,) = watched.series.values()
    return series


def test_one_file_that_is_written_again_is_overwritten(tmp_path: Path) -> None:
    watched = watch(tmp_path)
    for step in range(3):
        (tmp_path / "ckpt.json").write_text(json.dumps({"step": step * 100_000}))
        series = the_only(watched)
    assert (series.at, series.overwritten, series.written) == ("{out}/ckpt.json", True, 3)


def test_a_torn_file_is_not_whole(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\x10")
    assert the_only(watch(tmp_path)).flaw() == "it is a safetensors file without its header"


@pytest.mark.parametrize(
    ("names", "at"),
    [
        (("step-100.pt", "step-200.pt"), "{out}/step-*.pt"),
        (("epoch=0-step=50.ckpt", "epoch=1-step=100.ckpt"), "{out}/epoch=*-step=*.ckpt"),
        (
            ("version_0/checkpoints/last.ckpt", "version_1/checkpoints/last.ckpt"),
            "{out}/version_*/checkpoints/last.ckpt",
        ),
        (("model_3.pkl", "model_12.pkl"), "{out}/model_*.pkl"),
    ],
)
def test_files_that_differ_in_their_numbers_are_a_series(tmp_path: Path, names: tuple[str, str], at: str) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    series = the_only(watch(tmp_path))
    assert (series.at, len(series.marks), series.overwritten) == (at, 2, False)
    assert sorted(map(str, tmp_path.glob(at.removeprefix("{out}/")))) == sorted(str(tmp_path / name) for name in names)


def test_a_folder_of_hugging_face_is_one_checkpoint_with_its_mark(tmp_path: Path) -> None:
    for step in (50, 100):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "trainer_state.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"x")
    series = the_only(watch(tmp_path))
    assert (series.at, series.folder, series.complete) == ("{out}/checkpoint-*", True, ("trainer_state.json",))


def test_logs_settings_and_links_are_no_checkpoints(tmp_path: Path) -> None:
    for name in ("events.out.tfevents.1.host", "config.json", "train.log", "metrics.json", "readme.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "last.pt").symlink_to(tmp_path / "train.log")
    watched = watch(tmp_path)
    watched.look()
    assert not watched.series


def test_the_largest_in_the_folder_of_the_run_is_the_one_to_name(tmp_path: Path) -> None:
    for name, size in (("optimizer.pt", 10), ("model.pt", 1_000)):
        (tmp_path / name).write_bytes(b"x" * size)
    watched = watch(tmp_path)
    watched.look()
    best = best_series(tuple(watched.series.values()))
    assert best is not None
    assert best.at == "{out}/model.pt"


def test_names_that_differ_only_in_digits_are_one_series_and_a_later_start_counts_apart(tmp_path: Path) -> None:
    watched = watch(tmp_path)
    for epoch in (1, 2, 3):
        (tmp_path / f"gpt2m{epoch:03d}.npz").write_bytes(b"x")
        watched.look()
    watched.begin_again()
    for name in ("gpt2m001.npz", "gpt2m004.npz"):
        (tmp_path / name).write_bytes(b"other")
    series = the_only(watched)
    assert (series.at, series.count, series.written, series.changes) == ("{out}/gpt2m*.npz", 3, 3, 5)
    assert not series.overwritten


def test_the_first_of_a_series_by_epochs_is_named_by_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "model_ep001.npz").write_bytes(b"x")
    assert the_only(watch(tmp_path)).at == "{out}/model_ep*.npz"

"""The measurements of the data path run on tiny sizes and print what they promise."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from benchmarks import data_path, encoded_files, memory, open_dataset, shuffle_quality
from benchmarks.policy_run import games


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_a_file_of_repeated_games_has_the_size_and_can_be_evicted() -> None:
    with games(2) as data, encoded_files.repeated(data, size=2_000_000) as path:
        assert 2_000_000 <= path.stat().st_size < 3_000_000
        assert encoded_files.opened(path).games == 10
        encoded_files.read_through(path)
        assert encoded_files.evict(path) <= 1
        path.read_bytes()
        assert encoded_files.cached_share(path) == 1
    assert not path.exists()


def test_the_data_path_is_compared_with_the_step_and_the_disk(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--games", "1", "--file-bytes", "1000000", "--block-bytes", "200000", "--batch-size", "16"]
    data_path.main([*sizes, "--threads", "1", "--repetitions", "2", "--batches", "2"])
    printed = capsys.readouterr().out
    assert printed.startswith("threads 1, batch 16, repetitions 2")
    for name in ("full shuffle, warm / stock step", "block shuffle, evicted / stock step", "the disk itself"):
        assert name in printed


def test_memory_is_measured_in_a_process_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--games", "1", "--file-bytes", "1000000", "--block-bytes", "200000", "--batch-size", "16"]
    memory.main([*sizes, "--batches", "20", "--repetitions", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert ["full shuffle" in lines[0], "block shuffle" in lines[1]] == [True, True]
    assert all("below 600 MB" in line for line in lines)


def test_opening_is_timed_for_each_number_of_games(capsys: pytest.CaptureFixture[str]) -> None:
    open_dataset.main(["--games", "3", "30", "--rows", "20", "--repetitions", "2"])
    assert capsys.readouterr().out.count(" games: ") == 2


def test_shuffles_are_compared_in_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    tiny = ["--games", "10", "--seeds", "2", "--epochs", "1", "--batch-size", "512", "--block-bytes", "500000"]
    shuffle_quality.main(tiny)
    printed = capsys.readouterr().out
    assert printed.count("seed ") == 2
    assert "mean difference" in printed

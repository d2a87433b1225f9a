from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from benchmarks.train_step import main


@pytest.fixture
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads_as_before")
def test_it_prints_every_ratio_with_its_interval(capsys: pytest.CaptureFixture[str]) -> None:
    tiny = ["--games", "1", "--batch-size", "16", "--repetitions", "2", "--steps", "1", "--lead", "0"]
    main([*tiny, "--threads", "1", "--workers", "0"])
    printed = capsys.readouterr().out
    assert printed.startswith("threads 1, batch 16, repetitions 2 of 1 steps")
    for name in (
        "loop / resident step, fast",
        "fast loop / DataLoader trainer, 0 workers",
        "waiting for batches, fast",
    ):
        assert name in printed

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks import rollout, step_fidelity
from cardrunner.workloads.melee.simulator.simulator import generate


@pytest.fixture
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads_as_before")
def test_it_prints_both_ratios_of_both_worlds(capsys: pytest.CaptureFixture[str]) -> None:
    rollout.main(["--small", "--frames", "10", "--repetitions", "2"])
    printed = capsys.readouterr().out
    for name in rollout.WORLDS:
        assert f"{name}, one thread, 10 frames, 2 repetitions" in printed
    assert printed.count("match / straightforward loop") == printed.count("match / products alone") == 2


def test_every_matrix_of_a_model_is_counted_once() -> None:
    for name, parameters in (("Mamba2", 4282386), ("FrameStackMLP", 1433602)):
        counted = sum(matrix.size for matrix in rollout.matrices(rollout.world(name)))
        assert 0.98 < (counted + 15080) / parameters < 1


def test_steps_are_held_against_windows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generate(tmp_path / "games.pt", games=2, frames_per_game=150)
    model = rollout.world("Mamba2", small=True)
    content = {"model_state_dict": model.state_dict(), "encoding_config": model.encoding.model_dump()}
    torch.save({**content, "context_len": model.context_len}, tmp_path / "model.pt")
    step_fidelity.main([str(tmp_path / "model.pt"), "--file", str(tmp_path / "games.pt"), "--remembered", "20"])
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [row[:24].strip() for row in rows] == ["windows", "step", "step, 20 remembered"]
    assert rows[0].endswith("100.00%")

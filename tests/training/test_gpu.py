"""What only a GPU can show; everything here is skipped without one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.policy_run import card, dataset, games, steps, trainer
from cardrunner.contracts import Batch
from cardrunner.errors import Terminated
from cardrunner.training.device_copy import DeviceCopy
from cardrunner.training.feed import Feed
from cardrunner.training.loop import Trainer
from cardrunner.training.numerics import numerics
from cardrunner.workloads.melee.encoding.frame_dataset import FrameDataset
from cardrunner.workloads.melee.encoding.layout import BYTES_PER_FRAME
from tests.stopping import StopAfter

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device here")
MakeRun = Callable[..., Any]
CUDA = torch.device("cuda")


@pytest.fixture(scope="module")
def examples() -> Iterator[FrameDataset]:
    with games(8) as data:
        yield dataset(card(batch_size=64), data)


def policy_trainer(examples: FrameDataset, **fields: Any) -> Trainer:
    read = card(batch_size=64)
    read = read.model_copy(update={"training": read.training.model_copy(update=fields)})
    with numerics(read.training) as setting:
        return trainer(read, examples, setting, fast=False)


def weights(of: Trainer) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in of.model.parameters()])


def after(of: Trainer, count: int) -> Tensor:
    torch.manual_seed(5)
    for _, _ in zip(range(count), steps(of), strict=False):
        pass
    return weights(of)


@pytest.mark.parametrize("precision", ["float32", "tf32", "bf16", "fp16"])
def test_a_recorded_step_is_the_step(examples: FrameDataset, precision: str) -> None:
    fields = {"precision": precision, "schedule": "cosine", "schedule_unit": "step", "epochs": 1}
    eager = after(policy_trainer(examples, **fields, cuda_graph=False), 12)
    graphed = policy_trainer(examples, **fields)
    found = after(graphed, 12)
    assert graphed.notes == []
    assert (found - eager).abs().max() < (1e-5 if precision == "float32" else 3e-3)


def test_recording_leaves_everything_as_it_was(examples: FrameDataset) -> None:
    one, two = policy_trainer(examples, precision="fp16"), policy_trainer(examples, precision="fp16")
    batch = next(one.feed.batches([torch.arange(64)]))
    two._graph_for([batch])
    assert torch.equal(weights(one), weights(two))
    assert all(not tensor.any() for state in two.optimizer.state.values() for tensor in state.values())
    assert one.scaler.state_dict() == two.scaler.state_dict()
    for each in (one, two):
        torch.manual_seed(7)
        each.step([batch])
        each.step([batch])
    assert torch.equal(weights(one), weights(two))


def test_a_step_that_waits_for_the_device_trains_without_a_recording(examples: FrameDataset) -> None:
    waiting = policy_trainer(examples)
    score = waiting.objective.score

    def reading(outputs: Any, batch: Batch) -> Any:
        outcome = score(outputs, batch)
        float(outcome.loss.detach())
        return outcome

    waiting.objective.score = reading  # type: ignore[method-assign]
    found = after(waiting, 3)
    assert "the step could not be recorded" in waiting.notes[0]
    assert torch.allclose(found, after(policy_trainer(examples, cuda_graph=False), 3), atol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"training.precision": "fp16", "training.schedule_unit": "step"},
        {"training.precision": "bf16", "training.drop_last": False, "data.examples": 300},
        {"training.cuda_graph": False, "training.precision": "fp16"},
        {"training.optimizer": "sgd", "training.precision": "tf32"},
        {"training.compile": True},
    ],
    ids=lambda changes: " ".join(map(str, changes.values())) or "float32",
)
def test_a_run_goes_on_to_the_same_bits(toy_run: MakeRun, changes: dict[str, Any]) -> None:
    changes = {"training.device": "cuda", **changes}
    whole = toy_run(changes, name="whole").train()
    assert whole.record.device.startswith("cuda")
    assert whole.record.notes == ()
    for looks in (3, 9, 12, 22):
        run = toy_run(changes, name=f"stopped-{looks}")
        assert isinstance(run.train(stop=StopAfter(looks)).ended, Terminated)
        assert run.train().ended is None
        assert run.facts() == whole.facts()
        assert run.record.weights_sha256 == whole.record.weights_sha256


def test_a_lack_of_memory_splits_the_batch(toy_run: MakeRun) -> None:
    run = toy_run({"training.device": "cuda", "training.toy.oom_at": 5}).train()
    assert run.ended is None
    assert [(split.step, split.pieces) for split in run.record.splits] == [(5, 2)]


def test_memory_that_really_runs_out_splits_the_batch() -> None:
    torch.cuda.empty_cache()
    with games(8) as data:
        tight = policy_trainer(dataset(card(batch_size=64), data), batch_size=2048)
        told: list[BaseException] = []
        tight.on_out_of_memory = told.append
        _, total = torch.cuda.mem_get_info()
        torch.cuda.set_per_process_memory_fraction(min(1.0, (torch.cuda.memory_reserved() + 60e6) / total))
        try:
            next(steps(tight))
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
    assert told
    assert tight.cursor.pieces > 1


@pytest.mark.parametrize("block_bytes", [None, 2 << 20])
@pytest.mark.parametrize("resident", [True, False])
def test_batches_on_the_device_are_those_of_the_cpu(
    examples: FrameDataset, block_bytes: int | None, resident: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not resident:
        monkeypatch.setattr(DeviceCopy, "free_bytes", lambda bus: 0)

    def batches(device: torch.device) -> tuple[Feed, list[Sequence[Tensor]]]:
        feed = Feed(examples, device=device, block_bytes=block_bytes)
        return feed, [tuple(t.cpu() for t in batch) for batch in feed.epoch(100, seed=1, epoch=2, drop_last=False)]

    feed, found = batches(CUDA)
    _, expected = batches(torch.device("cpu"))
    for own, other in zip(found, expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(own, other, strict=True))
    once = examples.bytes_per_example() + 4
    if block_bytes is not None or resident:
        assert feed.bus.sent <= len(examples) * (once + 4) * (1.5 if block_bytes else 1)
    else:
        assert feed.bus.sent > 5 * len(examples) * BYTES_PER_FRAME


def test_data_stays_on_the_host_of_a_full_device(examples: FrameDataset, tmp_path: Path) -> None:
    del tmp_path
    feed = Feed(examples, device=CUDA)
    assert feed._moved() is not None
    assert feed.bus.sent <= len(examples) * examples.bytes_per_example() + 1

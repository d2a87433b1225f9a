"""The step: its gradient is that of the mean over its examples, however they are split."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cardrunner.card.schema.training import Selection, TrainingSection
from cardrunner.contracts import Batch, BatchScore
from cardrunner.training.feed import Feed
from cardrunner.training.loop import Scored, Trainer, is_out_of_memory, pieces_of
from cardrunner.training.numerics import Numerics
from cardrunner.training.optim import make_optimizer, make_schedule

CPU = torch.device("cpu")


class Line:
    """Points on a line with some noise: float32 (N, 3) and (N, 1)."""

    def __init__(self, size: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self.points = torch.randn(size, 3, generator=generator)
        self.values = self.points.sum(1, keepdim=True) + torch.randn(size, 1, generator=generator)

    def __len__(self) -> int:
        return len(self.points)

    def __getitems__(self, indices: Tensor) -> Batch:
        return self.points[indices], self.values[indices]


class Squared:
    """Mean squared error."""

    names: tuple[str, ...] = ("loss/total",)

    def predict(self, model: nn.Module, batch: Batch) -> Any:
        return model(batch[0])

    def score(self, outputs: Any, batch: Batch) -> BatchScore:
        loss = (outputs - batch[1]).square().mean()
        count = torch.tensor([float(len(batch[0]))])
        return BatchScore(loss, loss.detach()[None] * count, count)


def refuse(error: BaseException) -> None:
    raise error


def trainer(size: int = 20, **fields: Any) -> Trainer:
    usual: dict[str, Any] = {"epochs": 2, "batch_size": 6, "learning_rate": 0.1, "optimizer": "sgd", "drop_last": False}
    training = TrainingSection(**{**usual, **fields}, select=Selection(metric="val_loss/total", mode="min"))
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    optimizer = make_optimizer(training, model.parameters())
    schedule = make_schedule(training, optimizer, steps_per_epoch=4)
    feed, numerics = Feed(Line(size), device=CPU), Numerics(CPU, training.precision, 1)
    return Trainer(training, numerics, model, Squared(), optimizer, schedule, feed, refuse)


def weights(found: Trainer) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in found.model.parameters()])


def test_a_step_is_the_one_of_plain_torch() -> None:
    found, plain = trainer(gradient_clip=0.5), trainer()
    batch = plain.feed.dataset.__getitems__(torch.arange(6))
    found.step([batch])
    (plain.model(batch[0]) - batch[1]).square().mean().backward()
    nn.utils.clip_grad_norm_(plain.model.parameters(), 0.5)
    torch.optim.SGD(plain.model.parameters(), lr=0.1).step()
    assert torch.equal(weights(found), weights(plain))


@pytest.mark.parametrize("pieces", [2, 3, 5, 6, 100])
def test_a_split_batch_takes_the_same_step(pieces: int) -> None:
    whole, split = trainer(), trainer()
    split.cursor.pieces = pieces
    batch = whole.feed.dataset.__getitems__(torch.arange(7))
    whole.step([batch])
    split.step([batch])
    assert torch.allclose(weights(whole), weights(split), atol=1e-6)
    assert whole.epoch_meter.figures().per_batch == pytest.approx(split.epoch_meter.figures().per_batch)


def test_accumulated_batches_of_unequal_size_take_the_step_of_one_large_batch() -> None:
    large, accumulated = trainer(batch_size=18), trainer(batch_size=6, gradient_accumulation=3)
    assert sum(1 for _ in large.epoch()) == sum(1 for _ in accumulated.epoch()) == 2
    assert torch.allclose(weights(large), weights(accumulated), atol=1e-6)
    assert large.cursor.examples == accumulated.cursor.examples == 20


def test_an_epoch_trains_every_example_once_and_the_meter_agrees() -> None:
    found = trainer(learning_rate=1e-12)
    assert [found.cursor.position for _ in found.epoch()] == [6, 12, 18, 20]
    assert found.epoch_is_over
    data = found.feed.dataset.__getitems__(torch.arange(20))
    expected = float((found.model(data[0]) - data[1]).square().mean().detach())
    assert found.epoch_meter.figures().weighted["loss/total"] == pytest.approx(expected, rel=1e-5)


def test_drop_last_leaves_the_last_batch_out() -> None:
    found = trainer(drop_last=True)
    assert sum(1 for _ in found.epoch()) == 3
    assert found.epoch_is_over
    assert found.cursor.examples == 18


def test_the_schedule_moves_on_per_step_or_per_epoch() -> None:
    per_epoch, per_step = trainer(), trainer(schedule_unit="step")
    assert len({per_epoch.cursor.learning_rate for _ in per_epoch.epoch()}) == 1
    assert len({per_step.cursor.learning_rate for _ in per_step.epoch()}) == 4
    per_epoch.finish_epoch()
    assert per_epoch.optimizer.param_groups[0]["lr"] == pytest.approx(0.05)
    assert (per_epoch.cursor.epoch, per_epoch.cursor.position) == (2, 0)


class Tight(Squared):
    """Memory for so many examples at a time."""

    def __init__(self, most: int) -> None:
        self.most = most

    def predict(self, model: nn.Module, batch: Batch) -> Any:
        if len(batch[0]) > self.most:
            raise torch.OutOfMemoryError("too many")
        return model(batch[0])


@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_step_that_does_not_fit_is_split_until_it_does(accumulation: int) -> None:
    plain, tight = trainer(gradient_accumulation=accumulation), trainer(gradient_accumulation=accumulation)
    told: list[BaseException] = []
    tight._score, tight.on_out_of_memory = Scored(tight.model, Tight(2)), told.append
    for _ in zip(plain.epoch(), tight.epoch(), strict=True):
        pass
    assert tight.cursor.pieces == 4
    assert len(told) == 2
    assert torch.allclose(weights(plain), weights(tight), atol=1e-6)
    assert tight.epoch_meter.figures().weighted == pytest.approx(plain.epoch_meter.figures().weighted)


def test_other_errors_are_not_mistaken_for_a_lack_of_memory() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        trainer().step([(torch.ones(2, 4), torch.ones(2, 1))])


def test_pieces_are_never_empty() -> None:
    assert [len(piece[0]) for piece in pieces_of((torch.ones(5, 1), torch.ones(5)), 3)] == [2, 2, 1]
    assert [len(piece[0]) for piece in pieces_of((torch.ones(2, 1),), 8)] == [1, 1]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_too(precision: str) -> None:
    found = trainer(precision=precision, learning_rate=0.05)
    first = None
    for _ in range(5):
        for _ in found.epoch():
            pass
        first = first or found.epoch_meter.figures().weighted["loss/total"]
        last = found.epoch_meter.figures().weighted["loss/total"]
        found.finish_epoch()
    assert first is not None
    assert last < first
    assert next(found.model.parameters()).dtype == torch.float32

"""Optimizers and schedules are those of torch, as the card names them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from cardrunner.card.schema.training import Selection, TrainingSection
from cardrunner.training.optim import adopt, learning_rate, make_optimizer, make_schedule


def section(**fields: Any) -> TrainingSection:
    usual: dict[str, Any] = {"epochs": 10, "batch_size": 4, "learning_rate": 0.1}
    return TrainingSection(**{**usual, **fields}, select=Selection(metric="val_loss/total", mode="min"))


def rates(training: TrainingSection, units: int, *, steps_per_epoch: int = 1) -> list[float]:
    optimizer = make_optimizer(training, [nn.Parameter(torch.zeros(1))])
    schedule = make_schedule(training, optimizer, steps_per_epoch=steps_per_epoch)
    found = []
    for _ in range(units):
        found.append(learning_rate(optimizer))
        optimizer.step()
        schedule.step()
    return found


@pytest.mark.parametrize(
    ("name", "kind"), [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)]
)
def test_the_optimizer_is_the_one_named(name: str, kind: type) -> None:
    optimizer = make_optimizer(section(optimizer=name, weight_decay=0.5), [nn.Parameter(torch.zeros(1))])
    assert type(optimizer) is kind
    assert (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["weight_decay"]) == (0.1, 0.5)


def test_a_cosine_per_epoch_falls_over_the_epochs() -> None:
    assert rates(section(), 10) == pytest.approx([0.1 * (1 + math.cos(math.pi * t / 10)) / 2 for t in range(10)])


def test_a_cosine_per_step_falls_over_all_steps() -> None:
    found = rates(section(epochs=2, schedule_unit="step"), 10, steps_per_epoch=5)
    assert found == pytest.approx([0.1 * (1 + math.cos(math.pi * t / 10)) / 2 for t in range(10)])


def test_a_constant_rate_stays() -> None:
    assert rates(section(schedule="constant"), 10) == [0.1] * 10


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_warm_up_rises_to_the_learning_rate_and_the_schedule_follows(schedule: str) -> None:
    found = rates(section(epochs=8, warmup=3, schedule=schedule), 8)
    assert found[:3] == pytest.approx([0.025, 0.05, 0.075])
    after = [0.1] * 5 if schedule == "constant" else [0.1 * (1 + math.cos(math.pi * t / 5)) / 2 for t in range(5)]
    assert found[3:] == pytest.approx(after)


@pytest.mark.parametrize("warmup", [0, 3])
def test_a_restart_scales_and_stretches_what_is_left_of_the_schedule(warmup: int) -> None:
    before = section(epochs=2, schedule_unit="step", warmup=warmup)
    optimizer = make_optimizer(before, [nn.Parameter(torch.zeros(1))])
    schedule = make_schedule(before, optimizer, steps_per_epoch=5)
    for _ in range(6):
        optimizer.step()
        schedule.step()
    rate = learning_rate(optimizer)
    after = section(epochs=2, schedule_unit="step", warmup=warmup, learning_rate=0.05, weight_decay=0.2)
    adopt(after, optimizer, schedule, steps_per_epoch=10)
    assert learning_rate(optimizer) == pytest.approx(rate / 2)
    assert optimizer.param_groups[0]["weight_decay"] == 0.2
    found = []
    for _ in range(14):
        optimizer.step()
        schedule.step()
        found.append(learning_rate(optimizer))
    assert found == sorted(found, reverse=True)
    assert found[-1] == pytest.approx(0, abs=1e-6)

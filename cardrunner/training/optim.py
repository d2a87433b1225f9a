"""Optimizer and learning-rate schedule as the card names them."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LinearLR, LRScheduler, SequentialLR

from cardrunner.card.schema.training import TrainingSection


def make_optimizer(training: TrainingSection, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """The card's optimizer in one fused kernel, which saves a loop over the parameters; SGD is without momentum."""
    rate, decay = training.learning_rate, training.weight_decay
    if training.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=rate, weight_decay=decay, fused=True)
    kind = torch.optim.AdamW if training.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, lr=rate, weight_decay=decay, fused=True)


def make_schedule(training: TrainingSection, optimizer: Optimizer, *, steps_per_epoch: int) -> LRScheduler:
    """The learning rate over the run, advanced once per `schedule_unit`.

    Warm-up rises linearly: unit t of w, from 0, runs at (t + 1) / (w + 1) of the learning rate. The cosine falls over
    the units after it and would reach 0 one unit after the last.
    """
    units = training.epochs * (steps_per_epoch if training.schedule_unit == "step" else 1)
    after = max(1, units - training.warmup)
    main: LRScheduler = (
        CosineAnnealingLR(optimizer, T_max=after) if training.schedule == "cosine" else ConstantLR(optimizer, 1.0)
    )
    if not training.warmup:
        return main
    rise = LinearLR(optimizer, start_factor=1 / (training.warmup + 1), total_iters=training.warmup)
    return SequentialLR(optimizer, [rise, main], milestones=[training.warmup])


def learning_rate(optimizer: Optimizer) -> float:
    """The rate of the next step."""
    return float(optimizer.param_groups[0]["lr"])


def adopt(training: TrainingSection, optimizer: Optimizer, schedule: LRScheduler, *, steps_per_epoch: int) -> None:
    """Continue a loaded optimizer and schedule with the values that a restart changed.

    The schedule keeps its place: a new learning rate scales what is left of it, a new length stretches it.
    """
    fresh = make_optimizer(training, [nn.Parameter(torch.zeros(1))])
    target = make_schedule(training, fresh, steps_per_epoch=steps_per_epoch)
    for group in optimizer.param_groups:
        group["lr"] *= training.learning_rate / group["initial_lr"]
        group["initial_lr"], group["weight_decay"] = training.learning_rate, training.weight_decay
    for kept, wanted in zip(_parts(schedule), _parts(target), strict=True):
        kept.base_lrs = [training.learning_rate] * len(kept.base_lrs)
        if isinstance(kept, CosineAnnealingLR) and isinstance(wanted, CosineAnnealingLR):
            kept.T_max = wanted.T_max
        if isinstance(kept, LinearLR) and isinstance(wanted, LinearLR):
            kept.start_factor, kept.total_iters = wanted.start_factor, wanted.total_iters


def _parts(schedule: LRScheduler) -> list[LRScheduler]:
    return list(schedule._schedulers) if isinstance(schedule, SequentialLR) else [schedule]

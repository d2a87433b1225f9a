"""Trivial predictors with a world model's interface, as a baseline for every metric."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cardrunner.contracts import Batch
from cardrunner.workloads.melee.encoding.encoded_data import EncodedData, pairs_of_games
from cardrunner.workloads.melee.world_model.columns import (
    BINARIES,
    BINARY_COLUMNS,
    CATEGORIES,
    CONTINUOUS_COLUMNS,
    DYNAMICS,
    POSITION,
    VELOCITY_COLUMNS,
)
from cardrunner.workloads.melee.world_model.examples import WorldBatch, both, both_kinds, halves
from cardrunner.workloads.melee.world_model.foresight import Foreseer, Foresight, Predictor
from cardrunner.workloads.melee.world_model.metric_names import CONSTANT_VELOCITY, REPEAT_STATE
from cardrunner.workloads.melee.world_model.prediction import Prediction


@dataclass(frozen=True, eq=False)
class StayingOdds:
    """How often columns stay as they are from one frame to the next.

    Attributes:
        binary: (6,) log-odds of staying, per column.
        categories: per category, the log-odds of staying against any one other value, both players together.
    """

    binary: Tensor
    categories: tuple[float, ...]


def count_staying(data: EncodedData, games: range) -> StayingOdds:
    """Count over some games, in portions."""
    pairs, binary = 0, torch.zeros(len(BINARY_COLUMNS), dtype=torch.int64)
    kept = torch.zeros(len(CATEGORIES), dtype=torch.int64)
    for floats, ints, inside, _ in pairs_of_games(data, games):
        pairs += int(inside.sum())
        on = both(floats, BINARIES) > 0.5
        same = on[:-1] == on[1:]
        binary += same[inside].sum(0)
        kinds = [both_kinds(ints, each.column) for each in CATEGORIES]
        kept += torch.stack([(kind[:-1] == kind[1:])[inside].sum() for kind in kinds])
    encoding = data.encoding
    others = [each.vocabulary(encoding) - 1 for each in CATEGORIES]
    return StayingOdds(
        _log_odds(binary, pairs - binary),
        tuple((_log_odds(kept, 2 * pairs - kept) + torch.log(torch.tensor(others).double())).tolist()),
    )


def make_baselines(odds: StayingOdds, foreseer: Foreseer) -> dict[str, Callable[[Batch], Foresight]]:
    """The trivial baselines by name."""

    def asked(predict: Predictor) -> Callable[[Batch], Foresight]:
        return lambda batch: foreseer.validate(predict, WorldBatch(*batch))

    def repeat(floats: Tensor, ints: Tensor, controls: Tensor) -> Prediction:  # noqa: ARG001
        return _unchanged(floats[:, -1], ints[:, -1], odds, foreseer)

    def go_on(floats: Tensor, ints: Tensor, controls: Tensor) -> Prediction:
        made = repeat(floats, ints, controls)
        if floats.shape[1] > 1:
            moved = halves(floats[:, -1] - floats[:, -2])
            made.continuous.view(len(floats), 2, -1)[..., POSITION] = moved[..., POSITION]
        return made

    return {REPEAT_STATE: asked(repeat), CONSTANT_VELOCITY: asked(go_on)}


def _unchanged(floats: Tensor, ints: Tensor, odds: StayingOdds, foreseer: Foreseer) -> Prediction:
    """The frame (B, 56), (B, 17) once more."""
    examples = len(floats)
    on = both(floats, BINARIES) > 0.5
    binary = odds.binary.to(floats)
    categories = []
    for category, staying in zip(CATEGORIES, odds.categories, strict=True):
        logits = floats.new_zeros(examples, 2, category.vocabulary(foreseer.encoding))
        categories.append(logits.scatter_(2, both_kinds(ints, category.column)[..., None], staying))
    return Prediction(
        continuous=floats.new_zeros(examples, len(CONTINUOUS_COLUMNS)),
        velocity=floats.new_zeros(examples, len(VELOCITY_COLUMNS)),
        dynamics=both(floats, DYNAMICS),
        binary=torch.where(on, binary, -binary),
        categories=tuple(categories),
    )


def _log_odds(yes: Tensor, no: Tensor) -> Tensor:
    """log(yes / no) with half a count added to each so that it stays finite, and on the positive side."""
    return torch.log((yes.double() + 0.5) / (no.double() + 0.5)).clamp(min=1e-3)

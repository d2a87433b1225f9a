"""Losses and metrics of a world model, against plain arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from cardrunner.contracts import BatchScore
from cardrunner.training.metrics import Meter, row_of
from cardrunner.workloads.melee.encoding.encoded_data import open_data
from cardrunner.workloads.melee.encoding.frame_dataset import FrameDataset
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.world_model.columns import (
    BINARY_COLUMNS,
    CATEGORIES,
    CONTINUOUS_COLUMNS,
    DYNAMICS_COLUMNS,
    VELOCITY_COLUMNS,
)
from cardrunner.workloads.melee.world_model.examples import WorldBatch, world_examples
from cardrunner.workloads.melee.world_model.foresight import Foreseer, Foresight
from cardrunner.workloads.melee.world_model.mamba2 import Mamba2, Mamba2Sizes
from cardrunner.workloads.melee.world_model.metric_names import LOSS_TERMS, ROLLOUT_HORIZONS
from cardrunner.workloads.melee.world_model.objective import WorldModelObjective
from cardrunner.workloads.melee.world_model.prediction import Prediction

K = 4
FORESEER = Foreseer(K, 0, EncodingConfig())


@pytest.fixture
def batch(make_file: Callable[..., Path]) -> WorldBatch:
    data = open_data([make_file(70)])
    examples = world_examples(before=0, after=20)
    return WorldBatch(*FrameDataset(data, range(1), context_len=K, examples=examples).__getitems__(torch.arange(64)))


@pytest.fixture
def model() -> Mamba2:
    torch.manual_seed(0)
    sizes = Mamba2Sizes(context_len=K, d_model=8, d_state=4, n_layers=1, headdim=4, chunk_size=4)
    return Mamba2(sizes).eval()


def scored(model: Mamba2, batch: WorldBatch, **weights: float) -> tuple[Foresight, BatchScore]:
    objective = WorldModelObjective(FORESEER, weights)
    with torch.no_grad():
        outputs = objective.predict(model, batch)
        return outputs, objective.score(outputs, batch)


def values(outcome: BatchScore) -> dict[str, float]:
    return dict(zip(WorldModelObjective.names, (outcome.numerators / outcome.denominators).tolist(), strict=True))


def by_hand(outputs: Foresight, batch: WorldBatch) -> dict[str, Tensor]:
    last, now, ints = batch.floats[:, K - 1], batch.floats[:, K], batch.ints[:, K]
    change, predicted = now - last, outputs.prediction
    terms = {
        "continuous": (predicted.continuous - change[:, CONTINUOUS_COLUMNS]).square().mean(),
        "velocity": (predicted.velocity - change[:, VELOCITY_COLUMNS]).square().mean(),
        "dynamics": (predicted.dynamics - now[:, DYNAMICS_COLUMNS]).square().mean(),
        "binary": functional.binary_cross_entropy_with_logits(predicted.binary, now[:, BINARY_COLUMNS]),
    }
    for category, logits in zip(CATEGORIES, predicted.categories, strict=True):
        players = [functional.cross_entropy(logits[:, own], ints[:, category.columns[own]]) for own in (0, 1)]
        terms[category.name] = (players[0] + players[1]) / 2
    return terms


def test_the_loss_is_the_weighted_sum_of_its_terms(model: Mamba2, batch: WorldBatch) -> None:
    outputs, outcome = scored(model, batch)
    terms, found = by_hand(outputs, batch), values(outcome)
    for name, value in terms.items():
        assert found[f"loss/{name}"] == pytest.approx(float(value), rel=1e-5)
    total = sum(term.weight * float(terms[name]) for name, term in LOSS_TERMS.items())
    assert found["loss/total"] == pytest.approx(total, rel=1e-5)
    assert float(outcome.loss) == pytest.approx(total, rel=1e-5)


def test_a_card_chooses_the_weights(model: Mamba2, batch: WorldBatch) -> None:
    nothing = dict.fromkeys(LOSS_TERMS, 0.0)
    outputs, outcome = scored(model, batch, **{**nothing, "jumps": 3.0})
    assert float(outcome.loss) == pytest.approx(3 * float(by_hand(outputs, batch)["jumps"]), rel=1e-5)


def test_metrics_are_what_they_say(model: Mamba2, batch: WorldBatch) -> None:
    outputs, outcome = scored(model, batch)
    found, ints = values(outcome), batch.ints
    likeliest = outputs.prediction.categories[0].argmax(2)
    right = likeliest == ints[:, K][:, [0, 8]]
    changed = ints[:, K][:, [0, 8]] != ints[:, K - 1][:, [0, 8]]
    assert found["metric/action_acc"] == pytest.approx(float(right.float().mean()))
    assert found["metric/action_change_acc"] == pytest.approx(float(right[changed].float().mean()))
    assert found["metric/action_change_share"] == pytest.approx(float(changed.float().mean()))
    missed = batch.floats[:, K - 1, [1, 2, 29, 30]] + outputs.prediction.continuous[:, [1, 2, 5, 6]]
    missed = (missed - batch.floats[:, K, [1, 2, 29, 30]]).abs() / 0.05
    assert found["metric/position_mae"] == pytest.approx(float(missed.mean()), rel=1e-5)
    told = (outputs.prediction.binary > 0) == (batch.floats[:, K, BINARY_COLUMNS] > 0.5)
    assert found["metric/binary_acc"] == pytest.approx(float(told.float().mean()))


def test_sums_over_pieces_are_those_of_the_whole(model: Mamba2, batch: WorldBatch) -> None:
    _, whole = scored(model, batch)
    parts = [scored(model, WorldBatch(*(part[rows] for part in batch)))[1] for rows in (slice(0, 32), slice(32, 64))]
    numerators = sum(part.numerators for part in parts)
    torch.testing.assert_close(numerators, whole.numerators, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(sum(part.denominators for part in parts), whole.denominators)


def test_accuracies_and_rollouts_of_outputs_that_are_nan_are_not_numbers(model: Mamba2, batch: WorldBatch) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(torch.nan)
    _, outcome = scored(model, batch)
    meter = Meter(WorldModelObjective.names, device=torch.device("cpu"))
    meter.add(row_of([outcome]))
    assert all(math.isnan(value) for value in meter.figures().weighted.values())


def test_a_rollout_that_becomes_nan_on_its_way_is_not_a_number_from_there_on(model: Mamba2, batch: WorldBatch) -> None:
    calls = []

    def breaks_later(floats: Tensor, ints: Tensor, controls: Tensor) -> Prediction:
        calls.append(len(floats))
        found: Prediction = model(floats, ints, controls)
        return replace(found, continuous=found.continuous * torch.nan) if len(calls) == 8 else found

    with torch.no_grad():  # the first call is the next frame itself, the eighth is frame 7 of the rollout
        errors = FORESEER.validate(breaks_later, batch).rollouts
    assert errors is not None
    broken = [horizon >= 7 for horizon in ROLLOUT_HORIZONS]
    assert errors.sums.isnan().tolist() == broken
    assert not all(broken)

"""Rollouts and scheduled sampling by their definitions, frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cardrunner.workloads.melee.encoding.encoded_data import EncodedData, open_data
from cardrunner.workloads.melee.encoding.frame_dataset import FrameDataset
from cardrunner.workloads.melee.encoding.layout import PLAYERS, float_index, int_index
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.world_model.baselines import count_staying, make_baselines
from cardrunner.workloads.melee.world_model.columns import (
    BINARY_COLUMNS,
    CATEGORIES,
    CONTINUOUS_COLUMNS,
    CONTROL_COLUMNS,
    DYNAMICS_COLUMNS,
    POSITION_COLUMNS,
    VELOCITY_COLUMNS,
)
from cardrunner.workloads.melee.world_model.examples import WorldBatch, world_examples
from cardrunner.workloads.melee.world_model.foresight import Foreseer, Foresight, advance
from cardrunner.workloads.melee.world_model.frame_stack_mlp import FrameStackMLP, FrameStackSizes
from cardrunner.workloads.melee.world_model.metric_names import ROLLOUT_EVERY, ROLLOUT_HORIZONS
from cardrunner.workloads.melee.world_model.objective import WorldModelObjective
from cardrunner.workloads.melee.world_model.prediction import Prediction

K, S, H = 3, 2, max(ROLLOUT_HORIZONS)
ENCODING = EncodingConfig()
FORESEER = Foreseer(K, S, ENCODING, rate=0.8)


def a_model() -> FrameStackMLP:
    torch.manual_seed(0)
    model = FrameStackMLP(FrameStackSizes(context_len=K, hidden_dim=6, trunk_dim=5), dropout=0.0)
    nn.init.normal_(model.get_parameter("continuous_head.weight"), std=0.02)
    return model


@pytest.fixture
def data(make_file: Callable[..., Path]) -> EncodedData:
    return open_data([make_file(60, 9)])


def batch_of(data: EncodedData, *, after: int, examples: int = 62) -> WorldBatch:
    kind = world_examples(before=S, after=after)
    dataset = FrameDataset(data, range(2), context_len=K, examples=kind)
    return WorldBatch(*dataset.__getitems__(torch.arange(examples) % len(dataset)))


def a_prediction(examples: int, seed: int = 0) -> Prediction:
    chance = torch.Generator().manual_seed(seed)
    first, second, third, fourth = (torch.randn(examples, width, generator=chance) for width in (8, 10, 6, 6))
    logits = tuple(torch.randn(examples, 2, each.vocabulary(ENCODING), generator=chance) for each in CATEGORIES)
    return Prediction(first, second, third, fourth, logits)


def test_a_frame_is_made_of_the_one_before_and_the_prediction(data: EncodedData) -> None:
    batch = batch_of(data, after=1, examples=16)
    floats, ints, controls = batch.floats[:, -2], batch.ints[:, -2], batch.floats[:, -1, CONTROL_COLUMNS]
    floats = floats * 0.1
    prediction = a_prediction(16)
    prediction.dynamics.abs_().clamp_(max=0.9)
    made, categories = advance(floats, ints, prediction, controls, ENCODING)
    moved = floats[:, VELOCITY_COLUMNS] + prediction.velocity
    torch.testing.assert_close(made[:, VELOCITY_COLUMNS], moved.clamp(-2, 2))
    torch.testing.assert_close(made[:, DYNAMICS_COLUMNS], prediction.dynamics)
    assert torch.equal(made[:, BINARY_COLUMNS], (prediction.binary > 0).float())
    assert torch.equal(made[:, CONTROL_COLUMNS], controls)
    changed = floats[:, CONTINUOUS_COLUMNS] + prediction.continuous
    possible = (changed >= 0) & (changed <= 0.6)
    torch.testing.assert_close(made[:, CONTINUOUS_COLUMNS][possible], changed[possible])
    for category, logits in zip(CATEGORIES, prediction.categories, strict=True):
        assert torch.equal(categories[:, category.columns], logits.argmax(2))
    for player in PLAYERS:
        action, age = int_index("action", player), int_index("state_age", player)
        same = categories[:, action] == ints[:, action]
        assert torch.equal(categories[:, age], torch.where(same, (ints[:, age] + 1).clamp(max=149), 0))
        assert torch.equal(categories[:, int_index("character", player)], ints[:, int_index("character", player)])
    assert torch.equal(categories[:, 16], ints[:, 16])


def test_what_no_game_shows_is_cut_off_and_what_is_no_number_stays(data: EncodedData) -> None:
    batch = batch_of(data, after=1, examples=4)
    prediction = a_prediction(4)
    prediction.continuous[:, :4] = torch.tensor([torch.nan, torch.inf, -1e9, 1e9])
    prediction.dynamics[:, 1] = 77.0
    made, _ = advance(
        batch.floats[:, -2], batch.ints[:, -2], prediction, batch.floats[:, -1, CONTROL_COLUMNS], ENCODING
    )
    assert torch.equal(made[:, :2], batch.floats[:, -2, :2])
    assert bool((made[:, 2] < -100 * 0.05).all())
    assert made[:, 2].abs().max() < 400 * 0.05
    assert bool((made[:, 3] == 0.6).all())
    assert bool((made[:, float_index("stocks")] == 1.0).all())


def rolled(model: FrameStackMLP, batch: WorldBatch, example: int, replaced: range) -> Tensor:
    """Floats of an example, some frames replaced one after the other by what the model makes of those before."""
    floats, ints = batch.floats[example].clone(), batch.ints[example].clone()
    for frame in replaced:
        controls = floats[frame, CONTROL_COLUMNS][None]
        prediction = model(floats[frame - K : frame][None], ints[frame - K : frame][None], controls)
        made, categories = advance(floats[frame - 1][None], ints[frame - 1][None], prediction, controls, ENCODING)
        floats[frame], ints[frame] = made[0], categories[0]
    return floats


@torch.no_grad()
def test_rollout_errors_are_those_of_playing_on(data: EncodedData) -> None:
    model, batch = a_model().eval(), batch_of(data, after=H)
    errors = FORESEER.validate(model, batch).rollouts
    assert errors is not None
    chosen = range(0, len(batch.floats), ROLLOUT_EVERY)
    for place, horizon in enumerate(ROLLOUT_HORIZONS):
        frame, found = S + K + horizon - 1, []
        for example in chosen:
            if int(batch.after[example]) >= horizon:
                floats = rolled(model, batch, example, range(S + K, frame + 1))
                found.append((floats - batch.floats[example])[frame, POSITION_COLUMNS].abs().mean() / 0.05)
        assert int(errors.counts[place]) == len(found) > 0
        torch.testing.assert_close(errors.sums[place], torch.stack(found).sum())


def test_sampled_examples_see_their_own_predictions_and_the_others_the_real_frames(data: EncodedData) -> None:
    model, batch = a_model(), batch_of(data, after=1)
    seen: list[Tensor] = []
    model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.train()
    share = torch.full((len(batch.floats),), 0.5)
    FORESEER.train(model, batch._replace(share=share))
    contexts, real = seen[-1], batch.floats[:, S : S + K]
    sampled = torch.arange(len(batch.floats)) < 31
    whole = sampled & (batch.before == S)
    assert 0 < int(whole.sum()) < int(sampled.sum()), "examples at the beginning of a game have nothing before"
    assert torch.equal(contexts[~whole], real[~whole])
    assert torch.equal(contexts[whole][:, : K - S], real[whole][:, : K - S])
    assert torch.equal(contexts[whole][:, :, CONTROL_COLUMNS], real[whole][:, :, CONTROL_COLUMNS])
    assert not torch.equal(contexts[whole], real[whole])
    assert model.training
    example = int(whole.nonzero()[0])
    with torch.no_grad():
        floats = rolled(model, batch, example, range(K, K + S))
    torch.testing.assert_close(contexts[example], floats[S : S + K])


def test_no_gradient_flows_into_what_it_was_shown(data: EncodedData) -> None:
    model, batch = a_model().train(), batch_of(data, after=1)
    objective = WorldModelObjective(FORESEER)
    marked = batch._replace(share=torch.full((len(batch.floats),), 0.8))
    outcome = objective.score(objective.predict(model, marked), marked)
    outcome.loss.backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert outcome.denominators[-4:-1].tolist() == [0, 0, 0], "no rollouts in training"


def test_baselines_stay_or_go_on(data: EncodedData) -> None:
    batch = batch_of(data, after=H)
    made = make_baselines(count_staying(data, range(2)), FORESEER)
    for name, predict in made.items():
        found: Foresight = predict(batch)
        last, before = batch.floats[:, S + K - 1], batch.floats[:, S + K - 2]
        positions = found.prediction.continuous[:, [1, 2, 5, 6]]
        moved = last[:, POSITION_COLUMNS] - before[:, POSITION_COLUMNS]
        assert torch.equal(positions, moved if name == "constant velocity" else torch.zeros_like(moved))
        assert torch.equal(found.prediction.dynamics, last[:, DYNAMICS_COLUMNS])
        for category, logits in zip(CATEGORIES, found.prediction.categories, strict=True):
            assert torch.equal(logits.argmax(2), batch.ints[:, S + K - 1][:, category.columns])
        assert found.rollouts is not None


def test_the_odds_of_staying_are_counted_inside_games(make_file: Callable[..., Path]) -> None:
    data = open_data([make_file(40, 30)])
    odds = count_staying(data, range(2))
    ints = torch.cat([data.game(game)[1][1:] == data.game(game)[1][:-1] for game in range(2)])
    for number, category in enumerate(CATEGORIES):
        same = ints[:, category.columns]
        yes, no = int(same.sum()) + 0.5, int((~same).sum()) + 0.5
        expected = max(torch.log(torch.tensor(yes / no)).item(), 1e-3)
        expected += torch.log(torch.tensor(float(category.vocabulary(ENCODING) - 1))).item()
        assert odds.categories[number] == pytest.approx(expected, rel=1e-5)

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cardrunner.contracts import Batch
from cardrunner.workloads.melee.encoding import encoded_data
from cardrunner.workloads.melee.encoding.encoded_data import EncodedData, open_data
from cardrunner.workloads.melee.encoding.frame_dataset import FrameDataset, split_games
from cardrunner.workloads.melee.encoding.windows import player_examples
from cardrunner.workloads.melee.policy.baselines import count_controllers, make_baselines
from cardrunner.workloads.melee.policy.metric_names import NEUTRAL, REPEAT_LAST, TRAINING_MEAN, TRIVIAL_BASELINES
from cardrunner.workloads.melee.policy.objective import PolicyObjective

K = 3


@pytest.fixture
def two_files(make_file: Callable[..., Path]) -> EncodedData:
    return open_data([make_file(9, 6), make_file(8, name="more.pt", seed=5)])


def a_batch(data: EncodedData) -> Batch:
    dataset = FrameDataset(data, range(data.games), context_len=K, examples=player_examples(0))
    return dataset.__getitems__(torch.arange(len(dataset)))


@pytest.mark.parametrize("chunk", [2, 5, 100])
def test_counts_do_not_depend_on_how_the_rows_are_read(
    two_files: EncodedData, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoded_data, "_CHUNK_ROWS", chunk)
    counts = count_controllers(two_files, range(1, 3), 0)
    games = [two_files.game(game)[0][:, 15:28] for game in (1, 2)]
    pressed = [game[:, 5:] > 0.5 for game in games]
    assert counts.rows == 14
    torch.testing.assert_close(counts.analog_mean, torch.cat(games)[:, :5].double().mean(0))
    assert torch.equal(counts.down, torch.cat(pressed).sum(0))
    expected = torch.zeros(2, 2, 8, dtype=torch.int64)
    for game in pressed:
        for before, now in zip(game[:-1].long(), game[1:].long(), strict=True):
            expected[before, now, torch.arange(8)] += 1
    assert torch.equal(counts.transitions, expected)


def test_of_many_rows_evenly_spaced_games_are_counted(two_files: EncodedData) -> None:
    some = count_controllers(two_files, range(3), 0, most_rows=12)
    parts = [count_controllers(two_files, range(game, game + 1), 0) for game in (0, 2)]
    assert some.rows == sum(part.rows for part in parts) == 17
    assert torch.equal(some.transitions, parts[0].transitions + parts[1].transitions)


def test_every_declared_baseline_is_made(two_files: EncodedData) -> None:
    made = make_baselines(count_controllers(two_files, range(2), 0))
    assert list(made) == [baseline.name for baseline in TRIVIAL_BASELINES]


def test_each_baseline_predicts_what_its_name_says(two_files: EncodedData) -> None:
    counts, batch = count_controllers(two_files, range(2), 0), a_batch(two_files)
    made = make_baselines(counts)
    last: Tensor = batch[0][:, -1, 15:28]
    repeated, neutral, mean = (made[name](batch) for name in (REPEAT_LAST, NEUTRAL, TRAINING_MEAN))
    assert torch.equal(repeated.analog, last[:, :5])
    assert torch.equal(repeated.pressed, last[:, 5:] > 0.5)
    assert torch.equal(neutral.analog, torch.tensor([0.5, 0.5, 0.5, 0.5, 0.0]).expand(len(last), -1))
    assert not neutral.pressed.any()
    torch.testing.assert_close(mean.analog[0], counts.analog_mean.float())
    rates = counts.down / counts.rows
    torch.testing.assert_close(mean.button_logits[0].sigmoid(), rates, atol=0.05, rtol=0)


def test_the_real_games_give_the_known_baselines(real_data: Path) -> None:
    data = open_data([real_data / "encoded-real-32.pt"])
    train, validation = split_games(data.games, 0.9)
    dataset = FrameDataset(data, validation, context_len=10, examples=player_examples(0))
    batch, objective = dataset.__getitems__(torch.arange(len(dataset))), PolicyObjective()
    scores = {}
    for name, predict in make_baselines(count_controllers(data, train, 0)).items():
        outcome = objective.score(predict(batch), batch)
        scores[name] = dict(zip(objective.names, (outcome.numerators / outcome.denominators).tolist(), strict=True))
    assert scores[REPEAT_LAST]["metric/stick_mae"] == pytest.approx(0.0132, abs=5e-5)
    assert scores[REPEAT_LAST]["metric/button_pressed_acc"] == pytest.approx(0.9795, abs=5e-5)
    assert scores[REPEAT_LAST]["metric/button_change_f1"] == 0
    assert scores[NEUTRAL]["metric/button_pressed_acc"] == pytest.approx(0.866, abs=5e-4)
    assert scores[REPEAT_LAST]["metric/changed_share"] == pytest.approx(0.36, abs=5e-3)
